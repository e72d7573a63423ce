"""Three bugs that only some orders of events show, and their right versions.

Each is planted on purpose: what finds none of them finds nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio.lowlevel

from greenroom import Actor, ActorRef, ActorSystem, NameTaken
from greenroom.testing import World

# -- check, then act ---------------------------------------------------------


class Session(Actor[str]):
    """One of these for each key there shall be."""

    async def started(self) -> None:
        await anyio.lowlevel.checkpoint()

    def receive(self, message: str) -> str:
        return message


GetOrSpawn = Callable[
    [World, ActorSystem, str, Callable[[], Awaitable[ActorRef[str]]]],
    Awaitable[ActorRef[str]],
]


async def check_then_act(
    world: World,
    system: ActorSystem,
    key: str,
    spawn: Callable[[], Awaitable[ActorRef[str]]],
) -> ActorRef[str]:
    """The bug: between the look and the act somebody else may act."""
    holder = system.registry.whereis(key)
    if holder is not None:
        return holder
    await world.pause()
    ref = await spawn()
    # Taken meanwhile, two sessions live from here on.
    with suppress(NameTaken):
        await system.registry.register(key, ref)
    return ref


async def atomic(
    world: World,
    system: ActorSystem,
    key: str,
    spawn: Callable[[], Awaitable[ActorRef[str]]],
) -> ActorRef[str]:
    """The right version."""
    await world.pause()
    return await system.registry.get_or_spawn(key, spawn)


def sessions(get_or_spawn: GetOrSpawn) -> Callable[[World], Awaitable[None]]:
    """A world in which the second caller comes well after the first."""

    async def main(world: World) -> None:
        found: list[ActorRef[str]] = []
        async with ActorSystem() as system, anyio.create_task_group() as tasks:

            async def call(ticks: int) -> None:
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                spawn = lambda: system.spawn(Session)  # noqa: E731 - short
                found.append(await get_or_spawn(world, system, "key", spawn))

            tasks.start_soon(call, 0)
            # By then the first is long done, unless it falls behind.
            tasks.start_soon(call, 20)
        assert len(set(found)) == 1

    return main


# -- the lost wake-up --------------------------------------------------------


class Echo(Actor[str]):
    """Answers with what it was asked."""

    def receive(self, message: str) -> str:
        return message


def wake_up(*, loses: bool) -> Callable[[World], Awaitable[None]]:
    """A world with one who asks, and one who sleeps until it is asked.

    The bug: between the look into the mailbox and the sleep a message may come,
    and wakes nobody.
    """

    async def main(world: World) -> None:
        async with ActorSystem() as system:
            right = system.runtime.parker

            async def park(slot: Any) -> None:
                await world.pause()
                await right.park(slot)

            if loses:
                system.runtime.parker = replace(right, park=park)
            ref = await system.spawn(Echo())
            for number in range(3):
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                assert await ref.ask(str(number)) == str(number)

    return main


# -- three events in one order out of many -----------------------------------


class Ledger(Actor[str]):
    """Fails if it hears of a refund, then of the order, and then of the payment."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def receive(self, message: str) -> None:
        self.heard.append(message)


def reorder(*, sorts: bool) -> Callable[[World], Awaitable[None]]:
    """A world in which three tell one, each in its own time."""

    async def main(world: World) -> None:
        ledger = Ledger()
        async with ActorSystem() as system, anyio.create_task_group() as tasks:
            ref = await system.spawn(ledger)

            async def tell(what: str, ticks: int) -> None:
                await world.pause(what)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                ref.tell(what)

            # So far apart that no coincidence turns them round.
            tasks.start_soon(tell, "order", 0)
            tasks.start_soon(tell, "payment", 4)
            tasks.start_soon(tell, "refund", 8)
            await anyio.sleep(1)
        heard = sorted(ledger.heard) if sorts else ledger.heard
        assert heard != ["refund", "order", "payment"]

    return main
