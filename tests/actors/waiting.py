"""An actor that has no room, and how those who wait for it end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from greenroom.actors import UNSUPERVISED, Cell, Parent
from greenroom.testing._clock import wait_idle

from .stage import Line, Puppet, Stage


async def full(
    stage: Stage, parent: Parent = UNSUPERVISED, **options: Any
) -> Cell[Line]:
    """An actor that is busy for 10 s, with one message waiting and room for none."""
    cell = await stage.spawn(Puppet, parent, capacity=1, **options)
    cell.ref.tell(lambda _: anyio.sleep(10))
    await wait_idle()
    cell.ref.tell("first")
    return cell


async def error_of(awaitable: Any) -> Exception | None:
    """What *awaitable* raised."""
    try:
        await awaitable
    except Exception as error:
        return error
    return None


@asynccontextmanager
async def while_waiting(
    awaitable: Awaitable[object],
) -> AsyncGenerator[list[Exception | None]]:
    """Await it beside the block, which begins when nothing moves any more.

    After the block, which waits for it: what it raised.
    """
    errors: list[Exception | None] = []

    async def wait() -> None:
        errors.append(await error_of(awaitable))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_idle()
        yield errors
