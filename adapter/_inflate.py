"""Inflate: what a compressed message on its way in may become.

wsproto inflates all that comes, a thousandfold, before anybody can count; and what
follows the end of a compressed stream is kept for as long as more of it comes.
Here a message is inflated to a little more than the longest that is read, and the
rest of it is thrown away unread.  It so counts as any other that is too large; and
one that never ends, by what is thrown away, as any other that is endless.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, final

# To the end of a character that has begun (RFC 3629): else it would be no text.
_TAIL = 4


Skip: TypeAlias = Callable[[int], None]


class Inflating(Protocol):
    """A decompressor of `zlib`."""

    @property
    def eof(self) -> bool:
        """Whether its stream has ended."""
        ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        """Inflate *data*."""
        ...

    def flush(self) -> bytes:
        """What is left."""
        ...


@final
class Inflater:
    """Inflates one message, and no more of it than may be read.

    Args:
        inflating: What it is inflated by.
        most: Bytes of the longest message that is read.
        skip: Told how many bytes are thrown away as they came.
    """

    __slots__ = ("_inflating", "_room", "_skip")

    def __init__(self, inflating: Inflating, most: int, skip: Skip) -> None:
        self._inflating: Inflating | None = inflating
        self._skip = skip
        # Below zero while the last character is not complete.
        self._room = most + 1

    def decompress(self, data: bytes) -> bytes:
        """Inflate *data*, as far as there is room.

        Raises:
            zlib.error: It is not what was compressed.
        """
        inflating = self._inflating
        if inflating is None or inflating.eof:
            self._skip(len(data))
            return b""
        come = inflating.decompress(data, self._room + _TAIL)
        for at in range(max(self._room, 0), len(come)):
            if come[at] & 0xC0 != 0x80:
                # The first character that there is no room for.
                self._inflating = None
                return come[:at]
        self._room -= len(come)
        if self._room <= -_TAIL:
            self._inflating = None  # no text
        return come

    def flush(self) -> bytes:
        """What is left: nothing, if there was no room for it."""
        return b"" if self._inflating is None else self._inflating.flush()


def bound_inflating(extension: Any, most: int, skip: Skip) -> None:
    """Have *extension*, wsproto's permessage-deflate, inflate no more than *most*.

    Raises:
        AttributeError: It is not as it was; then nothing was done to it.
    """
    begin = extension.frame_inbound_header
    if extension._decompressor is not None:
        raise AttributeError("nothing to inflate by, before there is a message")

    def bounded(*head: Any) -> Any:
        answer = begin(*head)
        # Made for the first frame of each message, since each is compressed by
        # itself: see `_hypercorn.spare_window`.
        inflating = extension._decompressor
        if inflating is not None and not isinstance(inflating, Inflater):
            extension._decompressor = Inflater(inflating, most, skip)
        return answer

    extension.frame_inbound_header = bounded
