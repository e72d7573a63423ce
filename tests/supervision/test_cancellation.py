"""The order of the end, whoever cancels whom and when."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import Actor, ActorSystem, ChildSpec, ExitReason, StartError
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    crowd,
    elapse,
    family,
    forever,
    in_turn,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


class Slow(Actor[object]):
    """Starts and stops over several passes of the event loop."""

    def __init__(self, name: str, journal: Journal) -> None:
        self.name = name
        self.journal = journal

    async def started(self) -> None:
        for _ in range(3):
            await checkpoint()
        self.journal.append(f"up {self.name}")

    async def receive(self, message: object) -> None: ...

    async def stopped(self, reason: ExitReason) -> None:
        for _ in range(3):
            await checkpoint()
        self.journal.append(f"down {self.name}")


async def house(journal: Journal, *, stay: bool = False) -> None:
    """A system with a tree of slow actors, from its start to its end."""

    def slow(name: str) -> ChildSpec[object]:
        return ChildSpec(name, lambda: Slow(name, journal))

    async with ActorSystem() as system:
        await system.start_child(slow("a"))
        inner = family([slow("b"), ChildSpec("deep", lambda: family([slow("c")]))])
        await system.start_child(ChildSpec("inner", lambda: inner))
        await inner.start_child(slow("d"))
        await system.start_child(slow("e"))
        journal.append("open -")
        if stay:
            await anyio.sleep_forever()


def check_order(journal: Journal) -> None:
    """All that came up went down, in the exact reverse."""
    assert journal.of("down") == journal.of("up")[::-1]


async def test_the_order_of_the_end_is_exact_whenever_the_block_is_cancelled() -> None:
    opened = 0
    for passes in range(60):
        journal = Journal()
        async with anyio.create_task_group() as group:
            group.start_soon(house, journal)
            for _ in range(passes):
                await checkpoint()
            group.cancel_scope.cancel()
        check_order(journal)
        opened += "open -" in journal
    # Before, in and after the body.
    assert 0 < opened < 60


@pytest.mark.parametrize("attempt", range(30))
async def test_the_order_of_the_end_is_exact_under_an_outer_cancellation(
    attempt: int,
) -> None:
    del attempt
    journal = Journal()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: house(journal, stay=True))
        await wait_idle()
        group.cancel_scope.cancel()
    assert journal.of("up") == list("abcde")
    assert journal.of("down") == list("edcba")


@pytest.mark.parametrize("again", [None, 0, 1, 4])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_order_of_the_end_is_exact_under_native_cancellation(
    again: int | None,
) -> None:
    cancelled = opened = 0
    for passes in range(90):
        journal = Journal()
        task = asyncio.create_task(house(journal))
        for _ in range(passes):
            await asyncio.sleep(0)
        task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            cancelled += 1
        check_order(journal)
        opened += "open -" in journal
    # At each phase: it begins, it is open, it ends, and it has ended.
    assert 0 < cancelled < 90
    assert 0 < opened < 90


async def test_a_system_in_a_scope_that_is_cancelled_already() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with ActorSystem() as system:
            await system.spawn(Slow("a", Journal()))
    assert scope.cancelled_caught


async def test_actors_do_not_feel_the_cancellation_of_those_who_started_them() -> None:
    journal = Journal()
    async with ActorSystem() as system:
        async with anyio.create_task_group() as group:

            async def request() -> None:
                await system.spawn(Slow("a", journal), name="a")
                await anyio.sleep_forever()

            group.start_soon(request)
            await wait_idle()
            group.cancel_scope.cancel()
        assert [info.id for info in system.children()] == ["_registry", "a"]
        assert journal == ["up a"]


async def test_dynamic_children_all_end_whenever_the_block_is_cancelled() -> None:
    for passes in range(40):
        journal = Journal()

        async def run(journal: Journal = journal) -> None:
            supervisor = crowd()
            async with running(supervisor):
                for name in "abc":
                    await supervisor.start_child(
                        ChildSpec(name, lambda: Slow("x", journal))
                    )
                await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            for _ in range(passes):
                await checkpoint()
            group.cancel_scope.cancel()
        assert len(journal.of("down")) == len(journal.of("up"))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_start_cancelled_at_any_moment_leaves_no_half_child(
    fails: bool, dynamic: bool
) -> None:
    async def passes(_: object) -> None:
        for _ in range(3):
            await checkpoint()

    async def fail(_: object) -> None:
        await passes(None)
        raise Boom

    supervisor = crowd() if dynamic else family()
    forgotten = 0
    async with running(supervisor):
        for count in range(15):
            spec = worker(
                str(count),
                Journal(),
                on_start=in_turn(fail if fails else passes, passes),
            )
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(_after, count, scope)
                    try:
                        await supervisor.start_child(spec)
                    except StartError:
                        forgotten += 1
                    group.cancel_scope.cancel()
        await wait_idle()
        # Who left before it failed has left it to the supervisor; one that failed
        # before, even if nobody could be told, is forgotten.
        assert set(statuses(supervisor).values()) == {"running"}
        assert len(supervisor.children()) <= 15 - forgotten
    assert (0 < forgotten < 15) is fails


async def _after(passes: int, scope: anyio.CancelScope) -> None:
    for _ in range(passes):
        await checkpoint()
    scope.cancel()


async def test_a_stop_cancelled_at_any_moment_goes_on() -> None:
    journal = Journal()
    supervisor = family()
    async with running(supervisor):
        for count in range(10):
            await supervisor.start_child(
                ChildSpec(str(count), lambda: Slow("x", journal))
            )
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(_after, count, scope)
                    await supervisor.stop_child(str(count))
                    group.cancel_scope.cancel()
            await wait_idle()
        assert set(statuses(supervisor).values()) == {"stopped"}
    assert len(journal.of("down")) == 10


async def test_a_child_killed_while_its_supervisor_stops_it_is_gone_once() -> None:
    journal = Journal()
    supervisor = family([worker("a", journal, on_stop=forever, shutdown=9)])
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        top.stop_nowait()
        await elapse(1)
        ref.kill()
        await top.wait_stopped()
        assert anyio.current_time() > 0
    assert journal == ["start a", "stop a"]
