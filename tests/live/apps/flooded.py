"""An app with little room and tight rates; at three paths, one for each `Excess`.

At a fourth it asks for a word, and lets one address try only so many.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from greenroom import ActorAdapter, Client, Excess, Handshake, Identity, Options

from .together import together
from .weighed import weighed

MOST, MOST_BY_ADDRESS = 60, 8
RATE, BURST = 100.0, 50
STRIKES = 5
GUESSES = 10


handled: Counter[str] = Counter()


def make_adapter(path: str, excess: Excess) -> ActorAdapter:
    """An adapter at *path* that counts what it handles."""
    adapter = ActorAdapter(
        path,
        options=Options(
            max_connections=MOST,
            max_connections_per_address=MOST_BY_ADDRESS,
            message_rate=RATE,
            message_burst=BURST,
            byte_rate=20_000.0,
            byte_burst=40_000,
            max_message_bytes=8192,
            inbox_bytes=8192,
            excess=excess,
            max_strikes=STRIKES,
            close_seconds=0.3,
        ),
    )

    @adapter.on_connect()
    async def connect(event: str, client: Client, data: Any) -> None:
        print("hello", client.sid, flush=True)
        await client.emit("welcome", {"sid": client.sid})

    @adapter.on_disconnect()
    async def disconnect(event: str, client: Client, data: Any) -> None:
        print("gone", client.sid, client.close_code, client.close_reason, flush=True)

    @adapter.on("echo")
    async def echo(event: str, client: Client, data: Any) -> Any:
        handled[client.sid] += 1
        return data

    @adapter.on("handled")
    async def how_many(event: str, client: Client, data: str) -> int:
        return handled[data]

    @adapter.on("pid")
    async def pid(event: str, client: Client, data: Any) -> int:
        return os.getpid()

    @adapter.on("statistics")
    async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
        return weighed(adapter)

    return adapter


door = ActorAdapter(
    "/door",
    options=Options(handshake_rate=0.001, handshake_burst=GUESSES, close_seconds=0.3),
)


@door.authenticate()
async def who(handshake: Handshake) -> Identity | None:
    return Identity("ann") if handshake.token == "right" else None


@door.on_connect()
async def come_in(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


app = together(
    door,
    make_adapter("/ws", Excess.STRIKE),
    make_adapter("/close", Excess.CLOSE),
    make_adapter("/throttle", Excess.THROTTLE),
)
