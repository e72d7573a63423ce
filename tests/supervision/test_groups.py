"""Who goes down with whom, and how they come back."""

from __future__ import annotations

import pytest

from greenroom import (
    GaveUp,
    Intensity,
    Shutdown,
    Strategy,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    child,
    elapse,
    fails_again,
    in_turn,
    incarnation,
    incarnations,
    lasting,
    patient,
    restarting,
    running,
    statuses,
    trio,
)

pytestmark = pytest.mark.anyio

ALL, REST = Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


async def test_one_for_one_restarts_only_the_child_that_crashed() -> None:
    """Behaviour 53: one_for_one."""
    journal = Journal()
    supervisor = trio(journal, Strategy.ONE_FOR_ONE, intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        child(supervisor, "b").tell(Boom())
        assert await incarnations(supervisor) == [1, 2, 1]
        child(supervisor, "a").tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)
    # The one that failed too often is gone already.
    assert journal.of("gone") == ["b", "a", "c", "b"]


async def test_a_child_that_cannot_restart_ends_its_supervisor() -> None:
    """Behaviour 54: one_for_one_escalation."""
    journal = Journal()
    supervisor = trio(
        journal,
        Strategy.ONE_FOR_ONE,
        fails_again(100),
        intensity=Intensity(4, 5.0),
    )
    async with running(supervisor) as top:
        child(supervisor, "b").tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)
    assert journal.of("gone") == ["b", "c", "a"]


async def test_one_for_all_restarts_all_as_one_incident() -> None:
    """Behaviour 55: one_for_all."""
    journal = Journal()
    supervisor = trio(journal, ALL, intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        counts = supervisor.count_children()
        journal.clear()
        child(supervisor, "b").tell(Boom())
        await wait_idle()
        assert journal.of("gone") == ["b", "c", "a"]
        assert journal.of("start") == ["a", "b", "c"]
        assert await incarnations(supervisor) == [2, 2, 2]
        assert supervisor.count_children() == counts
        child(supervisor, "a").tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)


async def test_in_one_for_all_a_sibling_that_cannot_restart_ends_everything() -> None:
    """Behaviour 56: one_for_all_escalation."""
    journal = Journal()
    supervisor = trio(journal, ALL, fails_again(100), intensity=Intensity(4, 5.0))
    async with running(supervisor) as top:
        child(supervisor, "a").tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)
    # One incident, and one for each of the three attempts after it.
    assert journal.of("start") == ["a", "b", "c"] + ["a", "b"] * 4


async def test_in_one_for_all_a_failing_sibling_makes_the_whole_set_retry() -> None:
    """Behaviour 57: one_for_all_other_child_fails_restart."""
    journal = Journal()
    supervisor = trio(journal, ALL, fails_again(2))
    async with running(supervisor):
        journal.clear()
        child(supervisor, "c").tell(Boom())
        await wait_idle()
        assert journal == (
            ["stop c", "gone c", "stop b", "gone b", "stop a", "gone a"]
            + ["start a", "start b", "stop a", "gone a"] * 2
            + ["start a", "start b", "start c"]
        )


async def test_rest_for_one_restarts_those_started_later() -> None:
    """Behaviour 61: rest_for_one."""
    journal = Journal()
    supervisor = trio(journal, REST)
    async with running(supervisor):
        journal.clear()
        child(supervisor, "b").tell(Boom())
        await wait_idle()
        assert journal.of("gone") == ["b", "c"]
        assert journal.of("start") == ["b", "c"]
        assert await incarnations(supervisor) == [1, 2, 2]


async def test_in_rest_for_one_a_child_that_cannot_restart_ends_everything() -> None:
    """Behaviour 62: rest_for_one_escalation."""
    journal = Journal()
    supervisor = trio(journal, REST, fails_again(100), intensity=Intensity(4, 5.0))
    async with running(supervisor) as top:
        child(supervisor, "b").tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)
    assert journal.of("gone") == ["b", "c", "a"]


async def test_in_rest_for_one_the_retry_begins_with_the_sibling_that_failed() -> None:
    """Behaviour 63: rest_for_one_other_child_fails_restart."""
    journal = Journal()
    supervisor = trio(journal, REST, fails_again(2))
    async with running(supervisor):
        journal.clear()
        child(supervisor, "a").tell(Boom())
        await wait_idle()
        assert journal.of("gone") == ["a", "c", "b"]
        assert journal.of("start") == ["a", "b", "b", "b", "c"]
        assert await incarnations(supervisor) == [2, 4, 2]


async def test_in_a_restart_loop_the_later_ones_stay_down() -> None:
    """Behaviour 31: hanging_restart_loop_rest_for_one."""
    journal = Journal()
    supervisor = trio(journal, REST, fails_again(1000), **patient(1.0))
    async with running(supervisor) as top:
        c = child(supervisor, "c")
        await restarting(supervisor.child("b"))
        await elapse(3)
        assert statuses(supervisor) == {
            "a": "running",
            "b": "restarting",
            "c": "restarting",
        }
        # It comes back some time, and what is told it then is kept.
        c.tell("later")
        await supervisor.stop_child("b")
        assert statuses(supervisor) == {"a": "running", "b": "stopped", "c": "stopped"}
        assert not c.alive
        assert await incarnation(supervisor.child("a")) == 1
        # By hand it comes back before.
        assert (await supervisor.restart_child("c")).alive
        assert await top.stop() == Shutdown()


async def test_a_waiting_group_comes_back_together() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, fails_again(), **patient())
    async with running(supervisor):
        await restarting(supervisor.child("b"))
        assert set(statuses(supervisor).values()) == {"restarting"}
        journal.clear()
        await elapse(11)
        assert journal == ["start a", "start b", "start c"]
        assert statuses(supervisor) == {"a": "running", "b": "running", "c": "running"}


async def test_mailboxes_of_the_whole_group_are_kept() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, in_turn(None, lasting(1)))
    async with running(supervisor):
        refs = [child(supervisor, id) for id in "abc"]
        refs[0].tell(Boom())
        for ref in refs:
            ref.tell("waits")
        await elapse(2)
        assert [ref.statistics().handled for ref in refs] == [1, 1, 1]
