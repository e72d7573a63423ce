"""Virtual time goes by when, and only when, nothing can run."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.testing._clock import VirtualEventLoop, virtual_backend, wait_idle

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture
async def began() -> float:
    return anyio.current_time()


async def test_time_begins_at_zero() -> None:
    assert anyio.current_time() == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_hour_takes_no_time(backend: str) -> None:
    async def sleep() -> float:
        await anyio.sleep(3600)
        return anyio.current_time()

    began = time.monotonic()
    name, options = virtual_backend(backend)
    assert anyio.run(sleep, backend=name, backend_options=options) == 3600
    assert time.monotonic() - began < 60


async def test_sleepers_wake_in_order_each_at_its_time(began: float) -> None:
    woken: list[tuple[int, float]] = []

    async def sleep(seconds: int) -> None:
        await anyio.sleep(seconds)
        woken.append((seconds, anyio.current_time() - began))

    async with anyio.create_task_group() as tasks:
        for seconds in (30, 10, 20):
            tasks.start_soon(sleep, seconds)
    assert woken == [(10, 10), (20, 20), (30, 30)]


async def test_time_stands_still_while_something_can_run(began: float) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 1)
        for _ in range(100):
            await checkpoint()
        assert anyio.current_time() == began


async def test_waiting_until_idle_takes_no_time(began: float) -> None:
    log: list[str] = []

    async def work() -> None:
        for _ in range(5):
            await checkpoint()
        log.append("worked")
        await anyio.sleep(1)
        log.append("slept")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await wait_idle()
        assert log == ["worked"]
        assert anyio.current_time() == began
    assert log == ["worked", "slept"]


async def test_waiting_until_idle_can_be_cancelled() -> None:
    async def wait(scope: anyio.CancelScope) -> None:
        with scope:
            await wait_idle()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, scope)
        await checkpoint()
        scope.cancel()
        await wait_idle()


def test_without_a_deadline_another_thread_is_waited_for() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: 42)

    with asyncio.Runner(loop_factory=VirtualEventLoop) as runner:
        assert runner.run(main()) == 42


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_waiting_until_idle_works_in_real_time_too() -> None:
    done: list[bool] = []

    async def work() -> None:
        await checkpoint()
        done.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await wait_idle()
        assert done == [True]


def test_a_loop_can_be_had_without_anyio() -> None:
    async def main() -> float:
        await asyncio.sleep(100)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualEventLoop) as runner:
        assert runner.run(main()) == pytest.approx(100)


def test_each_run_has_a_clock_of_its_own() -> None:
    for _ in range(2):
        name, options = virtual_backend("trio")
        assert anyio.run(_now, backend=name, backend_options=options) == 0


async def _now() -> float:
    return anyio.current_time()
