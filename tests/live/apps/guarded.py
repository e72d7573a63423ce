"""An app that asks who comes, and believes what it should not, where it can.

Its log says of each line how bad it is, and which event of the adapter it tells of.
"""

from __future__ import annotations

import logging
from typing import Any

from greenroom import ActorAdapter, Client, EventError, Handshake, Identity, Options

from .telling import have_it_tell

LONGEST = 16_384

handler = logging.StreamHandler()
handler.setFormatter(
    logging.Formatter(
        "[%(levelname)s] %(name)s %(event)s: %(message)s",
        defaults={"event": "unnamed"},
    )
)
logging.basicConfig(handlers=[handler], level=logging.INFO)

app = adapter = ActorAdapter(
    options=Options(
        max_message_bytes=LONGEST,
        inbox_bytes=4 * LONGEST,
        max_depth=8,
        max_strikes=5,
        close_seconds=0.3,
        # What is not a message counts too; but nobody is to wait for it.
        message_rate=100_000.0,
        message_burst=100_000,
    )
)


@adapter.authenticate()
async def who(handshake: Handshake) -> Identity | None:
    if handshake.token not in (None, "ann's"):
        return None
    return Identity("ann" if handshake.token else "nobody")


have_it_tell(adapter)


@adapter.on("ask me")
async def ask(event: str, client: Client, data: Any) -> object:
    return await client.call("secret?", timeout=30.0)


@adapter.on("tell")
async def tell(event: str, client: Client, data: Any) -> None:
    """Tell whoever the client says."""
    await adapter.emit("told", to=data)


@adapter.on("join")
async def join(event: str, client: Client, data: Any) -> None:
    """Let the client name a room, and leave it at that."""
    await client.join(data)


@adapter.on("ask to join")
async def ask_to_join(event: str, client: Client, data: Any) -> None:
    """Do so, and say what is wrong with the name."""
    try:
        await client.join(data)
    except ValueError as error:
        raise EventError("bad_room", "no name of a room") from error


@adapter.on("crash")
async def crash(event: str, client: Client, data: Any) -> None:
    raise ValueError(data)
