"""Frames as they go over the wire; read back by wsproto, which is not ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage
from wsproto.extensions import PerMessageDeflate

from greenroom.adapter import Bundle, Frame, Message
from greenroom.adapter._frames import COMPRESS_FROM

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 100_000)


def read(data: bytes, *, deflate: bool = False) -> Frame:
    """What a client makes of *data*."""
    extensions: list[Any] = []
    if deflate:
        extension = PerMessageDeflate()
        extension.finalize("permessage-deflate")
        extensions.append(extension)
    client = Connection(ConnectionType.CLIENT, extensions)
    client.receive_data(data)
    parts: list[Any] = []
    finished = False
    for event in client.events():
        assert isinstance(event, TextMessage | BytesMessage), event
        parts.append(event.data)
        finished = event.message_finished
    assert finished
    whole: Frame = parts[0][:0].join(parts)
    return whole


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("letter", ["x", "€", b"x"])
def test_a_client_reads_what_was_meant(size: int, letter: Frame) -> None:
    frame = letter * size
    assert read(Message(frame).plain()) == frame
    assert read(Message(frame).deflated(), deflate=True) == frame


@given(frame=st.text() | st.binary(), times=st.integers(1, 2000))
def test_whatever_is_said_arrives(frame: Frame, times: int) -> None:
    message = Message(frame * times)
    assert read(message.plain()) == frame * times
    assert read(message.deflated(), deflate=True) == frame * times


@pytest.mark.parametrize("deflated", [False, True])
def test_it_is_built_once_for_all_receivers(deflated: bool) -> None:
    message = Message("x" * 5000)
    build = message.deflated if deflated else message.plain
    assert build() is build()


def test_what_does_not_get_smaller_goes_as_it_is() -> None:
    import random

    noise = random.Random(7).randbytes(COMPRESS_FROM)
    for frame in (noise, "x" * (COMPRESS_FROM - 1)):
        message = Message(frame)
        assert message.deflated() is message.plain()
    message = Message("x" * COMPRESS_FROM)
    assert len(message.deflated()) < 100
    # Two of them in a row: the second does not lean on the first.
    both = message.deflated() + message.deflated()
    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate")
    client = Connection(ConnectionType.CLIENT, [extension])
    client.receive_data(both)
    texts = [event.data for event in client.events() if isinstance(event, TextMessage)]
    assert "".join(texts) == "x" * (2 * COMPRESS_FROM)


@pytest.mark.parametrize("deflated", [False, True])
def test_a_bundle_is_its_messages_in_a_row_built_once(deflated: bool) -> None:
    messages = [Message("a"), Message(b"b"), Message("x" * 5000)]
    bundle = Bundle(messages)
    built = [each.deflated() if deflated else each.plain() for each in messages]
    build = bundle.deflated if deflated else bundle.plain
    assert build() == b"".join(built)
    assert build() is build()
