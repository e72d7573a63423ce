"""Outlast: wait for what must be over, whoever has no patience."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


async def outlast(wait: Callable[[], Awaitable[None]]) -> None:
    """Wait to the end, whoever cancels meanwhile."""
    native: BaseException | None = None
    waiting = True
    with anyio.CancelScope(shield=True):
        while waiting:
            try:
                await wait()
                waiting = False
            except anyio.get_cancelled_exc_class() as cancelled:
                # Only a native Task.cancel() gets past the shield.
                native = cancelled
    if native is not None:
        raise native
