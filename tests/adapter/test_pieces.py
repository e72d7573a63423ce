"""What hypercorn gathers of a message, in our place of its own buffer."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.adapter._pieces import Pieces
from greenroom.adapter._shield import bound_messages

hypercorn = pytest.importorskip("hypercorn.protocol.ws_stream")
events = pytest.importorskip("wsproto.events")

FrameTooLargeError: type[Exception] = hypercorn.FrameTooLargeError


def part(
    data: str | bytes | bytearray, finished: bool, *, fragment: bool = False
) -> Any:
    """A part of a message, as hypercorn has it from wsproto."""
    kind = events.TextMessage if isinstance(data, str) else events.BytesMessage
    whole = finished or fragment
    return kind(data=data, frame_finished=whole, message_finished=finished)


def parts(*data: str | bytes | bytearray) -> list[Any]:
    return [part(piece, at == len(data)) for at, piece in enumerate(data, 1)]


def gather(pieces: Pieces, *data: str | bytes | bytearray) -> object:
    """What the app is given of a message in *data*."""
    for each in parts(*data):
        pieces.extend(each)
    message = pieces.to_message()
    pieces.clear()
    assert message.pop("type") == "websocket.receive"
    assert message.keys() == {"text", "bytes"}
    text, data_ = message["text"], message["bytes"]
    assert (text is None) != (data_ is None)
    return data_ if text is None else text


@pytest.mark.parametrize("finished", [True, False])
def test_it_gathers_what_hypercorns_own_buffer_does(finished: bool) -> None:
    ours = Pieces(100, 1000)
    theirs = hypercorn.WebsocketBuffer(1000)
    messages: list[tuple[str | bytes, ...]] = [
        *(("a",), ("a", "é", "", "€"), ("",)),
        *((b"\x00",), (b"a", b"", b"b"), (b"",)),
    ]
    for data in messages:
        for each in parts(*data, *([] if finished else [data[0]])):
            ours.extend(each)
            theirs.extend(each)
        assert ours.to_message() == theirs.to_message()
        ours.clear()
        theirs.clear()


def test_what_is_too_long_is_cut_to_one_more() -> None:
    pieces = Pieces(5, 1000)
    assert gather(pieces, "12345") == "12345"
    assert gather(pieces, "1234567") == "123456"
    assert gather(pieces, b"1234567") == b"123456"
    assert gather(pieces, "123", "4567", "89") == "123456"
    assert gather(pieces, b"12345", b"6", b"7") == b"123456"
    # One message says nothing of the next.
    assert gather(pieces, "12", "3") == "123"


def test_a_bytearray_is_handed_over_as_bytes() -> None:
    assert type(gather(Pieces(5, 10), bytearray(b"ab"))) is bytes


def test_at_the_servers_own_limit_it_hears_so_and_nothing_is_kept() -> None:
    pieces = Pieces(5, 10)
    for each in parts("123456", "7890"):
        pieces.extend(each)
    for _ in range(3):
        with pytest.raises(FrameTooLargeError):
            pieces.extend(part("x" * 1000, False))
        assert pieces.endless
    assert pieces.to_message()["text"] == "123456"
    # Nor of what comes after it, of whatever kind.
    with pytest.raises(FrameTooLargeError):
        pieces.extend(part(b"x", True))
    with pytest.raises(FrameTooLargeError):
        Pieces(5, 10).extend(part("x" * 11, True))


@pytest.mark.parametrize("crumb", ["", "x"])
def test_a_message_of_crumbs_has_an_end_and_is_not_cut_for_that(crumb: str) -> None:
    pieces = Pieces(5, 1000)
    for _ in range(2):
        for each in ("1", "23"):
            pieces.extend(part(each, False, fragment=True))
        assert gather(pieces, "45") == "12345"
    for _ in range(3):
        pieces.extend(part(crumb, False, fragment=True))
        assert not pieces.endless
    with pytest.raises(FrameTooLargeError):
        pieces.extend(part(crumb, False, fragment=True))
    assert pieces.endless


def test_what_was_thrown_away_before_counts_for_its_own_message_only() -> None:
    pieces = Pieces(5, 1000)
    for _ in range(3):
        pieces.skip(900)
        assert gather(pieces, "1", "2") == "12"
    pieces.skip(999)
    pieces.extend(part("x", False))
    pieces.skip(1)
    with pytest.raises(FrameTooLargeError):
        pieces.extend(part("", False))


def test_who_is_no_hypercorn_is_left_alone() -> None:
    async def send(message: object) -> None:
        """Nothing."""

    bound_messages(send, 5)
    bound_messages(None, 5)
