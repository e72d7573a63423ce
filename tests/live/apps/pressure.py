"""An app with small bounds and handlers that test them."""

from __future__ import annotations

import os
import resource
import stat
from collections import defaultdict
from dataclasses import asdict
from typing import Any

import anyio

from greenroom import ActorAdapter, Client, ClientGone, Options

OUTBOX = 32
INBOX = 16


def is_socket(descriptor: int) -> bool:
    """Whether *descriptor* is an open socket of this process."""
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def make_adapter(path: str, send_seconds: float) -> ActorAdapter:
    """An adapter that gives up on a client after *send_seconds* without progress."""
    options = Options(
        inbox_messages=INBOX, outbox_messages=OUTBOX, send_seconds=send_seconds
    )
    adapter = ActorAdapter(path, options=options)
    gone: defaultdict[str, list[list[Any]]] = defaultdict(list)
    gates: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)
    produced: dict[str, int] = {}
    items: defaultdict[str, list[int]] = defaultdict(list)

    clients: dict[str, Client] = {}

    @adapter.on_connect()
    async def connect(event: str, client: Client, data: Any) -> None:
        clients[client.sid] = client
        await client.emit("welcome", {"sid": client.sid})

    @adapter.on_disconnect()
    async def disconnect(event: str, client: Client, data: Any) -> None:
        gone[client.sid].append([client.close_code, client.close_reason])

    @adapter.on("gone")
    async def ask_gone(event: str, client: Client, data: Any) -> dict[str, Any]:
        return {sid: gone[sid] for sid in data if sid in gone}

    @adapter.on("echo")
    async def echo(event: str, client: Client, data: Any) -> Any:
        return data

    @adapter.on("join")
    async def join(event: str, client: Client, data: Any) -> None:
        await client.join(data)

    @adapter.on("emit")
    async def emit(event: str, client: Client, data: Any) -> None:
        data["data"] = [data["data"], "x" * data.pop("pad", 0)]
        await adapter.emit(**data)

    @adapter.on("stream")
    async def stream(event: str, client: Client, data: Any) -> None:
        pad = "x" * data["pad"]
        try:
            for number in range(data["count"]):
                await client.emit("chunk", [number, pad])
                produced[client.sid] = number + 1
        except ClientGone:
            produced[client.sid] = -1
            raise

    @adapter.on("produced")
    async def ask_produced(event: str, client: Client, data: Any) -> int:
        return produced.get(data, 0)

    @adapter.on("block")
    async def block(event: str, client: Client, data: Any) -> None:
        await gates[client.sid].wait()

    @adapter.on("unblock")
    async def unblock(event: str, client: Client, data: Any) -> None:
        gates[data].set()

    @adapter.on("item")
    async def item(event: str, client: Client, data: Any) -> None:
        items[client.sid].append(data[0])

    @adapter.on("items")
    async def ask_items(event: str, client: Client, data: Any) -> list[int]:
        return items[client.sid]

    @adapter.on("peak memory")
    async def peak_memory(event: str, client: Client, data: Any) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @adapter.on("kick")
    async def kick(event: str, client: Client, data: Any) -> None:
        await clients[data].disconnect(4000, "kicked")

    @adapter.on("sockets")
    async def sockets(event: str, client: Client, data: Any) -> int:
        return sum(map(is_socket, range(1024)))

    @adapter.on("statistics")
    async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
        return asdict(adapter.statistics())

    return adapter


patient = make_adapter("/ws", send_seconds=3600)
hasty = make_adapter("/hasty", send_seconds=0.5)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Both of them."""
    if scope["type"] == "lifespan":
        async with hasty.running():
            await patient(scope, receive, send)
    elif not await patient(scope, receive, send):
        await hasty(scope, receive, send)
