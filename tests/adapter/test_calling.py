from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

import anyio
import pytest

from greenroom.adapter._calling import call

from .support import at_once, on_asyncio

pytestmark = pytest.mark.anyio


async def outcome(result: Any) -> Any:
    """What comes of a handler that returns *result*."""

    def handler(event: str, client: object, data: object) -> Any:
        return result

    client: Any = None
    return await call(handler, "e", client, None)


class Soon(Awaitable[str]):
    """Something to await that is no coroutine."""

    def __await__(self) -> Generator[Any, None, str]:
        yield from anyio.lowlevel.checkpoint().__await__()
        return "soon"


async def test_a_handler_may_be_plain_or_async_or_anything_to_await() -> None:
    client: Any = None

    def plain(event: str, client: object, data: object) -> object:
        return [event, data]

    async def slow(event: str, client: object, data: object) -> object:
        await anyio.lowlevel.checkpoint()
        return [event, data]

    def odd(event: str, client: object, data: object) -> Awaitable[str]:
        return Soon()

    assert at_once(call(plain, "e", client, 1)) == ["e", 1]
    assert await call(slow, "e", client, 1) == ["e", 1]
    assert await call(odd, "e", client, 1) == "soon"


async def test_an_outcome_may_be_there_already() -> None:
    assert at_once(outcome(5)) == 5
    assert await outcome(Soon()) == "soon"


async def test_a_cancelled_handler_is_cancelled() -> None:
    with anyio.move_on_after(1) as scope:
        await outcome(anyio.sleep_forever())
    assert scope.cancelled_caught


async def test_a_cancelled_handler_may_say_no_more_than_that() -> None:
    """Its clean-up awaits what was cancelled with it."""
    if not on_asyncio():
        pytest.skip("asyncio's own")

    async def handler() -> None:
        task = asyncio.create_task(asyncio.sleep(100))
        try:
            await asyncio.sleep(100)
        finally:
            task.cancel()
            await task

    with anyio.move_on_after(1) as scope:
        await outcome(handler())
    assert scope.cancelled_caught


async def test_awaiting_what_was_cancelled_is_an_error() -> None:
    async def handler() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="something it awaited was cancelled"):
        await outcome(handler())


class Panic(BaseException):
    """What Rust raises by way of PyO3 is no Exception either."""


async def fail(plain: bool, error: type[BaseException]) -> None:
    """Call a handler that raises *error*."""

    def plainly(event: str, client: object, data: object) -> object:
        raise error

    async def slowly(event: str, client: object, data: object) -> object:
        raise error

    client: Any = None
    await call(plainly if plain else slowly, "e", client, 1)


async def test_what_a_plain_handler_says_was_cancelled_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="something it awaited was cancelled"):
        await fail(plain=True, error=asyncio.CancelledError)


@pytest.mark.parametrize("plain", [False, True])
async def test_a_panic_is_an_error_like_any_other(plain: bool) -> None:
    with pytest.raises(RuntimeError, match="it raised Panic") as caught:
        await fail(plain, Panic)
    assert isinstance(caught.value.__cause__, Panic)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
async def test_what_is_meant_for_others_is_raised_as_it_is(
    plain: bool, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        await fail(plain, error)


async def test_awaiting_an_asyncio_task_that_was_cancelled_is_an_error() -> None:
    if not on_asyncio():
        pytest.skip("asyncio's own")

    async def handler() -> None:
        task = asyncio.create_task(asyncio.sleep(100))
        task.cancel()
        await task

    with pytest.raises(RuntimeError, match="something it awaited was cancelled"):
        await outcome(handler())
