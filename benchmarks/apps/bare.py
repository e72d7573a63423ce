"""The naive manager: a list of ``send`` callables and a loop over it.

No bound, no room, no slow client in mind; nothing an ASGI app does can be less
work.  An echo goes back as the text it came as.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

members: list[Send] = []


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await connection(receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def connection(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            break
        text: str = message["text"]
        if text.startswith('{"event":"echo"'):
            await send({"type": "websocket.send", "text": text})
        else:
            await command(json.loads(text), send)
    if send in members:
        members.remove(send)


async def command(message: Message, send: Send) -> None:
    data = message["data"]
    if message["event"] == "join":
        members.append(send)
        await send({"type": "websocket.send", "text": envelope("joined", None)})
    elif message["event"] == "go":
        for _ in range(data["count"]):
            text = envelope("news", data["payload"])
            for member in members:
                await member({"type": "websocket.send", "text": text})


def envelope(event: str, data: object) -> str:
    packet = {"event": event, "data": data, "namespace": "/"}
    return json.dumps(packet, separators=(",", ":"))
