"""An ask ends by its deadline, whatever becomes of the actor."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import (
    ActorCrashed,
    ActorNotAlive,
    AskTimeout,
    Crashed,
    Request,
    SendTimeout,
    Shutdown,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, asyncio_only, fail, seen_by, takes
from .waiting import error_of, full, while_waiting

pytestmark = pytest.mark.anyio


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
    async with while_waiting(cell.ref.ask("second")) as errors:
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
    async with while_waiting(cell.ref.ask("waits")) as errors:
        cell.ref.stop_nowait()
    assert stage.runtime.now() == began
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
    async with while_waiting(cell.ref.ask("patient")) as errors:
        cell.end(Crashed(ERROR))
    assert isinstance(errors[0], ActorCrashed)


async def test_a_final_stop_between_two_incarnations_fails_the_asks(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.tell(fail)
    await cell.wait_stopped()
    async with while_waiting(cell.ref.ask("patient")) as errors:
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
