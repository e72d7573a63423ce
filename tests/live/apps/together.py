"""Several adapters in one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from greenroom import ActorAdapter

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


def together(*adapters: ActorAdapter) -> App:
    """An app of all *adapters*; the first that a path belongs to has it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            for adapter in adapters:
                if await adapter(scope, receive, send):
                    return
            raise AssertionError(f"nothing stands at {scope['path']}")
        await receive()
        async with AsyncExitStack() as running:
            for adapter in adapters:
                await running.enter_async_context(adapter.running())
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return app
