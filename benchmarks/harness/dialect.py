"""What a server speaks above WebSocket: how to say an event, and what to answer.

Only as much as a load client needs.  It never parses in a timed section: there
the size of a frame says all (`load.py`).
"""

from __future__ import annotations

import json
import os
from typing import Final, Protocol

#: What every measured message carries, whatever the dialect puts around it.
PAYLOAD: Final = ("a hundred bytes for everyone in the room, " * 3)[:100]


class Dialect(Protocol):
    """A way to put events on a WebSocket."""

    @property
    def path(self) -> str:
        """The path of the WebSocket."""
        ...

    @property
    def greets(self) -> bool:
        """Whether a connection is ready only after some words were exchanged."""
        ...

    def event(self, name: str, data: object) -> str:
        """Say event *name*."""
        ...

    def is_ready(self, text: str) -> bool:
        """Whether *text* ends the greeting."""
        ...

    def answer(self, text: str) -> str | None:
        """What the protocol wants said to *text*, if it is no event at all."""
        ...


class Envelope:
    """Greenroom's JSON envelope, version 1; the bare app speaks it too."""

    path = "/ws"
    greets = False

    def event(self, name: str, data: object) -> str:
        return _json({"event": name, "data": data})

    def is_ready(self, text: str) -> bool:
        return False

    def answer(self, text: str) -> str | None:
        return None


class SocketIO:
    """Socket.IO 5 on Engine.IO 4, over WebSocket from the first byte."""

    path = "/socket.io/?EIO=4&transport=websocket"
    greets = True

    def event(self, name: str, data: object) -> str:
        return "42" + _json([name, data])

    def is_ready(self, text: str) -> bool:
        return text.startswith("40")

    def answer(self, text: str) -> str | None:
        if text.startswith("0"):  # Engine.IO open: connect to the namespace
            return "40"
        return "3" if text == "2" else None  # Engine.IO ping and pong


def client_frame(content: str | bytes, first: int = 0x1) -> bytes:
    """Build the masked frame of *content*, to be written any number of times.

    The *first* byte says what it is, text if nothing else; it is always final.

    Raises:
        ValueError: The content is longer than a frame of this form can say.
    """
    payload = content.encode() if isinstance(content, str) else content
    size = len(payload)
    if size >= 1 << 16:
        raise ValueError(f"frame must be shorter than 65536 bytes, got {size}")
    long = size >= 126
    head = bytes([0x80 | first, 0x80 | (126 if long else size)])
    if long:
        head += size.to_bytes(2)
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return head + mask + masked


def _json(value: object) -> str:
    # Compact, as every browser's JSON.stringify writes it.
    return json.dumps(value, separators=(",", ":"))
