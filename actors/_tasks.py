"""Tasks: starting those of one system, natively.

AnyIO's task group gives every task a handle with a cancel scope and events of
its own: 2 kB a task, and half the time it takes to start one.  An actor needs
none of it, so there is one native starter for each event loop.  The law of both:
whatever is left when the block is left is cancelled, again and again until it
ends, and waited for.  What is started contains its own errors, and until then
its cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from typing import Any, TypeAlias

Start: TypeAlias = Callable[
    [Context, Callable[..., Coroutine[Any, Any, None]], Any], None
]
"""``start(context, function, argument)``: run it as a task in *context*."""

# Between two attempts at a task that survives its cancellation.
_AGAIN_SECONDS = 0.1


@asynccontextmanager
async def _asyncio_tasks() -> AsyncGenerator[Start]:
    loop = asyncio.get_running_loop()
    # The loop itself holds on to tasks weakly only.
    tasks: set[asyncio.Task[None]] = set()
    leaving = False

    def start(
        context: Context, function: Callable[..., Coroutine[Any, Any, None]], arg: Any
    ) -> None:
        task = loop.create_task(function(arg), context=context)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # Its turn comes right behind the first of the task.  Not when that is done:
        # it may last as long as a connection, and the argument with it.
        loop.call_soon(begun, task, context, function, arg, context=context)

    def begun(
        task: asyncio.Task[None],
        context: Context,
        function: Callable[..., Coroutine[Any, Any, None]],
        arg: Any,
    ) -> None:
        # It contains a cancellation from outside, unless it has not begun.
        if task.cancelled() and not leaving:
            start(context, function, arg)

    native: asyncio.CancelledError | None = None
    try:
        yield start
    finally:
        leaving = True
        while tasks:
            for task in tuple(tasks):
                task.cancel()
            try:
                await asyncio.wait(tuple(tasks), timeout=_AGAIN_SECONDS)
            except asyncio.CancelledError as cancelled:
                native = cancelled
        if native is not None:
            raise native


@asynccontextmanager
async def _trio_tasks() -> AsyncGenerator[Start]:
    import trio

    async with trio.open_nursery() as nursery:

        def start(
            context: Context,
            function: Callable[..., Coroutine[Any, Any, None]],
            arg: Any,
        ) -> None:
            # Named, or each task would have a string of its own for that.
            context.run(nursery.start_soon, function, arg, name=function.__name__)

        try:
            yield start
        finally:
            nursery.cancel_scope.cancel()


def open_tasks(backend: str) -> AbstractAsyncContextManager[Start]:
    """A block that tasks can be started in, on the event loop that runs now."""
    return _trio_tasks() if backend == "trio" else _asyncio_tasks()
