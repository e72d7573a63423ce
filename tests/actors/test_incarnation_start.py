"""It runs when its hook has returned; what did not start is never stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom.actors import (
    Actor,
    Crashed,
    Decline,
    Declined,
    ExitReason,
    Killed,
    Shutdown,
    StartFailed,
    State,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Puppet, Stage, fail, hang, hang_deaf

pytestmark = pytest.mark.anyio


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
