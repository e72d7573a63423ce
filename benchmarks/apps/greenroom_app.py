"""Greenroom, with its defaults."""

from __future__ import annotations

from typing import Any

from greenroom import ActorAdapter, Client

app = ActorAdapter(path="/ws")


@app.on("echo")
async def echo(event: str, client: Client, data: str) -> None:
    await client.emit("echo", data)


@app.on("join")
async def join(event: str, client: Client, data: None) -> None:
    await client.join("everyone")
    await client.emit("joined")


@app.on("go")
async def go(event: str, client: Client, data: dict[str, Any]) -> None:
    for _ in range(data["count"]):
        await app.emit("news", data["payload"], room="everyone")
