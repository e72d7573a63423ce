"""A small supervised world in which everything happens that can, and its laws."""

from __future__ import annotations

import random
from typing import Final

import anyio
import trio

from greenroom import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    Crashed,
    ExitReason,
    Intensity,
    MailboxOptions,
    Monitor,
    Overflow,
    Restart,
)
from greenroom.testing import Faults, World

PATIENT: Final = Intensity(max_restarts=1000, period=1.0)
FAULTS: Final = Faults(crash=0.03, cancel=0.03, kill=0.02, slow=0.03)

WORKERS = 2
CLIENTS = 2
ORDERS = 5


class Boom(Exception):
    """What an actor fails with."""


class Life:
    """One incarnation of one actor, as its hooks saw it."""

    def __init__(self) -> None:
        self.started = self.stopped = self.killed = 0

    def ended(self) -> bool:
        """Whether it came to an end as it should, and to one only."""
        if self.stopped > 1 or self.killed > 1:
            return False
        return not self.started or self.stopped + self.killed > 0


class Journal:
    """What happened in one world."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        # How often each message was handled, and how each ask was settled.
        self.handled: dict[int, int] = {}
        self.asked = 0
        self.settled = 0
        self.monitors: list[Monitor] = []
        self.downs: dict[Monitor, int] = {}


class Worker(Actor[tuple[str, int]]):
    """Does what the messages say."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.life = Life()
        journal.lives.append(self.life)

    async def started(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.life.started += 1

    async def receive(self, message: tuple[str, int]) -> int:
        what, number = message
        handled = self.journal.handled
        handled[number] = handled.get(number, 0) + 1
        if what == "crash":
            raise Boom
        if what == "wait":
            await anyio.sleep(0.01)
        elif what == "stop":
            self.context.stop()
        elif what == "tell":
            self.context.ref.try_tell(("nothing", number + 1000))
        return number

    async def stopped(self, reason: ExitReason) -> None:
        self.life.stopped += 1
        await anyio.lowlevel.checkpoint()

    def killed(self) -> None:
        self.life.killed += 1


class Client:
    """Does one thing after the other to one worker after the other."""

    def __init__(
        self, world: World, journal: Journal, refs: list[ActorRef[tuple[str, int]]]
    ) -> None:
        self.world = world
        self.journal = journal
        self.refs = refs

    async def run(self, first: int) -> None:
        chance = self.world.random
        for number in range(first, first + ORDERS):
            await self.world.pause()
            await self.order(chance, chance.choice(self.refs), number)

    async def order(
        self, chance: random.Random, ref: ActorRef[tuple[str, int]], number: int
    ) -> None:
        """Do something to *ref*."""
        message = chance.choice(("nothing", "crash", "wait", "stop", "tell")), number
        what = chance.randrange(10)
        if what < 2:
            ref.try_tell(message)
        elif what < 6:
            self.journal.asked += 1
            try:
                assert await ref.ask(message, timeout=0.5) == number
            except (ActorError, TimeoutError):
                pass
            self.journal.settled += 1
        elif what == 6:
            monitor = ref.monitor()
            self.journal.monitors.append(monitor)
        elif what == 7:
            ref.stop_nowait()
        elif what == 8:
            self.world.cancel(ref)
        else:
            ref.kill()


async def supervised(world: World) -> Journal:
    """The world: workers, and clients who do them good and ill."""
    journal = Journal()
    chance = world.random
    world.inject("/worker-*", FAULTS)
    mailbox = MailboxOptions(capacity=3, overflow=chance.choice(list(Overflow)[:4]))

    async def expect(monitor: Monitor) -> None:
        down = await monitor.wait()
        assert not down.ref.alive
        journal.downs[monitor] = journal.downs.get(monitor, 0) + 1

    async with trio.open_nursery() as watching:
        async with ActorSystem(intensity=PATIENT, backoff=None) as system:
            refs = [
                await system.spawn(
                    lambda: Worker(journal),
                    name=f"worker-{number}",
                    restart=chance.choice(list(Restart)),
                    mailbox=mailbox,
                )
                for number in range(WORKERS)
            ]
            async with trio.open_nursery() as clients:
                for number in range(CLIENTS):
                    client = Client(world, journal, refs)
                    clients.start_soon(client.run, 100 * number)
        for monitor in journal.monitors:
            watching.start_soon(expect, monitor)
    check(journal)
    return journal


def check(journal: Journal) -> None:
    """The laws, when all is over."""
    assert journal.settled == journal.asked
    assert journal.downs == dict.fromkeys(journal.monitors, 1)
    assert all(life.ended() for life in journal.lives)
    assert all(times == 1 for times in journal.handled.values())
