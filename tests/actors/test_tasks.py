from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors._tasks import open_tasks
from greenroom.testing._clock import wait_idle

pytestmark = pytest.mark.anyio

COLOUR = contextvars.ContextVar("colour", default="none")


@pytest.fixture
def backend(anyio_backend_name: str) -> str:
    return anyio_backend_name


def here() -> contextvars.Context:
    return contextvars.copy_context()


async def test_a_task_runs_with_its_argument_in_its_context(backend: str) -> None:
    seen: list[tuple[str, object]] = []

    async def look(argument: object) -> None:
        seen.append((COLOUR.get(), argument))

    context = here()
    context.run(COLOUR.set, "red")
    async with open_tasks(backend) as start:
        start(context, look, "red one")
        start(here(), look, "plain one")
        await wait_idle()

    assert sorted(seen) == [("none", "plain one"), ("red", "red one")]
    assert COLOUR.get() == "none"


async def test_a_task_that_is_cancelled_before_it_begins_begins_all_the_same() -> None:
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)

    try:
        before = asyncio.all_tasks()
    except RuntimeError:
        pytest.skip("asyncio's own")
    async with open_tasks("asyncio") as start:
        start(here(), work, 1)
        for task in asyncio.all_tasks() - before:
            assert task.cancel()
        await wait_idle()
        assert begun == [1]
        start(here(), work, 2)
    # What had not begun when all was over never does.
    assert begun == [1]


async def test_what_is_left_is_cancelled_and_waited_for(backend: str) -> None:
    ends: list[int] = []

    async def last(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
            ends.append(number)

    async with open_tasks(backend) as start:
        for number in range(3):
            start(here(), last, number)
        await wait_idle()
        assert ends == []

    assert sorted(ends) == [0, 1, 2]


async def test_what_is_left_is_cancelled_also_when_the_block_fails(
    backend: str,
) -> None:
    ends: list[str] = []

    async def last(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ends.append(name)

    async def block() -> None:
        async with open_tasks(backend) as start:
            start(here(), last, "task")
            await wait_idle()
            raise ValueError

    with pytest.raises((ValueError, ExceptionGroup)):
        await block()

    assert ends == ["task"]


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again(
    backend: str,
) -> None:
    swallowed: list[float] = []

    async def stubborn(times: int) -> None:
        for _ in range(times):
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                swallowed.append(anyio.current_time())

    with anyio.fail_after(10):
        async with open_tasks(backend) as start:
            start(here(), stubborn, 3)
            await wait_idle()

    assert len(swallowed) == 3


async def test_a_task_started_while_the_block_ends_is_cancelled_too(
    backend: str,
) -> None:
    ends: list[str] = []

    async def second(_: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("second")

    async def first(start: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            start(here(), second, None)
            ends.append("first")

    async with open_tasks(backend) as start:
        start(here(), first, start)
        await wait_idle()

    assert ends[0] == "first"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_at_the_end_waits_for_the_tasks() -> None:
    ends: list[str] = []
    leaving, release = asyncio.Event(), asyncio.Event()

    async def last(name: str) -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            leaving.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            ends.append(name)

    async def block() -> None:
        async with open_tasks("asyncio") as start:
            start(here(), last, "task")
            await checkpoint()

    task = asyncio.create_task(block())
    await leaving.wait()
    task.cancel()
    for _ in range(5):
        await checkpoint()
    assert not task.done()
    release.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["task"]
