"""The reader of a client: how it ends, and what is not to be the server's trouble."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import orjson
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
        self.decoded: list[Frame] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def decode(self, frame: Frame) -> Packet:
        self.decoded.append(frame)
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


async def test_nothing_is_read_of_who_is_being_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even when its server goes on handing over what comes."""
    chat = Chat()
    server: Any = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # to watch it
    codec = Broken(server.codec)
    monkeypatch.setattr(server, "codec", codec)
    async with chat.running(), chat.peer() as peer:
        await peer.send('{"event": "wait"}')
        await until(lambda: chat.waiting)
        (client,) = chat.clients.values()
        connection: Any = client._link  # pyright: ignore[reportPrivateUsage]  # to speak for the server
        await client.disconnect(4000)
        codec.decoded.clear()
        for frame in ('{"event": "echo", "data": 1}', "garbage"):
            await connection.hear(frame)
        assert codec.decoded == []
        assert chat.adapter.statistics().strikes == 0


async def test_an_ack_that_somebody_waits_for_is_taken_to_the_last(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat()
    server: Any = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # to break it
    monkeypatch.setattr(server, "codec", Broken(server.codec))
    answers: list[object] = []
    async with chat.running(), chat.peer() as peer:
        await until(lambda: chat.clients)
        (client,) = chat.clients.values()
        connection: Any = client._link  # pyright: ignore[reportPrivateUsage]  # to speak for the server

        async def ask() -> None:
            answers.append(await client.call("question", timeout=5))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            question = orjson.loads(await peer.receive())
            await client.disconnect(4000)
            # Which nobody is told any more.
            await connection.hear("break")
            ack = {"ack": question["id"], "data": 42}
            await connection.hear(orjson.dumps(ack).decode())
    assert answers == [42]
    assert caplog.records == []
