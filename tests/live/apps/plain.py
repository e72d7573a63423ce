"""The app of `events`, behind something that keeps the server's ``send`` to itself."""

from __future__ import annotations

from greenroom.adapter._asgi import Message, Receive, Scope, Send

from . import events


class Veil:
    """Middleware through which no wire can be found."""

    def __init__(self, inner: Send) -> None:
        self._inner = inner

    async def __call__(self, message: Message) -> None:
        await self._inner(message)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await events.app(scope, receive, Veil(send))
