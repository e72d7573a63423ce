"""Orders about children that are starting or stopping already."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import (
    ActorRef,
    AskCycle,
    ChildSpec,
    DynamicSupervisor,
    Restart,
    Shutdown,
    StartError,
    Supervisor,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Plain,
    Worker,
    crowd,
    elapse,
    fail,
    fails_again,
    family,
    in_turn,
    incarnation,
    lasting,
    now,
    patient,
    restarting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_stopping_a_child_that_stops_already_waits_for_it() -> None:
    journal = Journal()
    supervisor = family([worker("a", journal, on_stop=lasting(3))])
    async with running(supervisor):
        ref = supervisor.child("a")
        assert ref is not None
        began = now()
        ref.stop_nowait(Shutdown("mine"))
        await elapse(1)
        assert statuses(supervisor) == {"a": "stopping"}
        async with anyio.create_task_group() as group:
            group.start_soon(supervisor.stop_child, "a")
            group.start_soon(supervisor.stop_child, "a")
        assert now() - began == pytest.approx(3)
        assert statuses(supervisor) == {"a": "stopped"}
        assert supervisor.children()[0].reason == Shutdown("mine")


async def test_a_child_stops_though_the_one_who_ordered_it_has_left() -> None:
    journal = Journal()
    supervisor = family([worker("a", journal, on_stop=lasting(1e9), shutdown=3)])
    async with running(supervisor):
        with anyio.move_on_after(1) as scope:
            await supervisor.stop_child("a")
        assert scope.cancelled_caught
        assert statuses(supervisor) == {"a": "stopping"}
        await elapse(2.1)
        assert statuses(supervisor) == {"a": "stopped"}
        assert (await supervisor.restart_child("a")).alive


async def test_a_child_starts_though_the_one_who_ordered_it_has_left() -> None:
    journal = Journal()
    for supervisor in (family(), crowd()):
        async with running(supervisor):
            with anyio.move_on_after(1):
                await supervisor.start_child(worker("a", journal, on_start=lasting(3)))
            assert statuses(supervisor) == {"a": "starting"}
            await elapse(3)
            assert statuses(supervisor) == {"a": "running"}


async def test_a_start_that_fails_after_the_one_who_ordered_it_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is an exit like any other: restarted, counted and reported."""
    journal = Journal()

    async def late(worker: Worker) -> None:
        await lasting(3)(worker)
        await fail()

    supervisor = family()
    async with running(supervisor):
        with anyio.move_on_after(1):
            await supervisor.start_child(worker("a", journal, on_start=in_turn(late)))
        await elapse(3)
        assert journal == ["start a", "start a"]
        assert await incarnation(supervisor.child("a")) == 2
        assert "/top/a failed: StartFailed" in caplog.text
        with anyio.move_on_after(1):
            await supervisor.start_child(
                worker("b", journal, Restart.TEMPORARY, on_start=late)
            )
        await elapse(3)
        assert statuses(supervisor) == {"a": "running"}


@pytest.mark.parametrize("dynamic", [False, True])
async def test_a_child_stopped_while_it_starts_is_news_to_the_one_who_waits(
    dynamic: bool,
) -> None:
    supervisor = crowd() if dynamic else family()
    async with running(supervisor), anyio.create_task_group() as group:

        async def start() -> None:
            spec = worker("a", Journal(), on_start=lasting(9))
            with pytest.raises(StartError, match="it ended as it started"):
                await supervisor.start_child(spec)

        group.start_soon(start)
        await wait_idle()
        ref = supervisor.children()[0].ref
        assert ref is not None
        if isinstance(supervisor, DynamicSupervisor):
            await supervisor.stop_child(ref)
        else:
            await supervisor.stop_child("a")
        assert statuses(supervisor) == {}


async def test_a_manual_restart_begins_the_backoff_anew() -> None:
    journal = Journal()
    supervisor = family([worker("a", journal, on_start=fails_again())], **patient())
    async with running(supervisor):
        await restarting(supervisor.child("a"))
        assert statuses(supervisor) == {"a": "restarting"}
        await supervisor.stop_child("a")
        ref = await supervisor.restart_child("a")
        ref.tell(Boom())
        await wait_idle()
        assert await incarnation(ref) == 2


async def test_a_child_that_runs_and_ends_at_once_has_started() -> None:
    """It did start: what came of it is for the supervisor to judge."""

    async def last_words(worker: Worker) -> None:
        worker.context.ref.tell(Boom())

    supervisor = family()
    async with running(supervisor):
        ref: ActorRef[object] = await supervisor.start_child(
            worker("a", Journal(), on_start=in_turn(last_words))
        )
        await wait_idle()
        assert await incarnation(ref) == 2
        gone = await supervisor.start_child(
            worker("b", Journal(), Restart.TEMPORARY, on_start=last_words)
        )
        await wait_idle()
        assert not gone.alive
        assert statuses(supervisor) == {"a": "running"}


@pytest.mark.parametrize("dynamic", [False, True])
async def test_a_child_that_orders_its_own_end_does_not_wait_for_it(
    dynamic: bool,
) -> None:
    supervisor = crowd() if dynamic else family()

    async def leave(worker: Worker) -> None:
        if isinstance(supervisor, DynamicSupervisor):
            order = supervisor.stop_child(worker.context.ref)
        else:
            order = supervisor.stop_child("a")
        with pytest.raises(AskCycle):
            await order

    async with running(supervisor):
        began = now()
        ref = await supervisor.start_child(worker("a", Journal(), Restart.TEMPORARY))
        ref.tell(leave)
        assert await ref.wait_stopped() == Shutdown()
        assert now() - began < 0.1
        assert statuses(supervisor) == {}


async def test_many_starts_in_a_row_let_others_have_their_turn() -> None:
    supervisor = crowd()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with running(supervisor), anyio.create_task_group() as group:
        group.start_soon(count)
        for number in range(640):
            await supervisor.start_child(ChildSpec(str(number), Plain))
        assert turns >= 5
        group.cancel_scope.cancel()


async def test_an_order_that_failed_does_not_meddle_with_the_next_one() -> None:
    """On Trio, which of two tasks that wake together goes first is random."""

    async def late(worker: Worker) -> None:
        await lasting(0.1)(worker)
        await fail()

    for _ in range(30):
        supervisor = family(
            [worker("a", Journal(), on_start=in_turn(None, late, late))]
        )
        async with running(supervisor), anyio.create_task_group() as group:

            async def restart(supervisor: Supervisor = supervisor) -> None:
                with pytest.raises(StartError):
                    await supervisor.restart_child("a")

            await supervisor.stop_child("a")
            group.start_soon(restart)
            await wait_idle()
            ref = supervisor.child("a")
            assert ref is not None
            await ref.wait_stopped()
            await restart()
            # Had the first one taken the failure of the second for an incident,
            # it would be restarted.
            await wait_idle()
            assert statuses(supervisor) == {"a": "stopped"}


@pytest.mark.skipif(
    not hasattr(asyncio, "eager_task_factory"), reason="new in Python 3.12"
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_start_that_fails_within_the_order_is_news_and_no_incident() -> None:
    """An eager task may be over before the call that starts it returns."""
    supervisor = family()
    asyncio.get_running_loop().set_task_factory(
        getattr(asyncio, "eager_task_factory")  # noqa: B009 - for type checkers
    )
    try:
        async with running(supervisor):
            with pytest.raises(StartError):
                await supervisor.start_child(worker("a", Journal(), on_start=fail))
            await wait_idle()
            assert statuses(supervisor) == {}
    finally:
        asyncio.get_running_loop().set_task_factory(None)
