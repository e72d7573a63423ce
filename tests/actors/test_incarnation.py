"""How one incarnation starts, ends, and what that makes of its exit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest

from greenroom.actors import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    Cell,
    Crashed,
    Decline,
    Declined,
    ExitReason,
    Killed,
    Normal,
    Shutdown,
    StartFailed,
    State,
    Undelivered,
)
from greenroom.actors._incarnation import Incarnation
from greenroom.testing._clock import wait_idle

from .stage import Line, Nanny, Puppet, Stage, asyncio_only, native_task, takes

pytestmark = pytest.mark.anyio

ERROR = ValueError("no")


def fail(*_: object) -> None:
    raise ERROR


def never(_: ExitReason) -> bool:
    return False


async def hang(*_: object) -> None:
    await anyio.sleep_forever()


async def hang_deaf(*_: object) -> None:
    """Swallow one cancellation, and go on for a while where none comes through."""
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3)


class Quiet(Actor[object]):
    """Leaves every hook as it is."""

    def receive(self, message: object) -> object:
        return message


# -- starting --------------------------------------------------------------


async def test_it_runs_when_started_has_returned(stage: Stage) -> None:
    cell = stage.cell(Puppet(started=lambda _: anyio.sleep(2)))
    assert (cell.state, cell.actor, cell.reason) == (State.EXITED, None, None)
    cell.start()
    assert cell.state is State.STARTING
    cell.ref.tell("early")
    assert await cell.wait_started() is None
    assert (cell.state, cell.incarnation, cell.ran) == (State.RUNNING, 1, True)
    assert await cell.ref.ask("late") == "late"
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["early", "late"]


async def test_an_actor_without_hooks_runs_at_once(stage: Stage) -> None:
    cell = await stage.spawn(Quiet, start_timeout=1)
    assert await cell.ref.ask(1) == 1
    assert await cell.ref.stop() == Shutdown()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(Puppet(started=fail), StartFailed(ERROR), id="its hook raises"),
        pytest.param(fail, StartFailed(ERROR), id="its factory raises"),
    ],
)
async def test_a_start_that_raises_has_failed(
    stage: Stage, make: Any, reason: ExitReason
) -> None:
    cell = stage.cell(make)
    cell.start()
    cell.ref.tell("waits")
    assert await cell.wait_started() == reason
    assert (cell.state, cell.reason, cell.ran) == (State.ENDED, reason, False)
    assert stage.lost == [("waits", Undelivered.STOPPED)]


async def test_a_factory_that_raised_is_not_helped_by_a_kill(stage: Stage) -> None:
    make: Any = fail
    cell = stage.cell(make)
    cell.start()
    cell.kill()
    assert await cell.wait_started() == StartFailed(ERROR)


async def test_what_did_not_start_is_not_stopped(stage: Stage) -> None:
    puppet = Puppet(started=fail)
    cell = stage.cell(puppet)
    cell.start()
    await cell.wait_stopped()
    assert puppet.reasons == []


async def test_a_factory_has_to_make_an_actor(stage: Stage) -> None:
    make: Any = dict
    cell = stage.cell(make)
    cell.start()
    reason = await cell.wait_started()
    assert isinstance(reason, StartFailed)
    assert str(reason.error) == "the factory must return an Actor, got {}"


async def test_a_start_may_take_only_so_long(stage: Stage) -> None:
    cell = stage.cell(Puppet(started=hang), start_timeout=1.5)
    cell.start()
    began = stage.runtime.now()
    reason = await cell.wait_started()
    assert stage.runtime.now() - began == pytest.approx(1.5)
    assert isinstance(reason, StartFailed)
    assert isinstance(reason.error, TimeoutError)
    assert str(reason.error) == "started took over 1.5 s"


async def test_a_start_in_time_is_fine(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(started=lambda _: anyio.sleep(1)), start_timeout=2)
    assert cell.state is State.RUNNING


def decline(_: Puppet) -> None:
    raise Decline


async def decline_in_a_group(_: Puppet) -> None:
    async def task() -> None:
        raise Decline

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task)


@pytest.mark.parametrize("started", [decline, decline_in_a_group])
async def test_an_actor_may_decline_to_start(
    stage: Stage, started: Callable[[Puppet], object]
) -> None:
    cell = stage.cell(Puppet(started=started))
    cell.start()
    assert await cell.wait_started() == Declined()


async def test_declining_later_is_a_crash(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(decline)
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, Decline)


async def test_everybody_who_waits_for_the_start_is_told(stage: Stage) -> None:
    cell = stage.cell(Puppet(started=lambda _: anyio.sleep(1)))
    cell.start()
    told: list[ExitReason | None] = []

    async def wait() -> None:
        told.append(await cell.wait_started())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
    assert told == [None, None, None]


async def test_one_that_ran_counts_as_started_though_it_is_over(stage: Stage) -> None:
    cell = stage.cell()
    cell.start()
    cell.ref.tell(fail)
    assert await cell.wait_started() is None
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert await cell.wait_started() is None


# -- stopping --------------------------------------------------------------


async def test_it_stops_after_the_message_in_flight(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)

    async def handle(puppet: Puppet) -> None:
        await anyio.sleep(2)
        puppet.seen.append("handled")

    cell.ref.tell(handle)
    cell.ref.tell("never")
    await wait_idle()
    cell.ref.stop_nowait(Normal())
    assert cell.state is State.STOPPING
    assert not cell.ref.alive
    assert await cell.wait_stopped() == Normal()
    assert puppet.seen == ["handled"]
    assert puppet.reasons == [Normal()]
    assert stage.lost == [("never", Undelivered.STOPPED)]


async def test_an_actor_can_stop_itself(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(lambda puppet: puppet.context.stop())
    assert await cell.wait_stopped() == Normal()
    assert puppet.reasons == [Normal()]


async def test_the_first_reason_counts(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.stop_nowait(Shutdown(1))
    cell.ref.stop_nowait(Shutdown(2))
    assert await cell.wait_stopped() == Shutdown(1)
    cell.ref.stop_nowait(Shutdown(3))
    assert cell.reason == Shutdown(1)


@pytest.mark.parametrize("grace", [0.0, 1.0])
async def test_the_message_in_flight_has_only_its_grace(
    stage: Stage, grace: float
) -> None:
    puppet = Puppet(stop_grace=grace)
    cell = await stage.spawn(puppet)
    cell.ref.tell(hang)
    await wait_idle()
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(grace)
    assert puppet.reasons == [Shutdown()]
    assert stage.lost == [(hang, Undelivered.CANCELLED)]


@pytest.mark.parametrize("grace", [0.0, 1.0])
async def test_without_a_message_in_flight_grace_costs_nothing(
    stage: Stage, grace: float
) -> None:
    cell = await stage.spawn(Puppet(stop_grace=grace))
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() == began
    await anyio.sleep(2)


async def test_the_grace_is_not_for_the_hook(stage: Stage) -> None:
    puppet = Puppet(stop_grace=1, stopped=takes(3))
    cell = await stage.spawn(puppet)
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(3)


async def test_a_message_of_the_system_lane_has_its_grace_too(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stop_grace=1))
    cell.mailbox.put_system(hang)
    await wait_idle()
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(1)


async def test_a_hook_that_fails_is_the_reason(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stopped=fail))
    assert await cell.ref.stop() == Crashed(ERROR)


async def test_a_hook_that_fails_after_a_crash_is_not(stage: Stage) -> None:
    first = KeyError("first")

    def crash(_: Puppet) -> None:
        raise first

    cell = await stage.spawn(Puppet(stopped=fail))
    cell.ref.tell(crash)
    assert await cell.wait_stopped() == Crashed(first)


async def test_a_crash_while_stopping_is_the_reason(stage: Stage) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(handle)
    await wait_idle()
    assert await cell.ref.stop() == Crashed(ERROR)
    assert puppet.reasons == [Crashed(ERROR)]


async def test_one_that_crashes_as_it_stops_may_be_started_again(stage: Stage) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(handle)
    await wait_idle()
    assert await cell.ref.stop() == Crashed(ERROR)
    assert cell.incarnation == 2
    # Its mailbox had been closed, because a shutdown would have been the end.
    assert await cell.ref.ask("again") == "again"


# -- stopping what is still starting ---------------------------------------


async def test_one_that_is_starting_is_cancelled(stage: Stage) -> None:
    puppet = Puppet(started=hang)
    cell = stage.cell(puppet)
    cell.start()
    await wait_idle()
    cell.request_stop(Shutdown())
    assert await cell.wait_started() == Shutdown()
    assert puppet.reasons == []


async def test_one_whose_task_has_not_begun_never_begins(stage: Stage) -> None:
    begun: list[Puppet] = []

    async def begin(puppet: Puppet) -> None:
        begun.append(puppet)

    cell = stage.cell(Puppet(started=begin))
    cell.start()
    cell.request_stop(Shutdown())
    assert await cell.wait_started() == Shutdown()
    killed = stage.cell(Puppet(started=begin))
    killed.start()
    killed.kill()
    assert await killed.wait_started() == Killed()
    assert begun == []


async def test_one_that_starts_all_the_same_is_stopped_properly(stage: Stage) -> None:
    async def started(puppet: Puppet) -> None:
        puppet.context.stop(Shutdown("at once"))

    puppet = Puppet(started=started)
    cell = stage.cell(puppet)
    cell.start()
    cell.ref.tell("never")
    assert await cell.wait_started() is None
    assert await cell.wait_stopped() == Shutdown("at once")
    assert puppet.reasons == [Shutdown("at once")]
    assert puppet.seen == []


async def test_a_start_that_fails_as_its_tasks_still_end_is_told_in_time(
    stage: Stage,
) -> None:
    """A start that failed must not look like one that went well meanwhile."""

    async def started(puppet: Puppet) -> None:
        puppet.context.start_soon(hang_deaf)
        await wait_idle()
        raise ERROR

    cell = stage.cell(Puppet(started=started))
    cell.start()
    assert await cell.wait_started() == StartFailed(ERROR)


# -- crashing --------------------------------------------------------------


async def test_a_message_in_flight_at_a_crash_is_a_dead_letter(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(fail)
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert puppet.reasons == [Crashed(ERROR)]
    [letter] = stage.letters
    assert (letter.message, letter.recipient) == (fail, cell.path)
    assert (letter.why, letter.error) == (Undelivered.CRASHED, ERROR)


async def test_a_message_in_flight_does_not_come_back(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell("before")
    cell.ref.tell(fail)
    cell.ref.tell("after")
    assert await cell.ref.ask(lambda puppet: puppet.seen) == ["after"]
    assert cell.incarnation == 2
    assert stage.lost == [(fail, Undelivered.CRASHED)]


async def test_who_asked_is_told_of_the_crash_at_once(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    with pytest.raises(ActorCrashed) as crashed:
        await cell.ref.ask(fail)
    assert crashed.value.path == cell.path
    assert crashed.value.__cause__ is ERROR
    assert stage.lost == [(fail, Undelivered.CRASHED)]


def in_a_group(*errors: BaseException) -> Callable[[Puppet], object]:
    async def one(error: BaseException) -> None:
        raise error

    async def handle(_: Puppet) -> None:
        async with anyio.create_task_group() as tasks:
            for error in errors:
                tasks.start_soon(one, error)
            await anyio.sleep_forever()

    return handle


async def test_a_group_with_one_leaf_is_judged_by_the_leaf(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(in_a_group(ERROR))
    assert await cell.wait_stopped() == Crashed(ERROR)


async def test_a_group_with_several_leaves_stays_one(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(in_a_group(ERROR, KeyError()))
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, ExceptionGroup)


@pytest.mark.parametrize("fatal", [KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("hook", ["started", "receive", "stopped"])
async def test_what_is_fatal_ends_the_system_in_order(
    stage: Stage, fatal: BaseException, grouped: bool, hook: str
) -> None:
    told: list[BaseException | None] = []
    stage.runtime.on_fatal = lambda: told.append(stage.runtime.fatal_error)

    def raises(*_: object) -> None:
        # From a task of its own asyncio would not let it through to anybody.
        raise BaseExceptionGroup("one", [fatal]) if grouped else fatal

    if hook == "receive":
        cell = await stage.spawn()
        cell.ref.tell(raises)
    else:
        hooks: dict[str, Any] = {hook: raises}
        cell = stage.cell(Puppet(**hooks))
        cell.start()
        cell.ref.tell(lambda puppet: puppet.context.stop())
    reason = await cell.wait_stopped()
    assert told == [fatal]
    assert reason == (StartFailed(fatal) if hook == "started" else Crashed(fatal))
    # Not for the stage to raise in the end.
    stage.runtime.fatal_error = None


# -- being killed ----------------------------------------------------------


async def test_a_kill_cancels_the_message_and_runs_no_hook(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    log: list[str] = []

    async def handle(_: Puppet) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("cleaned up")

    cell.ref.tell(handle)
    cell.ref.tell("never")
    await wait_idle()
    cell.ref.kill()
    assert not cell.ref.alive
    assert puppet.was_killed
    assert await cell.wait_stopped() == Killed()
    assert log == ["cleaned up"]
    assert puppet.reasons == []
    assert stage.lost == [
        ("never", Undelivered.STOPPED),
        (handle, Undelivered.CANCELLED),
    ]


async def test_who_asked_one_that_is_killed_is_told(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(ActorNotAlive) as gone:
                await cell.ref.ask(hang)
            assert gone.value.reason == Killed()

        tasks.start_soon(ask)
        await wait_idle()
        cell.ref.kill()
    assert cell.incarnation == 2


async def test_killing_twice_is_killing_once(stage: Stage) -> None:
    calls: list[Puppet] = []
    puppet = Puppet(killed=calls.append)
    cell = await stage.spawn(puppet)
    cell.ref.kill()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    cell.ref.kill()
    assert calls == [puppet]


async def test_one_that_is_starting_can_be_killed(stage: Stage) -> None:
    puppet = Puppet(started=hang)
    cell = stage.cell(puppet)
    cell.start()
    await wait_idle()
    cell.kill()
    assert await cell.wait_started() == Killed()
    assert puppet.was_killed
    assert puppet.reasons == []


async def test_one_that_is_stopping_can_be_killed(stage: Stage) -> None:
    puppet = Puppet(stopped=hang)
    cell = await stage.spawn(puppet)
    cell.ref.stop_nowait()
    await wait_idle()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == [Shutdown()]


async def test_a_message_that_survives_the_kill_is_the_last(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet, Nanny(wants=lambda _: True, later=True))
    cell.ref.tell(hang_deaf)
    cell.ref.tell("never by this one")
    await wait_idle()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert puppet.seen == []
    assert cell.mailbox.handled == 1
    assert len(cell.mailbox.queue) == 1


async def test_a_start_that_survives_the_kill_is_no_start(stage: Stage) -> None:
    puppet = Puppet(started=hang_deaf)
    cell = stage.cell(puppet)
    cell.start()
    await wait_idle()
    cell.kill()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == []


async def test_an_error_of_killed_is_logged_and_it_dies_all_the_same(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cell = await stage.spawn(Puppet(killed=fail))
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert f"killed() of {cell.path} raised" in caplog.text


# -- being given up --------------------------------------------------------


@pytest.mark.parametrize("asked", [False, True])
async def test_one_that_cannot_be_killed_can_be_given_up(
    stage: Stage, asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    nanny = Nanny()
    puppet = Puppet()
    cell = await stage.spawn(puppet, nanny)
    nanny.wants = never
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await cell.ref.ask(hang_deaf)
        except ActorNotAlive as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        if asked:
            tasks.start_soon(ask)
        else:
            cell.ref.tell(hang_deaf)
        await wait_idle()
        monitor = cell.ref.monitor()
        cell.kill()
        await wait_idle()
        assert not cell.ref.alive
        cell.abandon()
        assert cell.state is State.ENDED
        assert nanny.exits == [Killed()]
        assert (await monitor.wait()).reason == Killed()
        assert await cell.wait_stopped() == Killed()
    assert len(errors) == asked
    assert f"{cell.path} cannot be killed" in caplog.text
    # It is still being handled, and so it is in the books.
    assert cell.mailbox.pending == 1
    await anyio.sleep(4)
    assert cell.mailbox.pending == 0
    assert (cell.state, cell.reason, nanny.exits) == (
        State.ENDED,
        Killed(),
        [Killed()],
    )
    assert puppet.reasons == []


@pytest.mark.parametrize("hook", ["started", "stopped"])
async def test_a_hook_that_cannot_be_cancelled_is_given_up_likewise(
    stage: Stage, hook: str
) -> None:
    nanny = Nanny(wants=lambda _: False)
    hooks: dict[str, Any] = {hook: hang_deaf}
    cell = stage.cell(Puppet(**hooks), nanny)
    cell.start()
    cell.ref.tell(lambda puppet: puppet.context.stop())
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    cell.abandon()
    assert nanny.exits == [Killed()]
    await anyio.sleep(4)
    assert (cell.state, nanny.exits) == (State.ENDED, [Killed()])


async def test_one_that_was_given_up_can_begin_nothing_any_more(stage: Stage) -> None:
    refused: list[Exception] = []

    async def handle(puppet: Puppet) -> None:
        await hang_deaf()
        context = puppet.context
        context.stop()
        attempts: list[Callable[[], object]] = [
            lambda: context.start_soon(hang),
            lambda: context.send_after(1, "later"),
            lambda: context.ref.monitor(),
        ]
        for attempt in attempts:
            try:
                attempt()
            except ActorNotAlive as error:
                refused.append(error)

    cell = await stage.spawn()
    cell.ref.tell(handle)
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    await anyio.sleep(4)
    assert len(refused) == 3
    assert cell.mailbox.pending == 0


async def test_what_fails_after_it_was_given_up_is_nobodys_failure(
    stage: Stage,
) -> None:
    async def handle(_: Puppet) -> None:
        await hang_deaf()
        raise ERROR

    cell = await stage.spawn()
    cell.ref.tell(handle)
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    await anyio.sleep(4)
    assert cell.reason == Killed()
    assert stage.lost == [(handle, Undelivered.CRASHED)]


async def test_there_is_nobody_to_be_given_up_before_a_start_or_after_an_end(
    stage: Stage,
) -> None:
    cell = stage.cell()
    cell.abandon()
    assert cell.state is State.EXITED
    cell.start()
    await cell.wait_started()
    await cell.ref.stop()
    cell.abandon()
    assert cell.reason == Shutdown()


# -- cancelled natively, which only asyncio can ----------------------------


async def task_of(cell: Cell[Line]) -> asyncio.Task[Any]:
    task: Any = await cell.ref.ask(lambda _: native_task())
    return cast("asyncio.Task[Any]", task)


@asyncio_only
async def test_cancelled_natively_an_idle_actor_is_killed_but_stops_properly(
    stage: Stage,
) -> None:
    counts: list[int] = []

    def count(*_: object) -> None:
        counts.append(native_task().cancelling())

    puppet = Puppet(stopped=count)
    cell = await stage.spawn(puppet)
    (await task_of(cell)).cancel()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == [Killed()]
    # Dealt with: asyncio's own timeouts in the hook go by that count.
    assert counts == [0]


@asyncio_only
async def test_cancelled_natively_over_a_message_it_loses_nothing(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    task = await task_of(cell)
    cell.ref.tell(hang)
    cell.ref.tell("kept")
    await wait_idle()
    task.cancel()
    assert await cell.wait_stopped() == Killed()
    assert await cell.ref.ask(lambda puppet: puppet.seen) == ["kept"]
    assert stage.lost == [(hang, Undelivered.CANCELLED)]


@asyncio_only
async def test_cancelled_natively_in_the_tick_of_a_message_it_loses_nothing(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    task = await task_of(cell)
    await wait_idle()
    cell.ref.tell("kept")
    task.cancel()
    assert await cell.wait_stopped() == Killed()
    assert await cell.ref.ask(lambda puppet: puppet.seen) == ["kept"]
    assert stage.lost == []


@asyncio_only
async def test_cancelled_natively_as_it_starts_it_has_not_started(stage: Stage) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def started(_: Puppet) -> None:
        tasks.append(native_task())
        await anyio.sleep_forever()

    cell = stage.cell(Puppet(started=started))
    cell.start()
    await wait_idle()
    tasks[0].cancel()
    assert await cell.wait_started() == Killed()


@asyncio_only
async def test_cancelled_natively_as_it_stops_it_is_killed(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stopped=hang))
    task = await task_of(cell)
    cell.ref.stop_nowait()
    await wait_idle()
    task.cancel()
    assert await cell.wait_stopped() == Killed()


@asyncio_only
async def test_cancelled_natively_while_its_tasks_end_it_ends(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    task = await task_of(cell)
    cell.ref.tell(lambda puppet: puppet.context.start_soon(hang_deaf))
    cell.ref.tell(lambda puppet: puppet.context.stop())
    await wait_idle()
    task.cancel()
    assert await cell.wait_stopped() == Normal()
    assert puppet.reasons == [Normal()]


async def test_a_timeout_of_the_users_own_is_an_error_like_any_other(
    stage: Stage,
) -> None:
    async def handle(_: Puppet) -> None:
        with anyio.fail_after(1):
            await anyio.sleep_forever()

    cell = await stage.spawn()
    cell.ref.tell(handle)
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, TimeoutError)


@pytest.mark.parametrize("hook", ["started", "receive"])
async def test_one_torn_down_with_its_loop_does_not_go_on(
    stage: Stage, hook: str
) -> None:
    """A coroutine that is closed must end there, whatever it was about."""
    puppet = Puppet(started=hang if hook == "started" else None)
    life = Incarnation[Any](stage.cell(), 1)
    stage.cells[-1].mailbox.put(hang)
    life.make(lambda: puppet)
    coroutine = life.live(math.inf)
    coroutine.send(None)
    coroutine.close()
    assert life.state is (State.STARTING if hook == "started" else State.RUNNING)
    assert puppet.reasons == []
    stage.cells.clear()
