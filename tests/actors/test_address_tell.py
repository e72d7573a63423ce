"""Telling never waits: the message is in, or whoever tells it hears why not."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom.actors import (
    ActorNotAlive,
    Crashed,
    MailboxFull,
    Overflow,
    Shutdown,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, fail, seen_by, takes
from .waiting import error_of, full

pytestmark = pytest.mark.anyio


# -- tell ------------------------------------------------------------------


async def test_telling_does_not_wait(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(1)
    assert cell.ref.try_tell(2)
    assert seen_by(cell) == []
    await wait_idle()
    assert seen_by(cell) == [1, 2]


@pytest.mark.parametrize("overflow", [Overflow.REJECT, Overflow.BLOCK])
async def test_a_full_mailbox_refuses_and_gives_the_message_back(
    stage: Stage, overflow: Overflow
) -> None:
    cell = await full(stage, overflow=overflow)
    with pytest.raises(MailboxFull) as refused:
        cell.ref.tell("second")
    assert refused.value.message == "second"
    assert (refused.value.path, refused.value.capacity) == (cell.path, 1)
    assert not cell.ref.try_tell("second")
    assert cell.ref.statistics().refused == 2
    assert stage.lost == []


async def test_what_has_ended_refuses_and_says_how_it_ended(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(fail)
    await cell.wait_stopped()
    with pytest.raises(ActorNotAlive) as gone:
        cell.ref.tell("late")
    assert gone.value.message == "late"
    assert gone.value.reason == Crashed(ERROR)
    assert not cell.ref.try_tell("late")


async def test_what_is_stopping_refuses_and_says_how_it_will_end(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet(stopped=takes(1)))
    cell.ref.stop_nowait(Shutdown("for now"))
    with pytest.raises(ActorNotAlive) as gone:
        cell.ref.tell("late")
    assert gone.value.reason == Shutdown("for now")


async def test_what_crashes_for_good_refuses_while_it_cleans_up(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stopped=takes(1)))
    cell.ref.tell(fail)
    cell.ref.tell("waits")
    await wait_idle()
    with pytest.raises(ActorNotAlive) as gone:
        cell.ref.tell("late")
    assert gone.value.reason == Crashed(ERROR)
    assert stage.lost == [
        (fail, Undelivered.CRASHED),
        ("waits", Undelivered.STOPPED),
    ]


@pytest.mark.parametrize("asked", [False, True])
async def test_a_drop_of_an_old_message_is_told_to_its_asker(
    stage: Stage, asked: bool
) -> None:
    cell = await stage.spawn(capacity=1, overflow=Overflow.DROP_OLD)
    cell.ref.tell(lambda _: anyio.sleep(10))
    await wait_idle()
    errors: list[Exception | None] = []

    async def ask() -> None:
        errors.append(await error_of(cell.ref.ask("old")))

    async with anyio.create_task_group() as tasks:
        if asked:
            tasks.start_soon(ask)
            await wait_idle()
        else:
            cell.ref.tell("old")
        cell.ref.tell("new")
    if asked:
        [error] = errors
        assert isinstance(error, MailboxFull)
        assert error.message == "old"
    assert stage.lost == [("old", Undelivered.OVERFLOW)]


async def test_a_mailbox_that_overflows_may_stop_its_actor(stage: Stage) -> None:
    cell = await full(stage, overflow=Overflow.STOP)
    cell.ref.tell("one too many")
    assert not cell.ref.alive
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, MailboxFull)
    assert stage.lost == [
        ("one too many", Undelivered.OVERFLOW),
        ("first", Undelivered.STOPPED),
    ]


async def test_one_that_is_started_again_after_an_overflow_keeps_its_mailbox(
    stage: Stage,
) -> None:
    cell = await full(stage, Nanny(), overflow=Overflow.STOP)
    cell.ref.tell("one too many")
    cell.ref.tell("two too many")
    await cell.wait_stopped()
    await wait_idle()
    assert cell.incarnation == 2
    assert seen_by(cell) == ["first"]
    assert [why for _, why in stage.lost] == [Undelivered.OVERFLOW] * 2


async def test_conflated_messages_replace_each_other(stage: Stage) -> None:
    def topic(message: Any) -> object:
        return message[0]

    cell = await stage.spawn(capacity=2, overflow=Overflow.CONFLATE, key=topic)
    cell.ref.tell(lambda _: anyio.sleep(10))
    await wait_idle()
    for message in [("a", 1), ("b", 1), ("b", 2), ("c", 1)]:
        cell.ref.tell(message)
    await anyio.sleep(11)
    assert seen_by(cell) == [("b", 2), ("c", 1)]
    assert stage.lost == [
        (("b", 1), Undelivered.OVERFLOW),
        (("a", 1), Undelivered.OVERFLOW),
    ]


# -- cycles ----------------------------------------------------------------


async def test_statistics_are_those_of_the_mailbox(stage: Stage) -> None:
    cell = await stage.spawn(capacity=7)
    cell.ref.tell(1)
    assert cell.ref.statistics() == cell.mailbox.statistics()
    assert cell.ref.statistics().capacity == 7
