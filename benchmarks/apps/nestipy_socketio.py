"""The gateway on Nestipy's SocketIoAdapter, which runs as it is."""

from __future__ import annotations

from typing import Any, cast

import socketio  # type: ignore[import-untyped]  # it ships no types
from nestipy.websocket.adapter import SocketIoAdapter

from .nestipy_gateway import app_with

server = cast(Any, socketio.AsyncServer(async_mode="asgi"))
app: object = app_with(SocketIoAdapter(server))
