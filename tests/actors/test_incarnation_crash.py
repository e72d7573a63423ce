"""An error ends it: the message is a dead letter, and whoever asked is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom.actors import ActorCrashed, Crashed, StartFailed, Undelivered

from .stage import ERROR, Nanny, Puppet, Stage, fail

pytestmark = pytest.mark.anyio


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


# -- cancelled natively, which only asyncio can ----------------------------


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
