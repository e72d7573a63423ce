"""What is true of an actor over all its incarnations."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import (
    UNSUPERVISED,
    Actor,
    ActorRef,
    Cell,
    Crashed,
    ExitReason,
    Killed,
    Overflow,
    State,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, asyncio_only, fail, native_task

pytestmark = pytest.mark.anyio


# -- restarts --------------------------------------------------------------


async def test_the_mailbox_outlives_every_incarnation(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    for number in range(5):
        cell.ref.tell(fail)
        cell.ref.tell(number)
    await wait_idle()
    assert cell.incarnation == 6
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == [4]
    assert cell.mailbox.handled == 5
    assert stage.lost == [(fail, Undelivered.CRASHED)] * 5


async def test_an_actor_that_is_down_takes_messages(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.tell(fail)
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert (cell.state, cell.actor, cell.reason) == (
        State.EXITED,
        None,
        Crashed(ERROR),
    )
    assert cell.ref.alive
    cell.ref.tell("patient")
    cell.start()
    await wait_idle()
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["patient"]


async def test_what_waits_may_be_dropped_between_two_incarnations(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.tell(fail)
    cell.ref.tell("dropped")
    await cell.wait_stopped()
    cell.drop_mailbox()
    assert stage.lost == [
        (fail, Undelivered.CRASHED),
        ("dropped", Undelivered.RESTARTED),
    ]
    assert stage.letters[1].error is ERROR
    cell.start()
    assert await cell.ref.ask(lambda puppet: puppet.seen) == []


async def test_the_system_lane_does_not_outlive_an_incarnation(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    cell.mailbox.put_system(fail)
    cell.mailbox.put_system("for that incarnation")
    await wait_idle()
    assert cell.incarnation == 2
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == []


async def test_whether_it_ever_ran_is_remembered(stage: Stage) -> None:
    starts = iter([False, True, False])

    def started(_: Puppet) -> None:
        if not next(starts):
            raise ERROR

    cell = stage.cell(lambda: Puppet(started=started), Nanny(later=True))
    ran: list[bool] = []
    for _ in range(3):
        cell.start()
        await wait_idle()
        ran.append(cell.ran)
        cell.kill()
        await cell.wait_stopped()
    assert ran == [False, True, True]
    assert cell.incarnation == 3


async def test_an_actor_cannot_be_started_twice(stage: Stage) -> None:
    cell = await stage.spawn()
    with pytest.raises(AssertionError):
        cell.start()


async def test_the_parent_is_told_before_who_waits_goes_on(stage: Stage) -> None:
    log: list[str] = []

    class Parent:
        def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
            return False

        def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
            assert cell.state is State.EXITED
            log.append("parent")
            cell.end(reason)

    cell = await stage.spawn(Puppet, Parent())
    await cell.ref.stop()
    log.append("waiter")
    assert log == ["parent", "waiter"]
    assert cell.state is State.ENDED


# -- what the mailbox reports ----------------------------------------------


async def test_watermarks_are_told_to_who_listens(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cell = await stage.spawn(capacity=10)
    levels: list[tuple[str, int]] = []

    def hear(path: str, level: int) -> None:
        levels.append((path, level))

    stage.runtime.level_listeners += [fail, hear]
    cell.ref.tell(lambda _: anyio.sleep(1))
    await wait_idle()
    for number in range(10):
        cell.ref.tell(number)
    assert levels == [(cell.path, 1), (cell.path, 2)]
    await anyio.sleep(2)
    assert levels[2:] == [(cell.path, 1), (cell.path, 0)]
    assert "a watermark listener raised" in caplog.text


async def test_a_promise_that_cannot_be_kept_is_a_dead_letter(stage: Stage) -> None:
    cell = await stage.spawn()
    assert cell.mailbox.promise("promised")
    await cell.ref.stop()
    assert cell.mailbox.pending == 1
    cell.mailbox.keep_promise("promised")
    assert stage.lost == [("promised", Undelivered.STOPPED)]


async def test_an_overflow_between_two_incarnations_stops_nobody(
    stage: Stage,
) -> None:
    cell = await stage.spawn(
        Puppet, Nanny(later=True), capacity=1, overflow=Overflow.STOP
    )
    cell.ref.kill()
    await cell.wait_stopped()
    cell.ref.tell("kept")
    cell.ref.tell("dropped")
    cell.start()
    assert await cell.ref.ask("next") == "next"
    assert stage.lost == [("dropped", Undelivered.OVERFLOW)]


# -- the whole of it -------------------------------------------------------


async def test_an_actor_that_says_nothing_of_receiving_says_so_when_told(
    stage: Stage,
) -> None:
    class Mute(Actor[object]):
        pass

    cell = await stage.spawn(Mute)
    cell.ref.tell("hello")
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert str(reason.error) == "Mute does not define receive"


async def test_an_actor_without_a_killed_of_its_own_can_be_killed(
    stage: Stage,
) -> None:
    class Simple(Actor[object]):
        def receive(self, message: object) -> object:
            return message

    cell = await stage.spawn(Simple)
    cell.kill()
    assert await cell.wait_stopped() == Killed()


async def test_nobody_supervises_the_unsupervised(stage: Stage) -> None:
    cell = await stage.spawn()
    assert not UNSUPERVISED.restarts(cell, Killed())
    cell.ref.tell(fail)
    await cell.wait_stopped()
    assert cell.state is State.ENDED


async def test_a_thousand_actors_come_and_go(stage: Stage) -> None:
    cells = [await stage.spawn() for _ in range(1000)]
    refs: list[ActorRef[Any]] = [cell.ref for cell in cells]
    for ref in refs:
        ref.tell("hello")
    await wait_idle()
    assert all(ref.statistics().handled == 1 for ref in refs)
    for ref in refs:
        ref.stop_nowait()
    for ref in refs:
        await ref.wait_stopped()
    assert not stage.runtime.cells


@asyncio_only
async def test_whatever_is_cancelled_natively_nothing_is_lost(stage: Stage) -> None:
    """At every moment of a busy actor's life, one after the other."""
    cell = await stage.spawn(Puppet, Nanny(), capacity=3)
    sent = 0
    for moment in range(40):
        task: Any = await cell.ref.ask(lambda _: native_task())
        cell.ref.tell(lambda _: anyio.sleep(0.1))
        for number in range(2):
            cell.ref.tell(number)
        sent += 3
        for _ in range(moment % 8):
            await checkpoint()
        task.cancel()
        await anyio.sleep(0.5)
        stage.check()
        assert cell.ref.alive
    statistics = cell.ref.statistics()
    assert statistics.accepted == sent + 40
    assert statistics.pending == 0
