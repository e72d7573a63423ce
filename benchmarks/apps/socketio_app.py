"""python-socketio, as its documentation has it: rooms, and emits to a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import socketio  # type: ignore[import-untyped]  # it ships no types


class Server(Protocol):
    """As much of ``socketio.AsyncServer`` as is used here."""

    def on(self, event: str, handler: Callable[..., Awaitable[None]]) -> object: ...

    async def emit(
        self, event: str, data: object = None, to: str | None = None
    ) -> None: ...

    async def enter_room(self, sid: str, room: str) -> None: ...


sio = cast(Server, socketio.AsyncServer(async_mode="asgi"))
app: object = socketio.ASGIApp(sio)


async def echo(sid: str, data: str) -> None:
    await sio.emit("echo", data, to=sid)


async def join(sid: str, data: None) -> None:
    await sio.enter_room(sid, "everyone")
    await sio.emit("joined", to=sid)


async def go(sid: str, data: dict[str, Any]) -> None:
    for _ in range(data["count"]):
        await sio.emit("news", data["payload"], to="everyone")


sio.on("echo", echo)
sio.on("join", join)
sio.on("go", go)
