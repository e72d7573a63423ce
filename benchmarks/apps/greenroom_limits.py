"""Greenroom without limits of its own, and with each of them."""

from __future__ import annotations

from typing import Any

from greenroom import ActorAdapter, Client, Handshake, Identity, Options

TOKEN = "f3a9c1d2e4b5a6978877665544332211"
ORIGIN = "https://app.example.com"

# Never reached, or it would be the limit that is measured.
_ENDLESS = 1_000_000_000


def _app(*, presence: bool = False, **options: Any) -> ActorAdapter:
    app = ActorAdapter(path="/ws", options=Options(**options))

    @app.on("echo")
    async def echo(event: str, client: Client, data: str) -> None:
        await client.emit("echo", data)

    @app.on("join")
    async def join(event: str, client: Client, data: None) -> None:
        await client.join("everyone", presence=presence)
        await client.emit("joined")

    @app.on("keep")
    async def keep(event: str, client: Client, data: str) -> None:
        await app.emit("news", data, room="everyone", history=True)
        await client.emit("kept")

    return app


plain = _app(trusted_origins=["*"])

rated = _app(
    message_rate=_ENDLESS,
    message_burst=_ENDLESS,
    byte_rate=_ENDLESS,
    byte_burst=_ENDLESS,
    # Not in an echo, but its rounds go over all clients.
    ping_seconds=1,
)

guarded = _app(
    trusted_origins=["https://example.com", "https://*.example.com"],
    max_connections_per_address=100_000,
)


@guarded.authenticate()
async def who(handshake: Handshake) -> Identity | None:
    token = handshake.headers.get("authorization", "").removeprefix("Bearer ")
    return Identity("ann") if token == TOKEN else None


present = _app(presence=True)
