"""An app with all of its bounds drawn tight, for clients that try to get past them."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import anyio

from greenroom import ActorAdapter, Client, Handshake, Identity, Options

LONGEST = 65_536
HANDSHAKE_SECONDS = 0.5
MOST = 120

app = adapter = ActorAdapter(
    "/ws",
    options=Options(
        max_connections=MOST,
        handshake_seconds=HANDSHAKE_SECONDS,
        max_message_bytes=LONGEST,
        inbox_bytes=LONGEST,
        max_depth=8,
        max_strikes=5,
        byte_rate=200_000.0,
        byte_burst=1_000_000,
        message_rate=200.0,
        message_burst=20,
        close_seconds=0.3,
    ),
)

PAGE = os.sysconf("SC_PAGE_SIZE")


@adapter.authenticate()
async def who(handshake: Handshake) -> Identity:
    if handshake.token == "hang":
        await anyio.sleep_forever()
    return Identity(handshake.token or "nobody")


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    print("hello", client.sid, flush=True)
    await client.emit("welcome", {"sid": client.sid})


@adapter.on_disconnect()
async def disconnect(event: str, client: Client, data: Any) -> None:
    print("gone", client.sid, client.close_code, flush=True)


@adapter.on("echo")
async def echo(event: str, client: Client, data: Any) -> Any:
    return data


@adapter.on("pid")
async def pid(event: str, client: Client, data: Any) -> int:
    return os.getpid()


@adapter.on("statistics")
async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    with open("/proc/self/statm") as statm:  # noqa: ASYNC230 - it is no disk
        memory = int(statm.read().split()[1]) * PAGE
    return {**asdict(adapter.statistics()), "memory": memory}
