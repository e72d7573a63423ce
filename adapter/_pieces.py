"""Pieces: a message on its way in, and no more of it than may be read.

It takes the place of hypercorn's own buffer.  That one holds 16 MiB by default,
whatever the adapter reads; once a message is longer it says goodbye, but goes on
adding to it for as long as the client goes on sending; and a message of empty
fragments is never any longer.
"""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any, NoReturn, Protocol, final


class Piece(Protocol):
    """A part of a message, as wsproto hands it over."""

    data: Any
    frame_finished: bool
    message_finished: bool


# What the head of a fragment counts, which costs more to read than what it heads.
_HEAD = 256


@final
class Pieces:
    """One message after the other, each cut to one more than the longest.

    What is cut is so found to be too long by whoever reads it, and is a strike like
    any other.  At hypercorn's own limit it is told, and closes.

    Args:
        most: Characters of the longest text, or bytes of the longest binary
            message, that is read.
        limit: hypercorn's own.
    """

    __slots__ = ("_length", "_limit", "_most", "_whole")

    def __init__(self, most: int, limit: int) -> None:
        self._most = most + 1
        self._limit = limit
        # Of all that came of a message that comes in parts, with their heads, and of
        # what was thrown away before it came here.
        self._length = 0
        # The message, once it is complete; what was gathered of it until then.
        self._whole: str | bytes | StringIO | BytesIO | None = None

    def extend(self, piece: Piece) -> None:
        """Add *piece*, as far as there is room.

        Raises:
            FrameTooLargeError: The message is longer than hypercorn allows.
        """
        if self.endless:
            # hypercorn goes on with what it has read; whatever it is, that was all.
            self._give_up()
        data: str | bytes = piece.data
        if self._whole is None:
            if piece.message_finished and len(data) <= self._limit:
                # Most messages: nothing to gather.
                self._whole = data[: self._most]
                return
            self._whole = StringIO() if isinstance(data, str) else BytesIO()
        gathered: Any = self._whole
        room = self._most - gathered.tell()
        if room > 0:
            gathered.write(data[:room])
        self._length += len(data)
        if piece.frame_finished and not piece.message_finished:
            self._length += _HEAD
        if self.endless:
            self._give_up()

    def _give_up(self) -> NoReturn:
        from hypercorn.protocol.ws_stream import FrameTooLargeError

        raise FrameTooLargeError

    def skip(self, size: int) -> None:
        """So many bytes of the message were thrown away, unread: they count."""
        self._length += size

    @property
    def endless(self) -> bool:
        """Whether the latest message was longer than hypercorn allows."""
        return self._length > self._limit

    def clear(self) -> None:
        """The message has been handed over."""
        self._whole = None
        self._length = 0

    def to_message(self) -> dict[str, object]:
        """The message, in the words of ASGI."""
        whole = self._whole
        if isinstance(whole, StringIO | BytesIO):
            whole = whole.getvalue()
        text = whole if isinstance(whole, str) else None
        data = None if isinstance(whole, str) else bytes(whole or b"")
        return {"type": "websocket.receive", "bytes": data, "text": text}
