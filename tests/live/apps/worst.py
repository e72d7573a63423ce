"""An app whose handlers keep what they can of a client, and never end."""

from __future__ import annotations

from typing import Any

from greenroom import ActorAdapter, Client, Options

from .weighed import weighed

LONGEST_SENT = 4096

OPTIONS = Options(
    max_message_bytes=65_536,
    inbox_bytes=131_072,
    outbox_messages=64,
    outbox_bytes=131_072,
    max_rooms=100,
    max_acks=100,
    send_seconds=60.0,
    handler_grace=0.1,
    close_seconds=0.1,
)

app = adapter = ActorAdapter("/ws", options=OPTIONS)


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


@adapter.on("statistics")
def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    return weighed(adapter)


@adapter.on("fill")
async def fill(event: str, client: Client, data: Any) -> None:
    """Fill whatever there is to fill, and wait."""
    for number in range(OPTIONS.max_rooms):
        await client.join(f"{client.sid[1:]} {number}")
    for number in range(OPTIONS.max_acks):
        await client.emit("news", number, callback=print, volatile=True)
    while True:
        await client.emit("news", "x" * (LONGEST_SENT - 100))
