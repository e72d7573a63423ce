"""An app whose handlers keep what they can of a client, and never end."""

from __future__ import annotations

import json
import secrets
from typing import Any

import anyio
import anyio.lowlevel

from greenroom import ActorAdapter, Client, Options

from .weighed import weighed

LONGEST_SENT = 4096

OPTIONS = Options(
    max_message_bytes=65_536,
    inbox_bytes=131_072,
    outbox_messages=128,
    outbox_bytes=262_144,
    max_rooms=400,
    max_acks=1000,
    max_histories=50,
    history_messages=64,
    history_bytes=131_072,
    max_bans=2000,
    handshake_rate=1000.0,
    handshake_burst=1000,
    handshake_addresses=20_000,
    # Nobody is told of it meanwhile: that is in the outbox, and counts there.
    presence_seconds=3600.0,
    send_seconds=60.0,
    ack_seconds=600.0,
    handler_grace=0.1,
    close_seconds=0.1,
)

# Names as long as they may be, of characters that take the most.
LONG = "\N{GRINNING FACE}" * 240
# The JSON that takes the most memory once it is decoded, some 4000 bytes of it.
CARD = {"": [json.loads('{"":' * 28 + "1" + "}" * 28)] * 28}
HISTORIES = [f"{number:3} {240 * chr(120)}" for number in range(OPTIONS.max_histories)]

app = adapter = ActorAdapter("/ws", options=OPTIONS)

released = anyio.Event()


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


@adapter.on("statistics")
def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    return weighed(adapter)


def rooms_of(client: Client) -> list[str]:
    return [f"{client.sid[1:9]} {n:3} {LONG}" for n in range(OPTIONS.max_rooms)]


@adapter.on("fill rooms")
async def fill_rooms(event: str, client: Client, data: Any) -> None:
    for room in rooms_of(client):
        await client.join(room)
    await client.leave(rooms_of(client)[0])
    await client.join(client.sid[1:])


@adapter.on("fill presence")
async def fill_presence(event: str, client: Client, data: Any) -> None:
    for room in rooms_of(client)[1:]:
        await client.join(room, presence=CARD)
        assert adapter.presence(room)


@adapter.on("fill acks")
async def fill_acks(event: str, client: Client, data: Any) -> None:
    for number in range(OPTIONS.max_acks):
        await client.emit("news", number, callback=print)


def long_text() -> str:
    """Nearly what is sent at most, and nothing that compresses well."""
    return secrets.token_urlsafe(LONGEST_SENT * 7 // 10)


@adapter.on("fill unsent")
async def fill_unsent(event: str, client: Client, data: Any) -> None:
    """Be handled until the witness lets go; then send, and wait."""
    await released.wait()
    # More than the kernel takes, and the outbox; one at a time.
    for _ in range(240):
        await adapter.emit("news", long_text(), room=client.sid[1:], volatile=True)
        await anyio.lowlevel.checkpoint()
    await anyio.sleep_forever()


@adapter.on("release")
def release(event: str, client: Client, data: Any) -> None:
    released.set()


@adapter.on("listen")
async def listen(event: str, client: Client, data: Any) -> None:
    for room in data:
        await client.join(room)


@adapter.on("fill orders")
async def fill_orders(event: str, client: Client, data: Any) -> None:
    """Be faster than the registry, which has no turn meanwhile."""
    for _ in range(1024):
        await adapter.emit("news", long_text(), volatile=True)


@adapter.on("listen to histories")
async def listen_to_histories(event: str, client: Client, data: Any) -> None:
    for room in HISTORIES:
        await client.join(room)


@adapter.on("fill histories")
async def fill_histories(event: str, client: Client, data: Any) -> None:
    """A little more than is kept."""
    for room in HISTORIES:
        for _ in range(OPTIONS.history_bytes // LONGEST_SENT + 2):
            await adapter.emit("said", long_text(), room=room, history=True)
        # Nobody who listens is put out for being too slow: first the registry has
        # its turn, then they.
        await client.leave("nowhere")
        while adapter.statistics().outbound.pending:
            await anyio.lowlevel.checkpoint()


@adapter.on("fill bans")
async def fill_bans(event: str, client: Client, data: Any) -> None:
    for number in range(OPTIONS.max_bans):
        await adapter.ban(user=f"{number:5} {LONG}")
        await adapter.kick(user=f"{number:6} {LONG}")


@adapter.on("fill addresses")
def fill_addresses(event: str, client: Client, data: Any) -> None:
    # A handshake of each takes too long, and one machine has not so many.
    rate = adapter._server.admission._rate  # pyright: ignore[reportPrivateUsage]
    for number in range(OPTIONS.handshake_addresses):
        assert rate.takes(f"2001:db8:1234:{number:x}:5678:9abc:def0:1234")
