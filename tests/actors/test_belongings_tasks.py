"""A task runs beside its actor, ends with it, and crashes it when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from greenroom.actors import (
    ActorCrashed,
    Crashed,
    Killed,
    Normal,
    Shutdown,
    StartFailed,
    Undelivered,
)
from greenroom.actors._belongings import _Task  # pyright: ignore[reportPrivateUsage]  # what cannot be had otherwise
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, asyncio_only, fail, hang, native_task

pytestmark = pytest.mark.anyio


async def fail_later(*_: object) -> None:
    await anyio.sleep(1)
    raise ERROR


def lingering(log: list[str]) -> Callable[[], Awaitable[None]]:
    """What runs until it is cancelled, and 0.2 s more."""

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.2)
            log.append("ended")

    return work


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
    work = lingering(log)

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
    assert log == ["message", "ended", "stopped"]


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
    work = lingering(log)

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
    work = lingering(log)
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


# -- promises --------------------------------------------------------------


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
