"""An app with rates and a heartbeat, that says what it has handled of whom."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from greenroom import ActorAdapter, Client, Options

RATE, BURST = 200.0, 100
PING_SECONDS = PONG_SECONDS = 0.6
CLOSE_SECONDS = 0.3

app = adapter = ActorAdapter(
    "/ws",
    options=Options(
        message_rate=RATE,
        message_burst=BURST,
        ping_seconds=PING_SECONDS,
        pong_seconds=PONG_SECONDS,
        close_seconds=CLOSE_SECONDS,
    ),
)

handled: Counter[str] = Counter()


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
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


@adapter.on("statistics")
async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    return asdict(adapter.statistics())
