"""The reader of a client: how it ends, and what is not to be the server's trouble."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from greenroom.adapter import Frame, Packet
from greenroom.testing import TransportClosed

from .support import Chat, until

pytestmark = pytest.mark.anyio


async def test_who_waits_for_room_in_its_inbox_is_told_that_it_is_over() -> None:
    chat = Chat(inbox_messages=1)
    async with chat.running(), chat.peer(max_frames=2) as peer:
        await peer.send('{"event": "wait"}')
        await until(lambda: chat.waiting)
        for _ in range(4):
            await peer.send('{"event": "echo"}')
        (client,) = chat.clients.values()
        await client.disconnect(4000)
        with pytest.raises(TransportClosed) as end:
            await peer.receive()
        assert end.value.code == 4000
    assert chat.handled == []


class Broken:
    """A codec with a fault."""

    def __init__(self, codec: Any) -> None:
        self._codec = codec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def decode(self, frame: Frame) -> Packet:
        if frame == "break":
            raise ZeroDivisionError("on purpose")
        packet: Packet = self._codec.decode(frame)
        return packet


async def test_a_codec_that_raises_costs_one_client_its_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat()
    server: Any = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # to break it
    monkeypatch.setattr(server, "codec", Broken(server.codec))
    async with chat.running(), chat.client() as (other, _), chat.peer() as peer:
        await peer.send("break")
        with pytest.raises(TransportClosed) as end:
            await peer.receive()
        assert (end.value.code, end.value.reason) == (1011, "internal error")
        assert await other.call("echo", 1) == 1
    (record,) = caplog.records
    assert (record.levelno, record.__dict__["event"]) == (logging.ERROR, "read_failed")
