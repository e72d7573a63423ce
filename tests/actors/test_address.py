"""Tell, send and ask, and what becomes of each when there is no room or no actor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import (
    UNSUPERVISED,
    ActorCrashed,
    ActorNotAlive,
    ActorRef,
    AskCycle,
    AskTimeout,
    Cell,
    Crashed,
    Killed,
    MailboxFull,
    Overflow,
    Parent,
    Request,
    SendTimeout,
    Shutdown,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import Line, Nanny, Puppet, Stage, asyncio_only, takes

pytestmark = pytest.mark.anyio

ERROR = ValueError("no")


def fail(*_: object) -> None:
    raise ERROR


def seen_by(cell: Cell[Any]) -> list[object]:
    assert isinstance(cell.actor, Puppet)
    return cell.actor.seen


async def full(
    stage: Stage, parent: Parent = UNSUPERVISED, **options: Any
) -> Cell[Line]:
    """An actor that is busy for 10 s, with one message waiting and room for none."""
    cell = await stage.spawn(Puppet, parent, capacity=1, **options)
    cell.ref.tell(lambda _: anyio.sleep(10))
    await wait_idle()
    cell.ref.tell("first")
    return cell


def asks(ref: ActorRef[Line], message: Line) -> Callable[[Puppet], object]:
    """What makes an actor ask another."""
    return lambda _: ref.ask(message)


async def error_of(awaitable: Any) -> Exception | None:
    try:
        await awaitable
    except Exception as error:
        return error
    return None


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


# -- send ------------------------------------------------------------------


async def test_sending_does_not_yield_while_there_is_room(stage: Stage) -> None:
    cell = await stage.spawn()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await cell.ref.send(1)
    assert not scope.cancelled_caught
    assert seen_by(cell) == []
    await wait_idle()
    assert seen_by(cell) == [1]


async def test_senders_wait_first_come_first_served(stage: Stage) -> None:
    cell = await full(stage)
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(cell.ref.send, number)
            await wait_idle()
        # Nobody gets in before those in line, room or not.
        assert not cell.ref.try_tell("pushy")
    await wait_idle()
    assert seen_by(cell) == ["first", 0, 1, 2]


async def test_a_sender_waits_whatever_the_policy_is(stage: Stage) -> None:
    cell = await full(stage, overflow=Overflow.DROP_NEW)
    await cell.ref.send("second")
    await wait_idle()
    assert seen_by(cell) == ["first", "second"]
    assert stage.lost == []


async def test_a_sender_waits_only_so_long(stage: Stage) -> None:
    cell = await full(stage)
    began = stage.runtime.now()
    with pytest.raises(SendTimeout, match=r"no room in .* within 2 s"):
        await cell.ref.send("second", timeout=2)
    assert stage.runtime.now() - began == pytest.approx(2)
    await cell.ref.send("third")
    await wait_idle()
    assert seen_by(cell) == ["first", "third"]


async def test_a_sender_is_told_when_the_actor_ends(stage: Stage) -> None:
    cell = await full(stage)
    errors: list[Exception | None] = []

    async def send() -> None:
        errors.append(await error_of(cell.ref.send("second")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await wait_idle()
        cell.ref.kill()
    [error] = errors
    assert isinstance(error, ActorNotAlive)
    assert (error.message, error.reason) == ("second", Killed())
    assert await error_of(cell.ref.send("third")) is not None


async def test_a_sender_that_is_cancelled_leaves_the_line(stage: Stage) -> None:
    cell = await full(stage)
    with anyio.move_on_after(1):
        await cell.ref.send("second")
    await anyio.sleep(10)
    assert seen_by(cell) == ["first"]
    assert cell.mailbox.accepted == cell.mailbox.handled == 2


@asyncio_only
async def test_a_sender_cancelled_natively_loses_nothing(stage: Stage) -> None:
    cell = await full(stage)
    task = asyncio.ensure_future(cell.ref.send("second"))
    await wait_idle()
    task.cancel()
    assert await error_of(asyncio.wait([task])) is None
    await anyio.sleep(11)
    assert seen_by(cell) == ["first"]


@asyncio_only
async def test_a_sender_cancelled_natively_as_it_is_admitted_has_sent(
    stage: Stage,
) -> None:
    cell = await stage.spawn(capacity=1)
    task: list[asyncio.Future[None]] = []
    cell.ref.tell(lambda _: anyio.sleep(1))
    await wait_idle()
    # Taking it makes room for the sender; handling it cancels the sender.
    cell.ref.tell(lambda _: task[0].cancel())
    task.append(asyncio.ensure_future(cell.ref.send("second")))
    with pytest.raises(asyncio.CancelledError):
        await task[0]
    await wait_idle()
    assert seen_by(cell) == ["second"]
    assert cell.mailbox.pending == 0


async def test_a_sender_waits_for_the_next_incarnation_too(stage: Stage) -> None:
    nanny = Nanny(later=True)
    cell = await full(stage, nanny)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cell.ref.send, "second")
        await wait_idle()
        cell.ref.kill()
        await cell.wait_stopped()
        cell.start()
    await wait_idle()
    assert seen_by(cell) == ["first", "second"]


async def test_dropping_the_mailbox_lets_the_senders_in(stage: Stage) -> None:
    cell = await full(stage, Nanny(later=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cell.ref.send, "second")
        await wait_idle()
        cell.ref.kill()
        await cell.wait_stopped()
        cell.drop_mailbox()
    assert stage.lost[1:] == [("first", Undelivered.RESTARTED)]
    cell.start()
    await wait_idle()
    assert seen_by(cell) == ["second"]


# -- ask -------------------------------------------------------------------


class Total(Request[int]):
    """How much is it?"""

    def __call__(self, _: Puppet) -> int:
        return 42


async def test_an_ask_is_answered_by_what_receive_returns(stage: Stage) -> None:
    cell = await stage.spawn()
    answer: int = await cell.ref.ask(Total())
    assert answer == 42

    async def later(_: Puppet) -> str:
        await anyio.sleep(1)
        return "later"

    assert await cell.ref.ask(later) == "later"


async def test_an_ask_ends_by_its_deadline(stage: Stage) -> None:
    cell = await stage.spawn()
    began = stage.runtime.now()
    with pytest.raises(AskTimeout, match=r"no reply from .* within 5 s"):
        await cell.ref.ask(lambda _: anyio.sleep(6))
    assert stage.runtime.now() - began == pytest.approx(5)
    with pytest.raises(AskTimeout) as late:
        await cell.ref.ask("skipped", timeout=0.5)
    assert (late.value.path, late.value.seconds) == (cell.path, 0.5)
    await anyio.sleep(2)
    assert stage.lost == [("skipped", Undelivered.EXPIRED)]
    assert seen_by(cell) == []


async def test_a_late_answer_is_never_seen(stage: Stage) -> None:
    cell = await stage.spawn()

    async def slow(_: Puppet) -> str:
        await anyio.sleep(2)
        return "late"

    with pytest.raises(AskTimeout):
        await cell.ref.ask(slow, timeout=1)
    assert await cell.ref.ask("next") == "next"
    assert cell.mailbox.handled == 2


async def test_an_ask_may_take_as_long_as_it_likes(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.ask(lambda _: anyio.sleep(20), timeout=None)


async def test_an_ask_waits_for_room_and_then_for_the_answer(stage: Stage) -> None:
    cell = await full(stage)
    began = stage.runtime.now()
    assert await cell.ref.ask("second", timeout=11) == "second"
    assert stage.runtime.now() - began == pytest.approx(10)


async def test_an_ask_that_finds_no_room_in_time_is_out_of_time(
    stage: Stage,
) -> None:
    cell = await full(stage)
    with pytest.raises(AskTimeout):
        await cell.ref.ask("second", timeout=2)
    await anyio.sleep(11)
    assert seen_by(cell) == ["first"]


async def test_an_ask_in_line_is_told_when_the_actor_ends(stage: Stage) -> None:
    cell = await full(stage)
    errors: list[Exception | None] = []

    async def ask() -> None:
        errors.append(await error_of(cell.ref.ask("second")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        cell.ref.kill()
    [error] = errors
    assert isinstance(error, ActorNotAlive)
    assert error.message == "second"


async def test_asking_what_has_ended_fails_at_once(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.stop()
    with pytest.raises(ActorNotAlive) as gone:
        await cell.ref.ask("late", timeout=None)
    assert (gone.value.message, gone.value.reason) == ("late", Shutdown())


async def test_asks_that_wait_fail_when_the_stop_begins(stage: Stage) -> None:
    """And not when it is over: the actor may wait for others as it stops."""
    cell = await stage.spawn(Puppet(stopped=takes(3)))
    cell.ref.tell(lambda _: anyio.sleep(3))
    began = stage.runtime.now()
    errors: list[Exception | None] = []

    async def ask() -> None:
        errors.append(await error_of(cell.ref.ask("waits")))
        assert stage.runtime.now() == began

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        cell.ref.stop_nowait()
    [error] = errors
    assert isinstance(error, ActorNotAlive)
    assert error.reason == Shutdown()
    assert stage.lost == [("waits", Undelivered.STOPPED)]
    await cell.wait_stopped()


async def test_asks_that_wait_at_a_crash_for_good_fail_with_it(stage: Stage) -> None:
    cell = await stage.spawn()
    errors: list[Exception | None] = []

    async def ask() -> None:
        errors.append(await error_of(cell.ref.ask("waits")))

    async def crash(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    cell.ref.tell(crash)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
    assert [type(error) for error in errors] == [ActorCrashed] * 3
    assert all(error is not None and error.__cause__ is ERROR for error in errors)


async def test_an_ask_outlives_a_restart(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(fail)
    assert await cell.ref.ask("kept") == "kept"
    assert cell.incarnation == 2


async def test_the_deadline_of_an_ask_runs_on_while_its_actor_is_down(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.tell(fail)
    await cell.wait_stopped()
    with pytest.raises(AskTimeout):
        await cell.ref.ask("patient", timeout=1)
    cell.start()
    await wait_idle()
    assert stage.lost[1:] == [("patient", Undelivered.EXPIRED)]


async def test_giving_up_a_restart_fails_the_asks_at_once(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.tell(fail)
    await cell.wait_stopped()
    errors: list[Exception | None] = []

    async def ask() -> None:
        errors.append(await error_of(cell.ref.ask("patient")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        cell.end(Crashed(ERROR))
    assert isinstance(errors[0], ActorCrashed)


async def test_a_final_stop_between_two_incarnations_fails_the_asks(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.tell(fail)
    await cell.wait_stopped()
    errors: list[Exception | None] = []

    async def ask() -> None:
        errors.append(await error_of(cell.ref.ask("patient")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        cell.request_stop(Shutdown(), final=True)
    assert isinstance(errors[0], ActorNotAlive)
    cell.end(Shutdown())


async def test_an_asker_that_is_cancelled_is_forgotten(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda _: anyio.sleep(2))
    with anyio.move_on_after(1):
        await cell.ref.ask("abandoned")
    await anyio.sleep(2)
    assert seen_by(cell) == []
    [letter] = stage.letters
    assert (letter.why, letter.sender, letter.error) == (
        Undelivered.EXPIRED,
        None,
        None,
    )


async def test_an_abandoned_ask_is_expired_whatever_comes_next(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda _: anyio.sleep(9))
    with anyio.move_on_after(1):
        await cell.ref.ask("abandoned")
    cell.ref.kill()
    await cell.wait_stopped()
    assert stage.lost[0] == ("abandoned", Undelivered.EXPIRED)


@asyncio_only
async def test_an_asker_cancelled_natively_is_forgotten(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda _: anyio.sleep(2))
    task = asyncio.ensure_future(cell.ref.ask("abandoned"))
    await wait_idle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await anyio.sleep(3)
    assert stage.lost == [("abandoned", Undelivered.EXPIRED)]


@asyncio_only
async def test_an_asker_cancelled_natively_as_it_is_admitted_is_forgotten(
    stage: Stage,
) -> None:
    cell = await stage.spawn(capacity=1)
    task: list[asyncio.Future[object]] = []

    async def cancel(_: Puppet) -> None:
        task[0].cancel()
        await checkpoint()
        await checkpoint()

    cell.ref.tell(lambda _: anyio.sleep(1))
    await wait_idle()
    cell.ref.tell(cancel)
    task.append(asyncio.ensure_future(cell.ref.ask("second")))
    with pytest.raises(asyncio.CancelledError):
        await task[0]
    await wait_idle()
    assert stage.lost == [("second", Undelivered.EXPIRED)]


@asyncio_only
async def test_an_asker_cancelled_natively_as_the_answer_comes_harms_nobody(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    task: list[asyncio.Future[object]] = []
    task.append(asyncio.ensure_future(cell.ref.ask(lambda _: task[0].cancel())))
    with pytest.raises(asyncio.CancelledError):
        await task[0]
    assert await cell.ref.ask("next") == "next"
    assert cell.mailbox.handled == 2


async def test_a_dead_letter_says_who_asked(stage: Stage) -> None:
    asker, asked = await stage.spawn(), await stage.spawn()
    error: Any = await asker.ref.ask(lambda _: error_of(asked.ref.ask(fail)))
    assert isinstance(error, ActorCrashed)
    assert stage.letters[0].sender == asker.path


async def test_the_message_of_an_ask_is_what_is_weighed_and_compared(
    stage: Stage,
) -> None:
    weighed: list[object] = []

    def weigh(message: object) -> int:
        weighed.append(message)
        return 1

    cell = await stage.spawn(weigh=weigh, max_weight=9)
    assert await cell.ref.ask("heavy") == "heavy"
    assert weighed == ["heavy"]


# -- deadlines that are inherited ------------------------------------------


async def test_asks_made_for_an_answer_end_no_later_than_it_is_wanted(
    stage: Stage,
) -> None:
    first, second = await stage.spawn(), await stage.spawn()
    limits: list[float] = []

    async def ask_on(_: Puppet) -> None:
        error = await error_of(second.ref.ask(lambda _: anyio.sleep(9), timeout=7))
        assert isinstance(error, AskTimeout)
        limits.append(error.seconds)

    async def after_a_while(puppet: Puppet) -> None:
        await anyio.sleep(1)
        await ask_on(puppet)

    with pytest.raises(AskTimeout):
        await first.ref.ask(after_a_while, timeout=3)
    await anyio.sleep(10)
    assert limits == [pytest.approx(2)]
    # What is told has no deadline to inherit, nor what comes after.
    first.ref.tell(ask_on)
    await anyio.sleep(10)
    assert limits[1:] == [pytest.approx(7)]


async def test_a_send_made_for_an_answer_ends_no_later_than_it_is_wanted(
    stage: Stage,
) -> None:
    first, second = await stage.spawn(), await full(stage)
    errors: list[Exception | None] = []

    async def send_on(_: Puppet) -> None:
        errors.append(await error_of(second.ref.send("second")))

    with pytest.raises(AskTimeout):
        await first.ref.ask(send_on, timeout=3)
    await wait_idle()
    assert isinstance(errors[0], SendTimeout)
    assert errors[0].seconds == pytest.approx(3)


# -- cycles ----------------------------------------------------------------


async def test_an_actor_cannot_ask_itself(stage: Stage) -> None:
    cell = await stage.spawn()
    error: Any = await cell.ref.ask(lambda _: error_of(cell.ref.ask("me")))
    assert isinstance(error, AskCycle)
    assert error.cycle == (cell.path, cell.path)
    assert cell.mailbox.accepted == 1


async def test_a_ring_of_asks_is_refused_before_it_closes(stage: Stage) -> None:
    cells = [await stage.spawn(path=f"/{name}") for name in "abc"]
    a, b, c = (cell.ref for cell in cells)
    error: Any = await a.ask(
        lambda _: b.ask(lambda _: c.ask(lambda _: error_of(a.ask("round"))))
    )
    assert isinstance(error, AskCycle)
    assert error.cycle == ("/c", "/a", "/b", "/c")
    # Nobody is the worse for it.
    assert await a.ask(lambda _: b.ask("fine")) == "fine"


async def test_an_ask_that_leads_nowhere_near_is_fine(stage: Stage) -> None:
    a, b, c = [(await stage.spawn()).ref for _ in "abc"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a.ask, asks(b, takes(1)))
        await wait_idle()
        assert await c.ask(lambda _: a.ask("after that")) == "after that"


async def test_a_handler_may_wait_for_several_at_once(stage: Stage) -> None:
    a, b, c = [(await stage.spawn()).ref for _ in "abc"]

    async def ask_back(_: Puppet) -> object:
        await anyio.sleep(1)
        return await error_of(a.ask("round"))

    async def ask_both(_: Puppet) -> list[object]:
        answers: list[object] = []

        async def ask(ref: ActorRef[Any]) -> None:
            answers.append(await ref.ask(ask_back))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, b)
            tasks.start_soon(ask, c)
        return answers

    errors: Any = await a.ask(ask_both)
    assert sorted(error.cycle for error in errors) == [
        (b.path, a.path, b.path),
        (c.path, a.path, c.path),
    ]


async def test_two_ways_to_the_same_actor_are_looked_at_once(stage: Stage) -> None:
    a, b, c, d = [(await stage.spawn()).ref for _ in "abcd"]

    async def ask_both(_: Puppet) -> None:
        async with anyio.create_task_group() as tasks:
            for ref in (b, c):
                tasks.start_soon(ref.ask, asks(d, takes(1)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a.ask, ask_both)
        await wait_idle()
        free = await stage.spawn()
        assert await free.ref.ask(lambda _: a.ask("in the end")) == "in the end"


async def test_what_has_been_answered_is_no_longer_waited_for(stage: Stage) -> None:
    """The one who answered may go on before the one who asked."""
    a, b = (await stage.spawn()).ref, (await stage.spawn()).ref
    async with anyio.create_task_group() as tasks:
        # B's handlers both run in one turn: the first answers A, which has not
        # gone on when the second asks A.
        b.tell(lambda _: anyio.sleep(1))
        tasks.start_soon(a.ask, asks(b, "quick"))
        await wait_idle()
        assert await b.ask(lambda _: a.ask("back")) == "back"


async def test_a_cancelled_ask_closes_no_ring(stage: Stage) -> None:
    a, b = (await stage.spawn()).ref, (await stage.spawn()).ref

    async def ask_briefly(_: Puppet) -> None:
        with anyio.move_on_after(1):
            await b.ask(lambda _: anyio.sleep(2))

    await a.ask(ask_briefly)
    assert await b.ask(lambda _: a.ask("fine")) == "fine"


async def test_a_full_actor_cannot_wait_for_its_own_room(stage: Stage) -> None:
    cell = await stage.spawn(capacity=1)

    async def fill(puppet: Puppet) -> object:
        cell.ref.tell("in the way")
        return await error_of(cell.ref.send("me"))

    error: Any = await cell.ref.ask(fill)
    assert isinstance(error, AskCycle)
    await wait_idle()
    assert seen_by(cell) == ["in the way"]
    assert cell.mailbox.accepted == 2


async def test_a_ring_may_close_over_a_send_that_waits(stage: Stage) -> None:
    a, b = await stage.spawn(capacity=1), await stage.spawn(capacity=1)

    async def fill_b(_: Puppet) -> None:
        await anyio.sleep(1)
        await b.ref.send("for b")

    async def ask_a(_: Puppet) -> object:
        await anyio.sleep(2)
        return await error_of(a.ref.ask("for a"))

    a.ref.tell(fill_b)
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            error: Any = await b.ref.ask(ask_a)
            assert isinstance(error, AskCycle)
            assert error.cycle == (b.path, a.path, b.path)

        tasks.start_soon(ask)
        await wait_idle()
        b.ref.tell("in the way")
    await wait_idle()
    assert seen_by(b) == ["in the way", "for b"]


async def test_a_ring_may_close_over_an_ask_that_waits_for_room(
    stage: Stage,
) -> None:
    a, b = await stage.spawn(), await stage.spawn(capacity=1)

    async def ask_a(_: Puppet) -> object:
        await anyio.sleep(2)
        return await error_of(a.ref.ask("for a"))

    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            error: Any = await b.ref.ask(ask_a)
            assert isinstance(error, AskCycle)

        tasks.start_soon(ask)
        await wait_idle()
        b.ref.tell("in the way")
        assert await a.ref.ask(lambda _: b.ref.ask("for b")) == "for b"


async def test_statistics_are_those_of_the_mailbox(stage: Stage) -> None:
    cell = await stage.spawn(capacity=7)
    cell.ref.tell(1)
    assert cell.ref.statistics() == cell.mailbox.statistics()
    assert cell.ref.statistics().capacity == 7
