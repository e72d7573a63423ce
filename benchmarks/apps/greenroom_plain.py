"""Greenroom behind a middleware that wraps ``send``, as many do.

From such a ``send`` no way leads to the socket, so everything goes by plain ASGI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .greenroom_app import app as adapter

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    async def passed_on(message: Message) -> None:
        await send(message)

    await adapter(scope, receive, passed_on)
