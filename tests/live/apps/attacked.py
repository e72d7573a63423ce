"""An app with its bounds drawn tight, for clients that try to get past them.

At ``/ws/free`` it knows no rates: there a client may make it work as hard as it can.
"""

from __future__ import annotations

from typing import Any

import anyio

from greenroom import ActorAdapter, Client, Handshake, Identity, Options

from ..server import unhurried
from .telling import have_it_tell
from .together import together

LONGEST = 65_536
MOST = 1000
# Within them so many must have come.
HANDSHAKE_SECONDS = unhurried(2.0)


def make_adapter(path: str, **rates: Any) -> ActorAdapter:
    """An adapter at *path* that tells of itself."""
    adapter = ActorAdapter(
        path,
        options=Options(
            max_connections=MOST,
            handshake_seconds=HANDSHAKE_SECONDS,
            max_message_bytes=LONGEST,
            inbox_bytes=LONGEST,
            max_depth=8,
            max_strikes=5,
            close_seconds=0.3,
            **rates,
        ),
    )

    @adapter.authenticate()
    async def who(handshake: Handshake) -> Identity:
        if handshake.token == "hang":
            await anyio.sleep_forever()
        return Identity(handshake.token or "nobody")

    @adapter.on("handshake_seconds")
    async def handshake_seconds(event: str, client: Client, data: Any) -> float:
        return HANDSHAKE_SECONDS

    have_it_tell(adapter)
    return adapter


app = together(
    make_adapter("/ws/free"),
    make_adapter(
        "/ws",
        byte_rate=200_000.0,
        byte_burst=1_000_000,
        message_rate=200.0,
        message_burst=20,
    ),
)
