"""What an actor has besides its mailbox, and that it ends with the incarnation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import (
    ActorCrashed,
    ActorNotAlive,
    AskTimeout,
    Context,
    Crashed,
    Down,
    Killed,
    Monitor,
    Normal,
    Overflow,
    Reply,
    Shutdown,
    StartFailed,
    State,
    Timer,
    Undelivered,
)
from greenroom.actors._belongings import _Task  # pyright: ignore[reportPrivateUsage]  # what cannot be had otherwise
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Puppet, Stage, asyncio_only, native_task, takes

pytestmark = pytest.mark.anyio

ERROR = ValueError("no")


def fail(*_: object) -> None:
    raise ERROR


async def fail_later(*_: object) -> None:
    await anyio.sleep(1)
    raise ERROR


async def hang(*_: object) -> None:
    await anyio.sleep_forever()


def seen_by(cell: Any) -> list[object]:
    assert isinstance(cell.actor, Puppet)
    return cell.actor.seen


# -- the context -----------------------------------------------------------


async def test_a_context_knows_where_its_actor_stands(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny(), path="/chat/room-7")
    cell.ref.tell(fail)
    context: Any = await cell.ref.ask(lambda puppet: puppet.context)
    assert context.__class__ is Context
    assert context.ref is cell.ref
    assert context.path == "/chat/room-7"
    assert context.mailbox is cell.mailbox
    assert context.runtime is stage.runtime
    assert context.incarnation == 2


async def test_a_context_outlives_its_incarnation_to_no_effect(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    other = await stage.spawn()
    stale: Any = await cell.ref.ask(lambda puppet: puppet.context)
    cell.ref.tell(fail)
    assert await cell.ref.ask("again") == "again"
    stale.stop()
    attempts: list[Callable[[], object]] = [
        lambda: stale.start_soon(hang),
        lambda: stale.send_after(1, "no"),
        lambda: stale.send_every(1, "no"),
        lambda: stale.bind_to(other.ref),
    ]
    for attempt in attempts:
        with pytest.raises(ActorNotAlive, match="Crashed"):
            attempt()
    await other.ref.stop()
    assert cell.state is State.RUNNING
    assert not stale.defer_reply().wanted


# -- tasks -----------------------------------------------------------------


async def test_a_task_runs_beside_its_actor(stage: Stage) -> None:
    cell = await stage.spawn()
    log: list[str] = []

    async def work(name: str, times: int) -> None:
        for _ in range(times):
            await anyio.sleep(1)
            log.append(name)

    def start(puppet: Puppet) -> None:
        puppet.context.start_soon(work, "a", 2)

    cell.ref.tell(start)
    assert await cell.ref.ask("meanwhile") == "meanwhile"
    await anyio.sleep(3)
    assert log == ["a", "a"]


async def test_tasks_end_after_the_last_message_and_before_stopped(
    stage: Stage,
) -> None:
    log: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.1)
            log.append("task")

    def stopped(*_: object) -> None:
        log.append("stopped")

    puppet = Puppet(stopped=stopped)
    cell = await stage.spawn(puppet)

    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        log.append("message")

    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    cell.ref.tell(handle)
    await wait_idle()
    await cell.ref.stop()
    assert log == ["message", "task", "stopped"]


async def test_a_task_that_has_not_begun_ends_at_its_first_checkpoint(
    stage: Stage,
) -> None:
    log: list[str] = []

    async def work() -> None:
        log.append("begun")
        await anyio.sleep(1)
        log.append("never")

    def start_and_stop(puppet: Puppet) -> None:
        puppet.context.start_soon(work)
        puppet.context.stop()

    cell = await stage.spawn()
    cell.ref.tell(start_and_stop)
    assert await cell.wait_stopped() == Normal()
    assert log == ["begun"]


async def test_a_task_that_the_stop_hook_starts_ends_as_well(stage: Stage) -> None:
    log: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    async def stopped(puppet: Puppet, _: object) -> None:
        puppet.context.start_soon(work)
        await anyio.sleep(1)

    cell = await stage.spawn(Puppet(stopped=stopped))
    await cell.ref.stop()
    assert log == ["ended"]


async def test_a_task_that_fails_crashes_its_actor(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.start_soon(fail_later))
    with pytest.raises(ActorCrashed) as crashed:
        await cell.ref.ask(hang)
    assert crashed.value.__cause__ is ERROR
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert stage.lost == [(hang, Undelivered.CRASHED)]


async def test_a_task_that_fails_as_its_actor_starts_is_a_failed_start(
    stage: Stage,
) -> None:
    async def started(puppet: Puppet) -> None:
        puppet.context.start_soon(fail_later)
        await anyio.sleep_forever()

    cell = stage.cell(Puppet(started=started))
    cell.start()
    assert await cell.wait_started() == StartFailed(ERROR)


async def test_a_task_that_fails_just_as_its_actor_has_started_crashes_it(
    stage: Stage,
) -> None:
    async def started(puppet: Puppet) -> None:
        with anyio.CancelScope(shield=True):
            puppet.context.start_soon(fail_later)
            await anyio.sleep(2)

    puppet = Puppet(started=started)
    cell = stage.cell(puppet)
    cell.start()
    assert await cell.wait_started() is None
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert puppet.reasons == [Crashed(ERROR)]


async def test_the_first_of_several_failures_counts(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    other = KeyError("the second")

    async def fail_too() -> None:
        await anyio.sleep(1)
        with anyio.CancelScope(shield=True):
            await wait_idle()
        raise other

    def start(puppet: Puppet) -> None:
        puppet.context.start_soon(fail_later)
        puppet.context.start_soon(fail_too)

    cell = await stage.spawn()
    cell.ref.tell(start)
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert f"a part of {cell.path} failed as it ended" in caplog.text


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_task_that_fails_as_it_is_cancelled_is_logged(
    stage: Stage, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ERROR

    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    await wait_idle()
    if how == "stop":
        cell.ref.stop_nowait()
        assert await cell.wait_stopped() == Shutdown()
    else:
        cell.ref.kill()
        assert await cell.wait_stopped() == Killed()
    assert f"a part of {cell.path} failed as it ended" in caplog.text


async def test_what_is_fatal_in_a_task_ends_the_system(stage: Stage) -> None:
    fatal = SystemExit(3)

    async def work() -> None:
        raise fatal

    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    assert await cell.wait_stopped() == Crashed(fatal)
    assert stage.runtime.fatal_error is fatal
    stage.runtime.fatal_error = None


async def test_a_kill_cancels_the_tasks_and_waits_for_them(stage: Stage) -> None:
    log: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.2)
            log.append("ended")

    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    await wait_idle()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert log == ["ended"]


async def test_a_task_that_cannot_be_cancelled_is_not_waited_for(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(9)

    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    await wait_idle()
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(0.5)
    assert f"a task of {cell.path} cannot be cancelled" in caplog.text


async def test_such_a_task_does_no_harm_to_the_next_incarnation(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(9)
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    cell.ref.tell(fail)
    await anyio.sleep(5)
    assert cell.incarnation == 2
    await anyio.sleep(5)
    assert await cell.ref.ask("still there") == "still there"
    assert cell.incarnation == 2
    assert f"a part of {cell.path} failed as it ended" in caplog.text


async def test_asks_of_a_task_close_no_cycle(stage: Stage) -> None:
    answers: list[object] = []

    def start(puppet: Puppet) -> None:
        async def work() -> None:
            answers.append(await puppet.context.ref.ask("from beside"))

        puppet.context.start_soon(work)

    cell = await stage.spawn()
    cell.ref.tell(start)
    await wait_idle()
    assert answers == ["from beside"]


@asyncio_only
async def test_an_actor_whose_task_is_cancelled_natively_has_lost_a_part(
    stage: Stage,
) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def work() -> None:
        tasks.append(native_task())
        await anyio.sleep_forever()

    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(lambda puppet: puppet.context.start_soon(work))
    await wait_idle()
    tasks[0].cancel()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == [Killed()]


# -- timers ----------------------------------------------------------------


async def test_a_timer_tells_its_actor_once(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.ask(lambda puppet: puppet.context.send_after(2, "tick"))
    await anyio.sleep(1.9)
    assert seen_by(cell) == []
    await anyio.sleep(5)
    assert seen_by(cell) == ["tick"]


async def test_timers_do_not_know_of_each_other(stage: Stage) -> None:
    def set_both(puppet: Puppet) -> None:
        puppet.context.send_after(2, "late")
        puppet.context.send_after(1, "early")

    cell = await stage.spawn()
    cell.ref.tell(set_both)
    await anyio.sleep(3)
    assert seen_by(cell) == ["early", "late"]


async def test_a_periodic_timer_tells_it_again_and_again(stage: Stage) -> None:
    cell = await stage.spawn()
    timer: Any = await cell.ref.ask(lambda puppet: puppet.context.send_every(2, "tick"))
    await anyio.sleep(7)
    assert seen_by(cell) == ["tick"] * 3
    timer.cancel()
    await anyio.sleep(7)
    assert seen_by(cell) == ["tick"] * 3


async def test_a_timers_message_can_be_a_coroutine_functions(stage: Stage) -> None:
    async def handle(puppet: Puppet) -> None:
        await anyio.sleep(1)
        puppet.seen.append("handled")

    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_after(0, handle))
    await anyio.sleep(2)
    assert seen_by(cell) == ["handled"]


async def test_a_slow_actor_collects_no_ticks(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_every(1, "tick"))
    cell.ref.tell(lambda _: anyio.sleep(5.5))
    await anyio.sleep(6.25)
    assert seen_by(cell) == ["tick", "tick"]


async def test_a_timer_dies_with_its_incarnation(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(lambda puppet: puppet.context.send_after(2, "tick"))
    cell.ref.tell(fail)
    await anyio.sleep(5)
    assert seen_by(cell) == []
    assert [why for _, why in stage.lost] == [Undelivered.CRASHED]


async def test_a_tick_in_the_mailbox_is_for_the_incarnation_that_set_it(
    stage: Stage,
) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(3)
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(lambda puppet: puppet.context.send_after(2, "tick"))
    cell.ref.tell(handle)
    await anyio.sleep(5)
    assert await cell.ref.ask("again") == "again"
    assert seen_by(cell) == ["again"]
    assert stage.lost == [
        (handle, Undelivered.CRASHED),
        ("tick", Undelivered.EXPIRED),
    ]


async def test_a_cancelled_timer_takes_back_its_tick(stage: Stage) -> None:
    def set_and_cancel(puppet: Puppet) -> None:
        timers.append(puppet.context.send_after(1, "tick"))

    timers: list[Timer] = []
    cell = await stage.spawn()
    cell.ref.tell(set_and_cancel)
    cell.ref.tell(lambda _: anyio.sleep(2))
    await anyio.sleep(1.5)
    timers[0].cancel()
    timers[0].cancel()
    await anyio.sleep(5)
    assert seen_by(cell) == []
    assert stage.lost == [("tick", Undelivered.EXPIRED)]


async def test_a_tick_that_finds_no_room_is_a_dead_letter(stage: Stage) -> None:
    cell = await stage.spawn(capacity=1)
    cell.ref.tell(lambda puppet: puppet.context.send_every(1, "tick"))
    await wait_idle()
    cell.ref.tell(lambda _: anyio.sleep(2.5))
    await wait_idle()
    cell.ref.tell("in the way")
    await anyio.sleep(2.25)
    assert stage.lost == [("tick", Undelivered.OVERFLOW)] * 2
    await anyio.sleep(2)
    assert seen_by(cell) == ["in the way", "tick", "tick"]


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLD, Overflow.DROP_NEW])
async def test_a_periodic_timer_survives_the_drop_of_a_tick(
    stage: Stage, overflow: Overflow
) -> None:
    cell = await stage.spawn(capacity=1, overflow=overflow)
    cell.ref.tell(lambda puppet: puppet.context.send_every(1, "tick"))
    await wait_idle()
    cell.ref.tell(lambda _: anyio.sleep(1.5))
    if overflow is Overflow.DROP_NEW:
        await wait_idle()
        cell.ref.tell("in the way")
    await anyio.sleep(1.25)
    if overflow is Overflow.DROP_OLD:
        cell.ref.tell("in the way")
    assert stage.lost == [("tick", Undelivered.OVERFLOW)]
    await anyio.sleep(2)
    assert seen_by(cell) == ["in the way", "tick", "tick"]


async def test_a_timer_whose_message_cannot_be_weighed_crashes_the_actor(
    stage: Stage,
) -> None:
    def weigh(message: object) -> int:
        if message == "tick":
            raise ERROR
        return 1

    cell = await stage.spawn(weigh=weigh, max_weight=9)
    cell.ref.tell(lambda puppet: puppet.context.send_after(1, "tick"))
    assert await cell.wait_stopped() == Crashed(ERROR)


@pytest.mark.parametrize("seconds", [-1, float("nan")])
async def test_a_delay_is_not_negative(stage: Stage, seconds: float) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_after(seconds, "tick"))
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert str(reason.error) == f"seconds must be at least 0, got {seconds!r}"


async def test_an_interval_is_above_zero(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_every(0, "tick"))
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert str(reason.error) == "seconds between ticks must be above 0, got 0"


async def test_an_interval_too_short_for_the_clock_does_not_stop_the_world(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    await anyio.sleep(10)
    timer: Any = await cell.ref.ask(
        lambda puppet: puppet.context.send_every(1e-18, "tick")
    )
    for _ in range(10):
        await checkpoint()
    timer.cancel()
    assert await cell.ref.ask("alive") == "alive"


# -- watches ---------------------------------------------------------------


async def test_a_watch_brings_one_down(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    monitor: Any = await watcher.ref.ask(lambda _: watched.ref.monitor())
    watched.ref.tell(fail)
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Crashed(ERROR))]
    assert (await monitor.wait()).reason == Crashed(ERROR)


async def test_a_down_goes_before_everything_that_waits(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.tell(lambda _: anyio.sleep(1))
    watcher.ref.tell("waits")
    await wait_idle()
    await watched.ref.stop()
    await anyio.sleep(2)
    assert seen_by(watcher) == [Down(watched.ref, Shutdown()), "waits"]


async def test_each_watch_has_its_own_down(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()

    def watch_twice(_: Puppet) -> None:
        watched.ref.monitor()
        watched.ref.monitor()

    await watcher.ref.ask(watch_twice)
    await watched.ref.stop()
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Shutdown())] * 2


async def test_watching_what_has_ended_brings_the_down_at_once(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    await watched.ref.stop()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Shutdown())]


async def test_a_restart_is_no_end(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn(Puppet, Nanny())
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watched.ref.tell(fail)
    await wait_idle()
    assert watched.incarnation == 2
    assert seen_by(watcher) == []
    await watched.ref.stop()
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Shutdown())]


async def test_a_watch_that_is_cancelled_brings_nothing(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    monitor: Any = await watcher.ref.ask(lambda _: watched.ref.monitor())
    monitor.cancel()
    monitor.cancel()
    await watched.ref.stop()
    await wait_idle()
    assert seen_by(watcher) == []


async def test_cancelling_takes_back_a_down_that_waits(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    monitor: Any = await watcher.ref.ask(lambda _: watched.ref.monitor())

    async def handle(_: Puppet) -> None:
        await anyio.sleep(2)
        monitor.cancel()

    watcher.ref.tell(handle)
    await wait_idle()
    await watched.ref.stop()
    assert await watcher.ref.ask("next") == "next"
    assert seen_by(watcher) == ["next"]


async def test_a_watch_ends_with_the_incarnation_that_began_it(stage: Stage) -> None:
    watcher = await stage.spawn(Puppet, Nanny())
    watched = await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.tell(fail)
    await wait_idle()
    await watched.ref.stop()
    await wait_idle()
    assert watcher.incarnation == 2
    assert seen_by(watcher) == []


async def test_a_down_that_waits_ends_with_the_incarnation_too(stage: Stage) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    watcher = await stage.spawn(Puppet, Nanny())
    watched = await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.tell(handle)
    await wait_idle()
    await watched.ref.stop()
    await anyio.sleep(2)
    assert watcher.incarnation == 2
    assert seen_by(watcher) == []


async def test_a_down_for_one_that_is_stopping_harms_nobody(stage: Stage) -> None:
    watcher = await stage.spawn(Puppet(stopped=takes(1)))
    watched = await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.stop_nowait()
    await wait_idle()
    await watched.ref.stop()
    assert await watcher.wait_stopped() == Shutdown()


async def test_a_crash_over_a_down_is_a_crash(stage: Stage) -> None:
    class Fragile(Puppet):
        def receive(self, message: Any) -> object:
            if isinstance(message, Down):
                raise ERROR
            return super().receive(message)

    watcher, watched = await stage.spawn(Fragile), await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    await watched.ref.stop()
    assert await watcher.wait_stopped() == Crashed(ERROR)
    assert stage.lost == []


async def test_one_bound_to_another_ends_with_its_reason(stage: Stage) -> None:
    puppet = Puppet()
    bound, other = await stage.spawn(puppet), await stage.spawn()
    await bound.ref.ask(lambda puppet: puppet.context.bind_to(other.ref))
    await other.ref.stop(Shutdown("together"))
    assert await bound.wait_stopped() == Shutdown("together")
    assert puppet.reasons == [Shutdown("together")]
    assert puppet.seen == []


async def test_one_bound_to_what_has_ended_ends_at_once(stage: Stage) -> None:
    bound, other = await stage.spawn(), await stage.spawn()
    await other.ref.stop()
    bound.ref.tell(lambda puppet: puppet.context.bind_to(other.ref))
    assert await bound.wait_stopped() == Shutdown()


async def test_one_that_hears_of_an_end_may_unbind_another(stage: Stage) -> None:
    """Whoever is told first may cancel what others would be told."""
    other = await stage.spawn()
    late: list[Monitor] = []

    first = await stage.spawn()
    await first.ref.ask(lambda puppet: puppet.context.bind_to(other.ref))
    second = await stage.spawn()
    watch = await second.ref.ask(lambda _: other.ref.monitor())
    assert isinstance(watch, Monitor)
    late.append(watch)
    # Stopping closes the first one's mailbox, which is heard of in place.
    first.ref.tell(lambda _: anyio.sleep(1))
    first.ref.tell("lost as it stops")
    await wait_idle()
    stage.runtime.dead_letters.listen(lambda _: late[0].cancel())
    await other.ref.stop()
    await first.wait_stopped()
    await wait_idle()
    assert seen_by(second) == []
    assert late[0].down is None


# -- promises --------------------------------------------------------------


async def test_an_answer_can_be_put_off(stage: Stage) -> None:
    replies: list[Reply] = []

    def defer(puppet: Puppet) -> object:
        replies.append(puppet.context.defer_reply())
        return "unused"

    cell = await stage.spawn()
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await cell.ref.ask(defer))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        assert await cell.ref.ask("meanwhile") == "meanwhile"
        assert (answers, replies[0].wanted) == ([], True)
        replies[0].send("at last")
        replies[0].send("ignored")
        replies[0].fail(ERROR)
    assert answers == ["at last"]
    assert not replies[0].wanted


async def test_an_answer_put_off_can_be_an_error(stage: Stage) -> None:
    cell = await stage.spawn()

    def refuse(puppet: Puppet) -> None:
        puppet.context.defer_reply().fail(ERROR)

    with pytest.raises(ValueError, match="no"):
        await cell.ref.ask(refuse)
    assert cell.state is State.RUNNING


async def test_nobody_wants_the_answer_to_what_was_told(stage: Stage) -> None:
    replies: list[Reply] = []
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: replies.append(puppet.context.defer_reply()))
    await wait_idle()
    assert not replies[0].wanted
    replies[0].send(1)
    replies[0].fail(ERROR)


async def test_who_waits_for_an_answer_put_off_is_told_of_the_end(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await cell.ref.ask(lambda puppet: puppet.context.defer_reply())
        except ActorNotAlive as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        cell.ref.stop_nowait()
    [error] = errors
    assert isinstance(error, ActorNotAlive)
    assert error.reason == Shutdown()


async def test_a_promise_made_before_a_crash_over_the_same_ask_is_broken(
    stage: Stage,
) -> None:
    def defer_and_fail(puppet: Puppet) -> None:
        puppet.context.defer_reply()
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    with pytest.raises(ActorCrashed):
        await cell.ref.ask(defer_and_fail)


async def test_answers_that_were_given_are_not_kept(stage: Stage) -> None:
    open_ones: list[Reply] = []

    def defer(puppet: Puppet) -> None:
        reply = puppet.context.defer_reply()
        if len(open_ones) < 20:
            open_ones.append(reply)
        else:
            reply.send("at once")

    cell = await stage.spawn()
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(ActorNotAlive):
                await cell.ref.ask(defer, timeout=None)

        for _ in range(20):
            tasks.start_soon(ask)
        await wait_idle()
        for _ in range(500):
            assert await cell.ref.ask(defer) == "at once"
        life = cell.life
        assert life is not None
        kept = [each for each in gc.get_referents(life.belongings) if _is_dict(each)]
        assert [len(each) for each in kept] == [20]
        cell.ref.stop_nowait()


async def test_those_who_do_not_wait_any_longer_are_not_kept(stage: Stage) -> None:
    open_ones: list[Reply] = []

    def defer(puppet: Puppet) -> None:
        open_ones.append(puppet.context.defer_reply())

    cell = await stage.spawn()
    for _ in range(100):
        with pytest.raises(AskTimeout):
            await cell.ref.ask(defer, timeout=0.01)
    life = cell.life
    assert life is not None
    (kept,) = [each for each in gc.get_referents(life.belongings) if _is_dict(each)]
    assert 0 < len(kept) <= 16
    cell.ref.stop_nowait()


def _is_dict(thing: object) -> bool:
    return isinstance(thing, dict)


async def test_a_task_torn_down_with_its_loop_is_nobodys_failure(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    life = cell.life
    assert life is not None
    coroutine = _Task(life.belongings).run(hang, ())
    coroutine.send(None)
    coroutine.close()
    assert await cell.ref.ask("fine") == "fine"
