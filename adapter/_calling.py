"""Calling what the application wrote, which may be async or plain."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol, final

import anyio

from ._client import Client
from ._dispatcher import Handler

_FOR_OTHERS = KeyboardInterrupt, SystemExit, GeneratorExit, BaseExceptionGroup


class Caller(Protocol):
    """Who calls the handlers of one client."""

    async def call(
        self, handler: Handler, event: str, client: Client, data: Any
    ) -> Any:
        """Call *handler* and see it through; see `call`."""
        ...

    def close(self) -> None:
        """The client is gone: nothing will be called any more."""
        ...


async def call(handler: Handler, event: str, client: Client, data: Any) -> Any:
    """Call *handler*, and await what it returns if that is something to await.

    Raises:
        RuntimeError: It failed with what is no Exception: that shall not be the end
            of its client, or of everybody.
    """
    try:
        result = handler(event, client, data)
        return await result if inspect.isawaitable(result) else result
    except Exception:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise RuntimeError(_said_of(error)) from error


def is_failure(error: BaseException) -> bool:
    """Whether *error* is a failure of who raised it, and not meant for others.

    So is any Exception; a panic of Rust's, which is none; and that something was
    cancelled, if it was not the task that runs now.
    """
    if isinstance(error, Exception):
        return True
    if isinstance(error, asyncio.CancelledError):
        return not _is_cancelled()
    if isinstance(error, _FOR_OTHERS):
        return False
    return not isinstance(error, anyio.get_cancelled_exc_class())


def _said_of(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "something it awaited was cancelled"
    return f"it raised {type(error).__name__}"


@final
class Direct:
    """Calls them where it is called itself: in the client's own task."""

    __slots__ = ()

    call = staticmethod(call)

    def close(self) -> None:
        """Forget nothing: nothing is kept."""


DIRECT = Direct()


def _is_cancelled() -> bool:
    """Whether the asyncio task that runs now is itself being cancelled."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
