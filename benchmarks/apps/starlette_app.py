"""Starlette: its WebSocket class, a list of them, and a loop over it."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

members: list[WebSocket] = []


async def connection(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await command(websocket, await websocket.receive_json())
    except WebSocketDisconnect:
        pass
    finally:
        if websocket in members:
            members.remove(websocket)


async def command(websocket: WebSocket, message: dict[str, Any]) -> None:
    data = message["data"]
    if message["event"] == "echo":
        await websocket.send_text(envelope("echo", data))
    elif message["event"] == "join":
        members.append(websocket)
        await websocket.send_text(envelope("joined", None))
    elif message["event"] == "go":
        for _ in range(data["count"]):
            text = envelope("news", data["payload"])
            for member in members:
                await member.send_text(text)


def envelope(event: str, data: object) -> str:
    packet = {"event": event, "data": data, "namespace": "/"}
    return json.dumps(packet, separators=(",", ":"))


app = Starlette(routes=[WebSocketRoute("/ws", connection)])
