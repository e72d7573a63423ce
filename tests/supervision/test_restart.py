"""Which children are started again, when, and how often."""

from __future__ import annotations

import pytest

from greenroom import (
    ActorSystem,
    ChildSpec,
    GaveUp,
    Intensity,
    Killed,
    Normal,
    Restart,
    Shutdown,
    Strategy,
    Supervisor,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    child,
    crowd,
    elapse,
    fails_again,
    family,
    in_turn,
    incarnation,
    lasting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio

P, T, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY


async def _end(restart: Restart, *messages: object) -> tuple[dict[str, str], object]:
    """End a child with each message; its status, and which incarnation answers."""
    supervisor = family([worker("a", Journal(), restart)])
    async with running(supervisor):
        ref = supervisor.child("a")
        assert ref is not None
        for message in messages:
            if message is Killed:
                ref.kill()
            else:
                ref.tell(message)
            await wait_idle()
        status = statuses(supervisor)
        if status.get("a") != "stopped":
            return status, await incarnation(ref) if status else None
        # Its spec is kept: it can be started by hand.
        return status, await incarnation(await supervisor.restart_child("a"))


async def test_a_permanent_child_is_restarted_after_a_normal_exit() -> None:
    """Behaviour 40: permanent_normal."""
    assert await _end(P, Normal()) == ({"a": "running"}, 2)


async def test_a_transient_child_is_not_restarted_after_a_normal_exit() -> None:
    """Behaviour 41: transient_normal."""
    assert await _end(T, Normal()) == ({"a": "stopped"}, 1)


async def test_a_temporary_child_is_not_restarted_after_a_normal_exit() -> None:
    """Behaviour 42: temporary_normal."""
    assert await _end(TEMPORARY, Normal()) == ({}, None)


async def test_a_permanent_child_is_restarted_after_a_shutdown() -> None:
    """Behaviour 43: permanent_shutdown."""
    assert await _end(P, Shutdown(), Shutdown("x")) == ({"a": "running"}, 3)


async def test_a_transient_child_is_not_restarted_after_a_shutdown() -> None:
    """Behaviour 44: transient_shutdown."""
    assert await _end(T, Shutdown()) == ({"a": "stopped"}, 1)
    assert await _end(T, Shutdown("x")) == ({"a": "stopped"}, 1)


async def test_a_temporary_child_is_not_restarted_after_a_shutdown() -> None:
    """Behaviour 45: temporary_shutdown."""
    assert await _end(TEMPORARY, Shutdown()) == ({}, None)
    assert await _end(TEMPORARY, Shutdown("x")) == ({}, None)


async def test_a_permanent_child_is_restarted_after_a_failure() -> None:
    """Behaviour 46: permanent_abnormal."""
    assert await _end(P, Boom(), Killed) == ({"a": "running"}, 3)


async def test_a_transient_child_is_restarted_after_a_failure() -> None:
    """Behaviour 47: transient_abnormal."""
    assert await _end(T, Boom(), Killed) == ({"a": "running"}, 3)


async def test_a_temporary_child_is_not_restarted_after_a_failure() -> None:
    """Behaviour 48: temporary_abnormal."""
    assert await _end(TEMPORARY, Boom()) == ({}, None)
    assert await _end(TEMPORARY, Killed) == ({}, None)


def with_temporary(journal: Journal, strategy: Strategy) -> Supervisor:
    """A supervisor of a, c and, between them, the temporary b."""
    return family(
        [worker("a", journal), worker("b", journal, TEMPORARY), worker("c", journal)],
        strategy=strategy,
    )


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_a_temporary_bystander_is_not_brought_back(strategy: Strategy) -> None:
    """Behaviour 49: temporary_bystander."""
    journal = Journal()
    supervisor = with_temporary(journal, strategy)
    async with running(supervisor):
        a, bystander = child(supervisor, "a"), child(supervisor, "b")
        a.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "running", "c": "running"}
        assert not bystander.alive
        assert await incarnation(a) == 2


async def test_a_transient_child_that_ended_is_revived_by_a_group_restart() -> None:
    """Behaviour 50: transient revived by group restart."""
    journal = Journal()
    supervisor = family(
        [worker("a", journal), worker("b", journal, T)], strategy=Strategy.ONE_FOR_ALL
    )
    async with running(supervisor):
        a, b = supervisor.child("a"), supervisor.child("b")
        assert a is not None
        assert b is not None
        b.tell(Normal())
        await wait_idle()
        assert statuses(supervisor)["b"] == "stopped"
        a.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "running", "b": "running"}
        # It had ended: it is another actor.
        assert supervisor.child("b") is not b


@pytest.mark.parametrize("strategy", Strategy)
async def test_the_crash_of_a_temporary_child_is_local(strategy: Strategy) -> None:
    """Behaviour 51: temporary crash is local."""
    journal = Journal()
    supervisor = with_temporary(journal, strategy)
    async with running(supervisor):
        child(supervisor, "b").tell(Boom())
        await wait_idle()
        assert journal.of("start") == ["a", "b", "c"]
        assert statuses(supervisor) == {"a": "running", "c": "running"}


async def test_crashes_wider_apart_than_the_period_never_exhaust_the_budget() -> None:
    """Behaviour 52: multiple_restarts."""
    supervisor = family([worker("a", Journal())], intensity=Intensity(1, 1.0))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        for _ in range(10):
            ref.tell(Boom())
            await elapse(1.01)
        assert await incarnation(ref) == 11
        assert top.alive


@pytest.mark.parametrize("allowed", [0, 1, 3])
async def test_an_intensity_of_n_survives_exactly_n_failures(allowed: int) -> None:
    """Behaviour 65: intensity boundary."""
    supervisor = family([worker("a", Journal())], intensity=Intensity(allowed, 5.0))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        for _ in range(allowed):
            ref.tell(Boom())
            await wait_idle()
        assert top.alive
        error = Boom()
        ref.tell(error)
        assert await top.wait_stopped() == GaveUp("/top/a", error)


async def test_normal_exits_of_permanent_children_count() -> None:
    """Behaviour 66: permanent normal exits count."""
    supervisor = family([worker("a", Journal())], intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        ref.tell(Normal())
        await wait_idle()
        ref.tell(Normal())
        assert await top.wait_stopped() == GaveUp("/top/a", None)


async def test_failed_restarts_count() -> None:
    """Behaviour 67: failed restarts count."""
    journal = Journal()
    spec = worker("a", journal, on_start=fails_again(100))
    supervisor = family([spec], intensity=Intensity(3, 5.0))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        ref.tell(Boom())
        reason = await top.wait_stopped()
        assert isinstance(reason, GaveUp)
        assert reason.child == "/top/a"
    assert len(journal.of("start")) == 1 + 3


async def test_a_transient_supervisor_that_gave_up_has_failed() -> None:
    """Behaviour 68: transient supervisor that gave up."""
    journal = Journal()
    inner = family([worker("a", journal)], intensity=Intensity(0, 5.0))
    supervisor = family([ChildSpec("inner", lambda: inner, T)])
    async with running(supervisor):
        ref, a = supervisor.child("inner"), inner.child("a")
        assert a is not None
        a.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"inner": "running"}
        assert supervisor.child("inner") is ref
        assert supervisor.children()[0].incarnation == 2
        assert journal.of("start") == ["a", "a"]


async def test_the_path_of_a_failure_is_that_of_the_actor_with_which_it_began() -> None:
    """Behaviour 64: tree."""
    journal = Journal()
    error = Boom()
    inner = family([worker("a", journal)], intensity=Intensity(0, 5.0))
    outer = family([ChildSpec("inner", lambda: inner)], intensity=Intensity(0, 5.0))
    async with running(outer) as top:
        a = inner.child("a")
        assert a is not None
        a.tell(error)
        assert await top.wait_stopped() == GaveUp("/top/inner/a", error)


async def test_a_subtree_that_gave_up_comes_back_with_its_static_children() -> None:
    """Behaviour 64: tree."""
    journal = Journal()
    dynamic = crowd()
    inner = family(
        [worker("a", journal), ChildSpec("crowd", lambda: dynamic)],
        intensity=Intensity(0, 5.0),
    )
    outer = family([ChildSpec("inner", lambda: inner)])
    async with running(outer):
        await dynamic.start_child(worker("guest", journal))
        await inner.start_child(worker("added", journal))
        before = inner.child("a")
        assert before is not None
        before.tell(Boom())
        await wait_idle()
        # The same objects, as new.
        assert statuses(outer) == {"inner": "running"}
        assert statuses(inner) == {"a": "running", "crowd": "running"}
        assert statuses(dynamic) == {}
        assert inner.child("a") is not before
        assert journal.of("gone") == ["a", "added", "guest"]
        assert (await dynamic.start_child(worker("guest", journal))).alive


async def test_what_waits_for_a_child_is_kept_or_dropped_at_its_restart() -> None:
    supervisor = family(
        [
            worker("keeps", Journal(), on_start=in_turn(None, lasting(1))),
            worker(
                "drops",
                Journal(),
                on_start=in_turn(None, lasting(1)),
                on_restart="drop",
            ),
        ]
    )
    async with ActorSystem() as system:
        await system.spawn(supervisor)
        counts: dict[str, int] = {}
        for name in ("keeps", "drops"):
            ref = supervisor.child(name)
            assert ref is not None
            ref.tell(Boom())
            ref.tell("waits")
            ref.tell("waits")
            await elapse(2)
            statistics = ref.statistics()
            counts[name] = statistics.handled
            assert statistics.pending == 0
            assert statistics.accepted == 3
        assert counts == {"keeps": 2, "drops": 0}
        assert system.dead_letters.counts[Undelivered.RESTARTED] == 2
