"""What happens to children, and is ordered, in the middle of a group restart."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    ActorNotAlive,
    ChildSpec,
    GaveUp,
    Intensity,
    Normal,
    Restart,
    Shutdown,
    StartError,
    Strategy,
    Supervisor,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Worker,
    child,
    decline,
    elapse,
    fail,
    fails_again,
    family,
    forever,
    in_turn,
    incarnation,
    incarnations,
    lasting,
    now,
    patient,
    restarting,
    running,
    statuses,
    trio,
    worker,
)

pytestmark = pytest.mark.anyio

ALL, REST = Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


def failing_again(journal: Journal) -> ChildSpec[object]:
    """A spec whose first restart fails, and the second does not."""
    return worker("a", journal, on_start=fails_again())


def with_slow(strategy: Strategy, **options: Any) -> Supervisor:
    """A supervisor of a, b and one that takes 3 s to stop."""
    journal = Journal()
    return family(
        [
            worker("a", journal),
            worker("b", journal),
            worker("slow", journal, on_stop=lasting(3)),
        ],
        strategy=strategy,
        **options,
    )


async def test_a_sibling_that_crashes_in_a_group_restart_is_the_same_incident() -> None:
    supervisor = with_slow(ALL, intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        child(supervisor, "a").tell(Boom())
        await elapse(1)
        # While the group waits for the slow one.
        child(supervisor, "b").tell(Boom())
        await elapse(3)
        assert await incarnations(supervisor) == [2, 2, 2]
        assert top.alive


async def test_two_siblings_that_crash_at_once_are_one_incident() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        child(supervisor, "a").tell(Boom())
        child(supervisor, "b").tell(Boom())
        await wait_idle()
        assert await incarnations(supervisor) == [2, 2, 2]
        assert top.alive


async def test_a_sibling_that_crashes_again_in_the_restart_is_another_incident() -> (
    None
):
    journal = Journal()

    async def last_words(worker: Worker) -> None:
        worker.context.ref.tell(Boom())

    supervisor = family(
        [
            worker("a", journal, on_start=in_turn(None, last_words)),
            worker("b", journal, on_start=in_turn(None, lasting(1))),
        ],
        strategy=ALL,
    )
    async with running(supervisor):
        child(supervisor, "b").tell(Boom())
        await elapse(3)
        assert await incarnations(supervisor) == [3, 3]


async def test_a_child_stopped_while_its_group_is_taken_down_stays_stopped() -> None:
    supervisor = with_slow(ALL, **patient())
    async with running(supervisor):
        for id in ("a", "b"):
            child(supervisor, "a").tell(Boom())
            await elapse(1)
            # First the one that crashed, then a bystander.
            await supervisor.stop_child(id)
            await elapse(13)
            expected = {"a": "running", "b": "running", "slow": "running"}
            assert statuses(supervisor) == expected | {id: "stopped"}
            await supervisor.restart_child(id)


async def test_a_crash_that_would_wait_does_not_if_its_child_was_stopped() -> None:
    journal = Journal()
    supervisor = family(
        [
            failing_again(journal),
            worker("slow", journal, on_stop=lasting(3)),
        ],
        strategy=ALL,
        **patient(),
    )
    async with running(supervisor):
        child(supervisor, "a").tell(Boom())
        await elapse(4)  # the second failure, and down with the slow one
        assert statuses(supervisor) == {"a": "restarting", "slow": "restarting"}
        await elapse(10)
        # It has not lasted long: its third start would wait.
        child(supervisor, "a").tell(Boom())
        await elapse(1)
        await supervisor.stop_child("a")
        await elapse(3)
        assert statuses(supervisor) == {"a": "stopped", "slow": "running"}


async def test_a_child_stopped_while_it_starts_in_a_group_stays_stopped() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, in_turn(None, forever))
    async with running(supervisor):
        child(supervisor, "a").tell(Boom())
        await wait_idle()
        assert statuses(supervisor)["b"] == "starting"
        await supervisor.stop_child("b")
        await wait_idle()
        assert statuses(supervisor) == {"a": "running", "b": "stopped", "c": "running"}


async def test_a_child_that_declines_in_a_group_stays_stopped() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, in_turn(None, decline))
    async with running(supervisor):
        child(supervisor, "a").tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "running", "b": "stopped", "c": "running"}


async def test_a_child_started_by_hand_in_a_group_restart_is_not_started_twice() -> (
    None
):
    journal = Journal()
    supervisor = trio(journal, ALL, in_turn(None, lasting(2)))
    async with running(supervisor):
        await supervisor.stop_child("c")
        child(supervisor, "a").tell(Boom())
        await elapse(1)
        await supervisor.restart_child("c")
        await elapse(2)
        assert await incarnations(supervisor) == [2, 2, 1]


async def test_a_child_added_in_a_group_restart_is_left_alone() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, in_turn(None, lasting(2)))
    async with running(supervisor):
        child(supervisor, "a").tell(Boom())
        await elapse(1)
        await supervisor.start_child(worker("d", journal))
        await elapse(2)
        assert await incarnations(supervisor) == [2, 2, 2, 1]


async def test_a_child_deleted_in_a_group_restart_is_not_started() -> None:
    journal = Journal()
    supervisor = trio(journal, ALL, in_turn(None, lasting(2)))
    async with running(supervisor):
        child(supervisor, "a").tell(Boom())
        await elapse(1)
        await supervisor.stop_child("c")
        supervisor.delete_child("c")
        await elapse(2)
        assert statuses(supervisor) == {"a": "running", "b": "running"}


@pytest.mark.parametrize("manual", [False, True])
async def test_a_start_on_order_that_a_group_restart_interrupts_has_failed(
    manual: bool,
) -> None:
    journal = Journal()
    supervisor = family([worker("a", journal)], strategy=ALL)
    slow = worker("slow", journal, on_start=in_turn(*[None] * manual, forever))
    async with running(supervisor), anyio.create_task_group() as group:

        async def start() -> None:
            by_hand = supervisor.restart_child
            order = by_hand("slow") if manual else supervisor.start_child(slow)
            with pytest.raises(StartError, match="it ended as it started"):
                await order

        if manual:
            await supervisor.start_child(slow)
            await supervisor.stop_child("slow")
        group.start_soon(start)
        await wait_idle()
        child(supervisor, "a").tell(Boom())
        await wait_idle()
        # A spec that was there before stays, and takes part.
        expected = {"a": "running"} | ({"slow": "running"} if manual else {})
        assert statuses(supervisor) == expected


async def test_old_news_of_a_child_that_was_replaced_is_ignored() -> None:
    supervisor = with_slow(REST)
    async with running(supervisor):
        child(supervisor, "b").tell(Boom())
        await elapse(1)
        # While the group of b is taken down a crashes, and is stopped, and gets a
        # new cell, whose first incarnation has not crashed.
        child(supervisor, "a").tell(Boom())
        await wait_idle()
        await supervisor.stop_child("a")
        a = await supervisor.restart_child("a")
        await elapse(3)
        assert await incarnation(a) == 1
        assert await incarnations(supervisor) == [1, 2, 2]


async def test_a_supervisor_can_be_stopped_in_the_middle_of_a_group_restart() -> None:
    journal = Journal()
    for step in ("down", "up"):
        journal.clear()
        supervisor = family(
            [
                worker("a", journal),
                worker("b", journal, on_start=in_turn(None, lasting(4))),
                worker("c", journal, on_stop=lasting(3)),
            ],
            strategy=ALL,
        )
        async with running(supervisor) as top:
            child(supervisor, "b").tell(Boom())
            await elapse(1 if step == "down" else 4)
            began = now()
            journal.clear()
            assert await top.stop() == Shutdown()
            # The last one is on its way down already; nobody comes back.
            assert now() - began == pytest.approx(2 if step == "down" else 0)
            assert journal.of("start") == []
            assert journal.of("gone") == (["c", "a"] if step == "down" else ["a"])


async def test_a_group_that_gives_up_fails_at_once_who_waits_for_it() -> None:
    journal = Journal()
    supervisor = family(
        [worker("a", journal), worker("slow", journal, on_stop=lasting(4))],
        strategy=ALL,
        intensity=Intensity(0, 5.0),
    )
    async with running(supervisor) as top:
        a = child(supervisor, "a")
        a.tell(Boom())
        began = now()
        with pytest.raises(Exception, match="crashed"):
            await a.ask("waits", timeout=None)
        assert now() - began < 0.1
        with pytest.raises(ActorNotAlive):
            await supervisor.start_child(worker("late", journal))
        assert isinstance(await top.wait_stopped(), GaveUp)


async def test_a_temporary_child_in_a_group_that_ends_by_itself_is_forgotten() -> None:
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal),
            worker("t", journal, Restart.TEMPORARY),
            worker("slow", journal, on_stop=lasting(3)),
        ],
        strategy=ALL,
    )
    async with running(supervisor):
        t = child(supervisor, "t")
        child(supervisor, "a").tell(Boom())
        await elapse(1)
        t.tell(Normal())
        await wait_idle()
        assert not t.alive
        await elapse(3)
        assert statuses(supervisor) == {"a": "running", "slow": "running"}


async def test_later_siblings_keep_their_own_wait_when_an_earlier_one_is_stopped() -> (
    None
):
    journal = Journal()
    supervisor = family([failing_again(journal)], strategy=REST, **patient())
    async with running(supervisor):
        await restarting(supervisor.child("a"))
        await supervisor.start_child(worker("b", journal, on_start=in_turn(None, fail)))
        await restarting(supervisor.child("b"))
        assert statuses(supervisor) == {"a": "restarting", "b": "restarting"}
        await supervisor.stop_child("a")
        assert statuses(supervisor) == {"a": "stopped", "b": "restarting"}
        await elapse(11)
        assert statuses(supervisor) == {"a": "stopped", "b": "running"}


async def test_news_of_a_wait_that_was_called_off_is_ignored() -> None:
    journal = Journal()
    supervisor = family([failing_again(journal)], strategy=REST, **patient())
    async with running(supervisor):
        await restarting(supervisor.child("a"))
        await supervisor.start_child(worker("b", journal))
        await supervisor.start_child(worker("slow", journal, on_stop=lasting(3)))
        await elapse(9)
        # When the wait of a is over, the supervisor is busy with the others.
        child(supervisor, "b").tell(Boom())
        await elapse(2)
        await supervisor.stop_child("a")
        await elapse(2)
        assert statuses(supervisor) == {
            "a": "stopped",
            "b": "running",
            "slow": "running",
        }


async def test_a_supervisor_that_gave_up_restarts_nobody_else() -> None:
    journal = Journal()
    supervisor = trio(journal, Strategy.ONE_FOR_ONE, intensity=Intensity(0, 5.0))
    async with running(supervisor) as top:
        child(supervisor, "a").tell(Boom())
        child(supervisor, "b").tell(Boom())
        reason = await top.wait_stopped()
        assert isinstance(reason, GaveUp)
        assert reason.child in ("/top/a", "/top/b")
    assert journal.of("start") == ["a", "b", "c"]
