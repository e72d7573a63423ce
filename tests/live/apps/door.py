"""An app that asks who comes in, and puts people out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from greenroom import (
    ActorAdapter,
    Client,
    Handshake,
    HandshakeRefused,
    Identity,
    Options,
)

# More than all tests together ask from the usual address.
HANDSHAKES = 50

app = adapter = ActorAdapter(
    options=Options(
        max_connections=8,
        max_connections_per_address=6,
        handshake_rate=0.001,
        handshake_burst=HANDSHAKES,
        subprotocols=["chat.v2", "chat.v1"],
        handshake_seconds=1.0,
        renew_seconds=0.2,
    )
)


@adapter.authenticate()
async def who(handshake: Handshake) -> Identity | None:
    user = handshake.token
    if user == "nobody":
        raise HandshakeRefused(402, "pay first")
    if user == "brief":
        return Identity(user, seconds=0.5)
    return None if user is None else Identity(user)


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


@adapter.on("whoami")
async def whoami(event: str, client: Client, data: Any) -> list[Any]:
    identity = client.identity
    return [None if identity is None else identity.user, client.address]


@adapter.on("subprotocol")
async def subprotocol(event: str, client: Client, data: Any) -> str | None:
    return client.subprotocol


@adapter.on("renew")
async def renew(event: str, client: Client, data: Any) -> None:
    assert client.identity is not None
    client.identify(Identity(client.identity.user, seconds=data))


@adapter.on("ban")
async def ban(event: str, client: Client, data: Any) -> int:
    return await adapter.ban(user=data, seconds=60.0)


@adapter.on("unban")
async def unban(event: str, client: Client, data: Any) -> bool:
    return await adapter.unban(user=data)


@adapter.on("statistics")
async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    return asdict(adapter.statistics())
