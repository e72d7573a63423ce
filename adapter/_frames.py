"""Frames: a message as a server writes it to the wire, built once for everybody.

RFC 6455, section 5: a server's frames are not masked, so the same bytes serve
every client.  RFC 7692: where permessage-deflate was agreed a message may still
go as it is; or compressed from a fresh context, which every client can read
whose window is as large as ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Generic, TypeVar

from ._packets import Frame

_TEXT, _BINARY = 0x1, 0x2
_FINAL = 0x80
_COMPRESSED = 0x40

WINDOW_BITS = 15
"""What a client's window must have for it to read what `Message` compresses."""

# Below this it costs more time than it spares: see benchmarks/README.md.
COMPRESS_FROM = 1024


def build(payload: bytes, opcode: int) -> bytes:
    """One final frame; *opcode* with its flags is the first byte."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, size))
    elif size < 1 << 16:
        head = bytes((opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def _deflate(payload: bytes) -> bytes:
    compressor = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, -WINDOW_BITS)
    # RFC 7692, section 7.2.1: without the empty block at its end.
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Message:
    """One message on its way out; the same object for all its receivers.

    Attributes:
        frame: What it says, as text or bytes.
    """

    __slots__ = ("_deflated", "_plain", "frame")

    def __init__(self, frame: Frame) -> None:
        self.frame: Frame = frame
        # Built when first needed, and then for all.
        self._plain: bytes | None = None
        self._deflated: bytes | None = None

    def plain(self) -> bytes:
        """The frame for the wire."""
        if self._plain is None:
            frame = self.frame
            if isinstance(frame, str):
                self._plain = build(frame.encode(), _FINAL | _TEXT)
            else:
                self._plain = build(frame, _FINAL | _BINARY)
        return self._plain

    def deflated(self) -> bytes:
        """The frame for the wire, compressed where that pays."""
        if self._deflated is None:
            self._deflated = self._compress()
        return self._deflated

    def _compress(self) -> bytes:
        frame = self.frame
        if len(frame) < COMPRESS_FROM:
            return self.plain()
        payload = frame.encode() if isinstance(frame, str) else frame
        small = _deflate(payload)
        if len(small) >= len(payload):
            return self.plain()
        opcode = _TEXT if isinstance(frame, str) else _BINARY
        return build(small, _FINAL | _COMPRESSED | opcode)


M_co = TypeVar("M_co", bound=Message, covariant=True)


class Bundle(Generic[M_co]):
    """Messages in a row, in one piece; the same object for all who get them all."""

    __slots__ = ("_deflated", "_plain", "messages")

    def __init__(self, messages: Sequence[M_co]) -> None:
        self.messages: Sequence[M_co] = messages
        self._plain: bytes | None = None
        self._deflated: bytes | None = None

    def plain(self) -> bytes:
        """The frames for the wire."""
        if self._plain is None:
            self._plain = b"".join([each.plain() for each in self.messages])
        return self._plain

    def deflated(self) -> bytes:
        """The frames for the wire, each compressed where that pays."""
        if self._deflated is None:
            self._deflated = b"".join([each.deflated() for each in self.messages])
        return self._deflated
