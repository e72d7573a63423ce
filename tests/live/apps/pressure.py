"""An app with small bounds and handlers that test them."""

from __future__ import annotations

import resource
from collections import defaultdict
from dataclasses import asdict, replace
from typing import Any

import anyio

from greenroom import ActorAdapter, Client, ClientGone, Options

OUTBOX = 32
INBOX = 16

# A client that does not read is given all the time it wants: only an outbox
# that overflows is the end of it.
patient = Options(inbox_messages=INBOX, outbox_messages=OUTBOX, send_seconds=3600)
hasty = replace(patient, send_seconds=0.5)


def make_app(options: Options) -> ActorAdapter:
    """The app, within the bounds of *options*."""
    adapter = ActorAdapter("/ws", options=options)
    gone: defaultdict[str, list[list[Any]]] = defaultdict(list)
    gates: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)
    produced: dict[str, int] = {}
    items: defaultdict[str, list[int]] = defaultdict(list)

    @adapter.on_connect()
    async def connect(event: str, client: Client, data: Any) -> None:
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

    @adapter.on("statistics")
    async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
        return asdict(adapter.statistics())

    return adapter


app = make_app(patient)
hasty_app = make_app(hasty)
