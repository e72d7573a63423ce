from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import threading
import time
from collections.abc import Generator
from importlib.metadata import version
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

from greenroom import ActorNotAlive, Killed
from greenroom.actors import Cell, Runtime, run_actors
from greenroom.testing._clock import virtual_backend, wait_idle

from .stage import Puppet, Stage, native_task

pytestmark = pytest.mark.anyio

ANYIO = tuple(int(part) for part in version("anyio").split(".")[:2])
COLOUR = contextvars.ContextVar("colour", default="none")


class Alarm:
    """Something with a deadline."""

    done = False

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.rang = anyio.Event()

    def expire(self) -> None:
        self.done = True
        self.rang.set()


async def test_actors_start_in_the_context_that_the_ground_was_opened_in() -> None:
    seen: list[str] = []

    async def look(_: object) -> None:
        seen.append(COLOUR.get())
        COLOUR.set("stained")

    COLOUR.set("opened")
    async with run_actors() as runtime:
        COLOUR.set("spawned")
        runtime.start_task(look, None)
        runtime.start_task(look, None)
        await wait_idle()

    assert seen == ["opened", "opened"]


async def test_deadlines_are_kept(anyio_backend_name: str) -> None:
    async with run_actors() as runtime:
        assert runtime.backend == anyio_backend_name
        alarm = Alarm(runtime.now() + 5)
        runtime.deadlines.add(alarm)
        await alarm.rang.wait()
        assert runtime.now() >= alarm.deadline


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_virtual_loop_has_virtual_clocks(backend: str) -> None:
    async def main() -> tuple[float, float]:
        async with run_actors() as runtime:
            now, tick = runtime.now(), runtime.tick()
            await anyio.sleep(3600)
            return runtime.now() - now, runtime.tick() - tick

    name, options = virtual_backend(backend)
    if backend == "trio" and ANYIO < (4, 14):
        pytest.skip("anyio.run() hands Trio no options")

    assert anyio.run(main, backend=name, backend_options=options) == (3600, 3600)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_real_loop_measures_turns_by_a_real_clock(backend: str) -> None:
    async def main() -> tuple[object, float]:
        async with run_actors() as runtime:
            return runtime.tick, runtime.now() - anyio.current_time()

    tick, difference = anyio.run(main, backend=backend)

    assert tick is (time.monotonic if backend == "asyncio" else time.perf_counter)
    assert abs(difference) < 5


async def test_actors_are_shielded_from_the_cancellation_of_the_block() -> None:
    reached: list[str] = []
    cells: list[Cell[Any]] = []
    with anyio.CancelScope() as scope:
        async with run_actors() as runtime:
            stage = Stage(runtime)
            cell = await stage.spawn()
            cells.append(cell)
            scope.cancel()
            with anyio.CancelScope(shield=True):
                assert await cell.ref.ask("still there?") == "still there?"
                reached.append("asked")
            await checkpoint()

    assert reached == ["asked"]
    assert cells[0].reason == Killed()


async def test_when_the_ground_is_gone_so_is_every_actor() -> None:
    async with run_actors() as runtime:
        stage = Stage(runtime)
        cell = await stage.spawn(puppet := Puppet())
        monitor = cell.ref.monitor()
        fresh = stage.cell()
        runtime.cells.add(fresh)  # started, and its task never came to run

    assert not runtime.cells
    assert puppet.reasons == []
    assert (cell.reason, fresh.reason) == (Killed(), Killed())
    assert (await monitor.wait()).reason == Killed()
    with pytest.raises(ActorNotAlive):
        await cell.ref.ask("anybody?")


async def test_an_error_of_the_block_leaves_it_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with run_actors():
            raise ZeroDivisionError


async def test_an_error_of_the_block_says_more_than_a_cancellation_at_its_end() -> None:
    scope = anyio.CancelScope()

    async def block() -> None:
        async with run_actors():
            scope.cancel()
            raise ZeroDivisionError

    with scope, pytest.raises(ZeroDivisionError):
        await block()


async def test_a_cancellation_at_the_end_is_not_swallowed() -> None:
    async def slow(_: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await checkpoint()

    with anyio.CancelScope() as scope:
        async with run_actors() as runtime:
            runtime.start_task(slow, None)
            await wait_idle()
        await checkpoint()

    assert scope.cancelled_caught


async def test_a_block_cancelled_before_it_began_opens_nothing() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with run_actors():
            raise AssertionError("not reached")

    assert scope.cancelled_caught


# -- what escapes ----------------------------------------------------------


async def fail(error: BaseException) -> None:
    raise error


async def test_a_bug_of_ours_ends_the_system_and_is_raised_at_its_root(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[str] = []
    first = ZeroDivisionError("a bug")

    async def block() -> None:
        async with run_actors() as runtime:
            runtime.on_fatal = lambda: calls.append("told")
            runtime.start_task(fail, ExceptionGroup("wrapped", [first]))
            await wait_idle()
            runtime.start_task(fail, ValueError("another one"))
            await wait_idle()

    with pytest.raises(ZeroDivisionError) as caught:
        await block()

    assert caught.value is first
    assert calls == ["told"]
    assert "a bug in greenroom ends the system" in caplog.text


async def test_what_is_fatal_comes_before_the_error_of_the_block() -> None:
    async def block() -> None:
        async with run_actors() as runtime:
            runtime.fatal(SystemExit(3))
            raise ZeroDivisionError

    with pytest.raises(SystemExit) as caught:
        await block()

    assert caught.value.code == 3
    assert isinstance(caught.value.__context__, ZeroDivisionError)


async def test_a_task_cancelled_from_outside_is_logged_and_ends_nobody_else(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def leak(_: object) -> None:
        # As a native Task.cancel() would: no scope of ours asked for it.
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await checkpoint()
            except BaseException as cancelled:
                kept.append(cancelled)
                raise
        raise kept[0]

    kept: list[BaseException] = []
    cell = await stage.spawn()
    with caplog.at_level(logging.WARNING, "greenroom.actors"):
        stage.runtime.start_task(leak, None)
        await wait_idle()

    assert "was cancelled from outside" in caplog.text
    assert await cell.ref.ask("alive?") == "alive?"


async def test_a_torn_down_loop_is_not_taken_for_a_bug() -> None:
    class Torn:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def wait(_: object) -> None:
        await Torn()

    started: list[Any] = []
    context = contextvars.copy_context()

    def start(_: contextvars.Context, function: Any, argument: Any) -> None:
        started.append(function(argument))

    async with run_actors() as runtime:
        hollow = Runtime(start, runtime.parker, context)
    hollow.start_task(wait, None)
    started[0].send(None)
    started[0].close()

    assert hollow.fatal_error is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_deadlines_are_kept_though_the_sweeper_is_cancelled_natively() -> None:
    async with run_actors() as runtime:
        await wait_for_the_sweeper(runtime)
        for task in asyncio.all_tasks():
            if "_contained" in repr(task.get_coro()):
                task.cancel()
        alarm = Alarm(runtime.now() + 0.01)
        runtime.deadlines.add(alarm)
        await alarm.rang.wait()


async def wait_for_the_sweeper(runtime: Runtime) -> None:
    while runtime.deadlines.parked is None:
        await checkpoint()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_ground_cancelled_natively_takes_its_actors_and_says_so() -> None:
    gone = anyio.Event()
    cells: list[Cell[Any]] = []

    async def block() -> None:
        async with run_actors() as runtime:
            stage = Stage(runtime)
            cell = await stage.spawn()
            cells.append(cell)
            runtime.on_fatal = gone.set
            me = native_task()
            for task in asyncio.all_tasks():
                if task is not me and task.get_name().endswith("ground"):
                    task.cancel()
            await gone.wait()
            await cell.ref.wait_stopped()

    with pytest.raises(RuntimeError, match="the tasks of the system were cancelled"):
        await block()

    assert cells[0].reason == Killed()


def test_ctrl_c_while_a_task_will_not_end_is_no_group_of_one() -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.2)

    async def main() -> None:
        async with run_actors() as runtime:
            runtime.start_task(stubborn)
            await checkpoint()
            # By then this task waits for that one, and Trio for both.
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
