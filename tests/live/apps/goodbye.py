"""An app that writes down, in its log, whom it has seen off."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from greenroom import ActorAdapter, Client

app = adapter = ActorAdapter("/ws")


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


@adapter.on_disconnect()
async def disconnect(event: str, client: Client, data: Any) -> None:
    # A handler that has to wait is not cut short.
    await anyio.sleep(0.05)
    await checkpoint()
    print(f"gone {client.sid} {client.close_code} {client.close_reason}", flush=True)


@adapter.on("echo")
async def echo(event: str, client: Client, data: Any) -> Any:
    return data


@adapter.on("join")
async def join(event: str, client: Client, data: Any) -> None:
    await client.join(data)


@adapter.on("hang")
async def hang(event: str, client: Client, data: Any) -> None:
    await client.emit("hanging")
    try:
        await anyio.sleep_forever()
    finally:
        print(f"cancelled {client.sid}", flush=True)


@adapter.on("stream")
async def stream(event: str, client: Client, data: Any) -> None:
    while True:
        await client.emit("chunk", "x" * data)


@adapter.on("drain")
async def drain(event: str, client: Client, data: Any) -> None:
    await adapter.drain(5.0, 2, spread=8.0, reason="new version")


@adapter.on("tick")
async def tick(event: str, client: Client, data: Any) -> None:
    """Broadcast without end."""
    while True:
        await adapter.broadcast("tick")
        await anyio.sleep(0.01)
