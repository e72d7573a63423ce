"""What may be ordered of a supervisor, and what it answers."""

from __future__ import annotations

import pytest

from greenroom import (
    ActorNotAlive,
    ActorSystem,
    ChildCounts,
    ChildExists,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    ChildStatus,
    Crashed,
    Shutdown,
    StartError,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    crowd,
    elapse,
    fails_again,
    family,
    now,
    patient,
    restarting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_children_are_administrated_by_id() -> None:
    """Behaviour 33: child_adm."""
    journal = Journal()
    supervisor = family()
    async with running(supervisor):
        ref = await supervisor.start_child(worker("a", journal))
        assert supervisor.child("a") is ref
        with pytest.raises(ChildExists, match="'a' exists and runs") as exists:
            await supervisor.start_child(worker("a", journal))
        assert exists.value.ref is ref
        with pytest.raises(ChildRunning, match="'a' runs"):
            await supervisor.restart_child("a")
        with pytest.raises(ChildRunning):
            supervisor.delete_child("a")

        await supervisor.stop_child("a")
        await supervisor.stop_child("a")
        assert supervisor.child("a") is None
        with pytest.raises(ChildExists, match="is not running") as exists:
            await supervisor.start_child(worker("a", journal))
        assert exists.value.ref is None
        new = await supervisor.restart_child("a")
        assert new is not ref
        assert new.alive

        await supervisor.stop_child("a")
        supervisor.delete_child("a")
        assert supervisor.children() == ()
        for order in (supervisor.stop_child, supervisor.restart_child):
            with pytest.raises(ChildNotFound, match="no such child: 'a'"):
                await order("a")
        for look in (supervisor.delete_child, supervisor.child, supervisor.spec):
            with pytest.raises(ChildNotFound, match="no such child: 'a'"):
                look("a")


async def test_dynamic_children_are_administrated_by_ref() -> None:
    """Behaviour 34: child_adm_simple."""
    journal = Journal()
    supervisor, other = crowd(), crowd()
    async with ActorSystem() as system:
        await system.spawn(supervisor)
        await system.spawn(other)
        ref = await supervisor.start_child(worker("a", journal))
        foreign = await other.start_child(worker("a", journal))
        with pytest.raises(ChildNotFound):
            await supervisor.stop_child(foreign)
        assert foreign.alive
        with pytest.raises(ChildExists) as exists:
            await supervisor.start_child(worker("a", journal))
        assert exists.value.ref is ref
        await supervisor.stop_child(ref)
        await supervisor.stop_child(ref)
        # The id is free, and the old ref is not the new child's.
        new = await supervisor.start_child(worker("a", journal))
        await supervisor.stop_child(ref)
        assert new.alive


@pytest.mark.parametrize("number", [1000, 2000])
async def test_many_children_are_counted(number: int) -> None:
    """Behaviour 36: count_children."""
    supervisor = crowd()
    async with running(supervisor):
        for count in range(number):
            await supervisor.start_child(worker(str(count), Journal()))
        assert supervisor.count_children() == ChildCounts(number, number, 0, number)
        for info in supervisor.children()[: number // 2]:
            assert info.ref is not None
            await supervisor.stop_child(info.ref)
        half = number // 2
        assert supervisor.count_children() == ChildCounts(half, half, 0, half)


async def test_children_that_are_supervisors_are_counted_as_such() -> None:
    """Behaviour 37: count_children_supervisor."""
    supervisor = crowd()
    async with running(supervisor):
        for count in range(100):
            await supervisor.start_child(ChildSpec(f"sup{count}", family))
        await supervisor.start_child(worker("a", Journal()))
        assert supervisor.count_children() == ChildCounts(101, 101, 100, 1)
        assert supervisor.children()[0].is_supervisor


async def test_a_restarting_child_is_a_worker_but_not_active() -> None:
    """Behaviour 38: count_restarting_children."""
    journal = Journal()
    spec = worker("a", journal, on_start=fails_again())
    supervisor = crowd(**patient())
    async with running(supervisor):
        ref = await supervisor.start_child(spec)
        await restarting(ref)
        assert supervisor.count_children() == ChildCounts(1, 0, 0, 1)
        await supervisor.stop_child(ref)
        assert supervisor.count_children() == ChildCounts(0, 0, 0, 0)


async def test_a_child_in_a_failing_restart_loop_can_be_stopped() -> None:
    """Behaviour 30: hanging_restart_loop."""
    journal = Journal()
    spec = worker("a", journal, on_start=fails_again(1000))
    supervisor = family([spec], **patient(1.0))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        await restarting(ref)
        for _ in range(3):
            assert statuses(supervisor) == {"a": "restarting"}
            with pytest.raises(ChildExists) as exists:
                await supervisor.start_child(spec)
            assert exists.value.ref is ref
            with pytest.raises(ChildRunning):
                await supervisor.restart_child("a")
            with pytest.raises(ChildRunning):
                supervisor.delete_child("a")
            starts = len(journal.of("start"))
            await elapse(1.01)
            assert len(journal.of("start")) == starts + 1
        await supervisor.stop_child("a")
        assert statuses(supervisor) == {"a": "stopped"}
        journal.clear()
        await elapse(5)
        assert journal == []
        with pytest.raises(StartError):
            await supervisor.restart_child("a")
        assert await top.stop() == Shutdown()


async def test_a_supervisor_can_be_stopped_while_a_child_is_in_a_restart_loop() -> None:
    """Behaviour 30: hanging_restart_loop."""
    journal = Journal()
    spec = worker("a", journal, on_start=fails_again(1000))
    supervisor = family([spec], **patient(1.0))
    async with running(supervisor) as top:
        await restarting(supervisor.child("a"))
        await elapse(3)
        began = now()
        assert await top.stop() == Shutdown()
        assert now() == began
        journal.clear()
        await elapse(5)
        assert journal == []


async def test_a_dynamic_child_in_a_failing_restart_loop_can_be_stopped() -> None:
    """Behaviour 32: hanging_restart_loop_simple."""
    journal = Journal()
    spec = worker("a", journal, on_start=fails_again(1000))
    supervisor = crowd(**patient(1.0))
    async with running(supervisor):
        ref = await supervisor.start_child(spec)
        await restarting(ref)
        await elapse(3)
        with pytest.raises(ChildExists):
            await supervisor.start_child(spec)
        await supervisor.stop_child(ref)
        assert statuses(supervisor) == {}
        journal.clear()
        await elapse(5)
        assert journal == []


async def test_a_child_that_waits_for_its_restart_can_be_stopped() -> None:
    """Behaviour 103: terminates restarting child."""
    supervisor = crowd(**patient())
    async with running(supervisor):
        ref = await supervisor.start_child(
            worker("a", Journal(), on_start=fails_again())
        )
        monitor = ref.monitor()
        await restarting(ref)
        began = now()
        await supervisor.stop_child(ref)
        assert now() == began
        assert not ref.alive
        assert monitor.down is not None


async def test_orders_are_taken_only_while_the_supervisor_runs() -> None:
    journal = Journal()
    supervisor, dynamic = family([worker("a", journal)]), crowd()
    with pytest.raises(ActorNotAlive, match="supervisor is not alive: it takes orders"):
        await supervisor.start_child(worker("b", journal))
    async with running(supervisor) as ref:
        await ref.stop()
        with pytest.raises(ActorNotAlive, match="/top is not alive"):
            await supervisor.start_child(worker("b", journal))
        with pytest.raises(ActorNotAlive):
            await supervisor.stop_child("a")
        with pytest.raises(ActorNotAlive):
            await supervisor.restart_child("a")
        # Looking is still allowed.
        assert statuses(supervisor) == {"a": "stopped"}
        assert supervisor.children()[0].reason == Shutdown()
    with pytest.raises(ActorNotAlive):
        await dynamic.stop_child(ref)


async def test_a_supervisor_takes_no_messages(caplog: pytest.LogCaptureFixture) -> None:
    async with running(family()) as ref:
        assert await ref.ask("hello") is None
    assert "/top takes no messages" in caplog.text


async def test_what_is_known_of_a_child() -> None:
    journal = Journal()
    supervisor = family([worker("a", journal)])
    async with running(supervisor):
        (info,) = supervisor.children()
        assert info.id == "a"
        assert info.ref is supervisor.child("a")
        assert info.status is ChildStatus.RUNNING
        assert (info.incarnation, info.is_supervisor, info.reason) == (1, False, None)
        error = Boom()
        assert info.ref is not None
        info.ref.tell(error)
        await wait_idle()
        (info,) = supervisor.children()
        assert (info.incarnation, info.reason) == (2, Crashed(error))
        await supervisor.stop_child("a")
        (info,) = supervisor.children()
        assert (info.ref, info.status) == (None, ChildStatus.STOPPED)
        assert (info.incarnation, info.reason) == (0, Shutdown())


async def test_a_child_that_was_stopped_by_order_stays_stopped() -> None:
    journal = Journal()
    supervisor = family([worker("a", journal), worker("b", journal)])
    async with running(supervisor):
        await supervisor.stop_child("a")
        b = supervisor.child("b")
        assert b is not None
        b.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "stopped", "b": "running"}
