"""Asides: what a client sends beside its messages.

Pings and pongs of the WebSocket, the fragments of a message but for its last, and
what comes of a message that is too long already.  hypercorn deals with them by
itself, and nobody else hears of them: so no rate could count them.

Where somebody asks for it they are counted, and go the way of a message, among the
messages, to whoever reads those: so who floods a server with them is pushed back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, final

# An extension of ASGI, by which an app asks for them; the same for all.
_WANTED = "greenroom.asides"
_NO_WORDS: Mapping[str, object] = MappingProxyType({})


@final
class Aside(bytes):
    """What has come beside messages; in place of a message.

    It is bytes to all that hand it on, for ASGI has no word for it; what bytes, is
    of no interest.

    Attributes:
        frames: How many frames.
        octets: Their bytes, but for those of a message that may still be read.
        endless: There is a message that was given up, for it never ended.
    """

    frames: int
    octets: int
    endless: bool

    def __new__(cls, frames: int, octets: int, *, endless: bool = False) -> Aside:
        """What is empty would be taken for nothing."""
        aside = super().__new__(cls, b"aside")
        aside.frames, aside.octets, aside.endless = frames, octets, endless
        return aside


@final
class Asides:
    """In place of the ``events`` of a WebSocket: counts what is no message.

    Args:
        connection: wsproto's.
        most: Bytes of the longest message that is read: it counts when it is.
    """

    __slots__ = ("_connection", "_length", "_most", "_octets", "come")

    def __init__(self, connection: Any, most: int) -> None:
        self._connection = connection
        self._most = most
        # Bytes that have come of a message that is not complete.
        self._length = 0
        # Frames since the last look, and bytes.
        self.come = 0
        self._octets = 0

    def __call__(self) -> Iterator[Any]:
        """See wsproto."""
        connection = self._connection
        for event in connection.__class__.events(connection):
            if hasattr(event, "message_finished"):
                self._count_piece(event)
            elif hasattr(event, "payload"):
                self.come += 1
                self._octets += len(event.payload)
            yield event

    def _count_piece(self, piece: Any) -> None:
        if piece.message_finished:
            # It counts as what it is.
            self._length = 0
            return
        data: str | bytes = piece.data
        size = len(data.encode() if isinstance(data, str) else data)
        self._length += size
        beyond = self._length - self._most
        if beyond > 0:
            self.come += 1
            self._octets += min(beyond, size)
        elif piece.frame_finished:
            self.come += 1

    def take(self) -> tuple[int, int]:
        """Frames and bytes that have come since the last time."""
        taken = self.come, self._octets
        self.come = self._octets = 0
        return taken


def want_asides(scope: MutableMapping[str, Any]) -> None:
    """Ask for asides, before the connection of *scope* is accepted."""
    extensions: MutableMapping[str, Any] | None = scope.get("extensions")
    if extensions is not None:
        extensions[_WANTED] = _NO_WORDS


def wants_asides(scope: MutableMapping[str, Any]) -> bool:
    """Whether somebody has asked for them."""
    return _WANTED in (scope.get("extensions") or ())
