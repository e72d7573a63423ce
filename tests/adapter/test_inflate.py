"""What a compressed message on its way in may become."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest

from greenroom.adapter._inflate import Inflater, bound_inflating

extensions = pytest.importorskip("wsproto.extensions")
protocol = pytest.importorskip("wsproto.frame_protocol")

MOST = 100
TAIL = b"\x00\x00\xff\xff"


def deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


def ignore(size: int) -> None:
    """Count nothing."""


def inflate(data: bytes, parts: int = 1, most: int = MOST) -> bytes:
    """What comes of *data*, in so many parts, as wsproto goes about it."""
    inflater = Inflater(zlib.decompressobj(-15), most, ignore)
    size = max(1, -(-len(data) // parts))
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    come = b"".join(inflater.decompress(piece) for piece in (*pieces, TAIL))
    return come + inflater.flush()


@pytest.mark.parametrize("parts", [1, 2, 7, 1000])
@pytest.mark.parametrize("size", [0, 1, MOST - 1, MOST, MOST + 1])
def test_what_fits_is_all_there(size: int, parts: int) -> None:
    data = bytes(at % 251 for at in range(size))
    assert inflate(deflate(data), parts) == data


@pytest.mark.parametrize("parts", [1, 2, 7, 1000])
@pytest.mark.parametrize("character", ["x", "ü", "€", "\U0001f600"])
def test_what_does_not_is_cut_behind_a_character(character: str, parts: int) -> None:
    for lead in range(5):
        text = "x" * lead + character * 1000
        come = inflate(deflate(text.encode()), parts)
        assert text.startswith(come.decode())
        # More than is read: whoever reads it knows that it was too long.
        assert MOST < len(come) <= MOST + 4


@pytest.mark.parametrize("parts", [1, 7, 1000])
def test_so_is_what_is_no_text(parts: int) -> None:
    come = inflate(deflate(b"\x80" * 1000), parts)
    assert come == b"\x80" * (MOST + 5)


def test_a_bomb_is_not_inflated() -> None:
    inflating = Counting(zlib.decompressobj(-15))
    skipped: list[int] = []
    inflater = Inflater(inflating, MOST, skipped.append)
    bomb = deflate(bytes(10_000_000))
    for _ in range(100):
        inflater.decompress(bomb)
    assert inflating.come <= MOST + 5
    assert inflater.flush() == b""
    # What is not even looked at has come all the same.
    assert skipped == [len(bomb)] * 99


def test_what_follows_the_end_of_a_stream_is_not_kept() -> None:
    squeeze = zlib.compressobj(wbits=-15)
    whole = squeeze.compress(b"hello") + squeeze.flush(zlib.Z_FINISH)
    inflating = zlib.decompressobj(-15)
    skipped: list[int] = []
    inflater = Inflater(inflating, MOST, skipped.append)
    assert inflater.decompress(whole) == b"hello"
    for _ in range(10):
        assert inflater.decompress(b"x" * 1000) == b""
    assert inflating.unused_data == b""
    assert skipped == [1000] * 10


def test_what_was_not_compressed_is_told() -> None:
    with pytest.raises(zlib.error):
        inflate(b"\xff" * 20)


class Counting:
    """Counts what comes out of a decompressor."""

    def __init__(self, inner: zlib._Decompress) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no other name
        self._inner = inner
        self.come = 0

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        come = self._inner.decompress(data, max_length)
        self.come += len(come)
        return come

    def flush(self) -> bytes:
        raise AssertionError("there was no room for it")


def messages(frames: Sequence[tuple[int, bytes]]) -> list[str]:
    """What wsproto makes of *frames*, each an opcode with flags and a payload."""
    extension = extensions.PerMessageDeflate()
    extension.accept("permessage-deflate; client_no_context_takeover")
    bound_inflating(extension, MOST, ignore)
    reader = protocol.FrameProtocol(False, [extension])
    texts, text = list[str](), ""
    for first, payload in frames:
        head = bytes((first, 0x80 | 126)) + len(payload).to_bytes(2, "big")
        reader.receive_bytes(head + bytes(4) + payload)
        for frame in reader.received_frames():
            text += frame.payload
            if frame.message_finished:
                texts.append(text)
                text = ""
    return texts


def test_each_message_has_room_of_its_own() -> None:
    small, large = "x" * 90, "y" * 5000
    frames = [
        (0xC1, deflate(large.encode()).ljust(126, b"\0")),
        (0x81, b"z" * 200),
        (0xC1, deflate(b"x" * 90 + b"?" * 300).ljust(126, b"\0")),
        (0x41, stored(b"x" * 40)),
        (0x80, stored(b"x" * 50)),
    ]
    assert messages(frames) == ["y" * 101, "z" * 200, (small + "?" * 300)[:101], small]


def stored(data: bytes) -> bytes:
    """*data* in blocks of no compression, long enough for a head of four bytes."""
    block = b"\0" + len(data).to_bytes(2, "little")
    block += (len(data) ^ 0xFFFF).to_bytes(2, "little") + data
    return block + b"\0\0\0\xff\xff" * 30
