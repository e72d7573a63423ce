"""Calling what the application wrote, which may be async or plain."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol, final

from ._client import Client
from ._dispatcher import Handler


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
    result = handler(event, client, data)
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
        RuntimeError: What it awaited was cancelled, while the caller was not.
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
        raise RuntimeError("something it awaited was cancelled") from error


def _is_cancelled() -> bool:
    """Whether the asyncio task that runs now is itself being cancelled."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
