"""A wire for a test, through a real hypercorn in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from greenroom.adapter._hypercorn import may_accept, spare_window
from greenroom.adapter._wire import Wire, find_wire

from .stock import Peer, served


class App:
    """Accepts, and hands the wire to the test; ends when that says so."""

    def __init__(self) -> None:
        self.send: Any = None
        self.wire: Wire | None = None
        self.accepted = anyio.Event()
        self.leave = anyio.Event()
        self.accepts: bool | None = None
        self.ahead = anyio.Event()
        self.ahead.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        self.send = send
        await self.ahead.wait()
        self.accepts = await may_accept(send)
        if self.accepts:
            spare_window(send)
            await send({"type": "websocket.accept"})
            self.wire = find_wire(send)
        self.accepted.set()
        async with anyio.create_task_group() as group:
            group.start_soon(self._read, receive)
            await self.leave.wait()
            group.cancel_scope.cancel()

    async def _read(self, receive: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self.leave.set()


@asynccontextmanager
async def wired(
    backend: str, extra: bytes = b"", *, small: bool = False
) -> AsyncGenerator[tuple[Wire, Peer, App]]:
    """A wire, the peer at its other end, and the app between."""
    app = App()
    async with (
        served(app, backend) as server,
        server.connect(extra, small=small) as (peer, head),
    ):
        assert head.startswith(b"HTTP/1.1 101")
        await app.accepted.wait()
        assert app.wire is not None
        yield app.wire, peer, app
        app.leave.set()
