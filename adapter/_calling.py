"""Calling what the application wrote, which may be async or plain."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol, final

import anyio

from ._client import Client
from ._dispatcher import Handler

_CANCELLED = "something it awaited was cancelled"
_RAISED = "it raised {}"

# What is an error anyhow, or meant for the process, or for the event loop.
_PASSED = Exception, KeyboardInterrupt, SystemExit, GeneratorExit, BaseExceptionGroup


class Caller(Protocol):
    """Who calls the handlers of one client."""

    async def call(
        self, handler: Handler, event: str, client: Client, data: Any
    ) -> Any:
        """Call *handler* and see it through; see `outcome`."""
        ...

    def close(self) -> None:
        """The client is gone: nothing will be called any more."""
        ...


async def call(handler: Handler, event: str, client: Client, data: Any) -> Any:
    """Call *handler* and see it through; see `outcome`."""
    try:
        result = handler(event, client, data)
    except asyncio.CancelledError as error:
        # This task can only be cancelled where it waits.
        raise RuntimeError(_CANCELLED) from error
    except _PASSED:
        raise
    except BaseException as error:
        raise RuntimeError(_RAISED.format(type(error).__name__)) from error
    if inspect.isawaitable(result):
        return await outcome(result)
    return result


@final
class Direct:
    """Calls them where it is called itself: in the client's own task."""

    __slots__ = ()

    call = staticmethod(call)

    def close(self) -> None:
        """Forget nothing: nothing is kept."""


DIRECT = Direct()


async def outcome(result: Any) -> Any:
    """Await *result*, if it is something to await.

    Raises:
        RuntimeError: What it awaited was cancelled, while the caller was not; or it
            raised what is no Exception, such as a panic of Rust's, which is its
            failure as any other, and not the end of everybody.
    """
    if not inspect.isawaitable(result):
        return result
    try:
        return await result
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        # It awaited a task that was cancelled: that is its own failure, and not
        # the end of its client.
        raise RuntimeError(_CANCELLED) from error
    except (*_PASSED, anyio.get_cancelled_exc_class()):
        raise
    except BaseException as error:
        raise RuntimeError(_RAISED.format(type(error).__name__)) from error


def _is_cancelled() -> bool:
    """Whether the asyncio task that runs now is itself being cancelled."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
