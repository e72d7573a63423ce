"""WebSockets over HTTP/2 (RFC 8441): several on one connection, by plain ASGI."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, final

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, TextMessage

from .client import WAIT_SECONDS
from .server import HypercornServer

pytestmark = [pytest.mark.live, pytest.mark.anyio]


@final
class Channel:
    """One WebSocket of several on a connection."""

    def __init__(self, connection: Connector, stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._websocket = Connection(ConnectionType.CLIENT)

    async def _send(self, event: Event) -> None:
        data = self._websocket.send(event)
        await self._connection.send_data(self._stream_id, data)

    async def emit(self, event: str, data: Any = None, **fields: Any) -> None:
        text = json.dumps({"event": event, "data": data, **fields})
        await self._send(TextMessage(data=text))

    async def next_event(self) -> Event:
        while True:
            for event in self._websocket.events():
                return event
            data = await self._connection.read(self._stream_id)
            self._websocket.receive_data(data)

    async def receive(self) -> Any:
        event = await self.next_event()
        assert isinstance(event, TextMessage)
        assert event.message_finished
        return json.loads(event.data)

    async def close(self, code: int) -> None:
        await self._send(CloseConnection(code=code))


@final
class Connector:
    """A client that speaks HTTP/2 from the start, and reads when it is asked to."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._statuses: dict[int, str] = {}
        self._data: defaultdict[int, bytes] = defaultdict(bytes)
        self._extended = False

    async def _flush(self) -> None:
        await self._stream.send_all(self._h2.data_to_send())

    async def send_data(self, stream_id: int, data: bytes) -> None:
        self._h2.send_data(stream_id, data)
        await self._flush()

    async def _receive(self) -> None:
        with trio.fail_after(WAIT_SECONDS):
            octets = await self._stream.receive_some()
        assert octets, "the server hung up"
        for event in self._h2.receive_data(bytes(octets)):
            match event:
                case RemoteSettingsChanged():
                    self._extended = bool(
                        self._h2.remote_settings.enable_connect_protocol
                    )
                case ResponseReceived():
                    assert event.stream_id is not None
                    headers = dict(event.headers or ())
                    self._statuses[event.stream_id] = headers[b":status"].decode()
                case DataReceived():
                    assert event.stream_id is not None
                    self._data[event.stream_id] += event.data or b""
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id
                    )
                case _:
                    pass
        await self._flush()

    async def start(self) -> None:
        self._h2.initiate_connection()
        await self._flush()
        while not self._extended:
            await self._receive()

    async def open(self, path: str = "/ws") -> Channel:
        stream_id = self._h2.get_next_available_stream_id()
        headers = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", path),
            ("sec-websocket-version", "13"),
        ]
        self._h2.send_headers(stream_id, headers)
        await self._flush()
        while stream_id not in self._statuses:
            await self._receive()
        assert self._statuses[stream_id] == "200"
        return Channel(self, stream_id)

    async def read(self, stream_id: int) -> bytes:
        while not self._data[stream_id]:
            await self._receive()
        return self._data.pop(stream_id)


@asynccontextmanager
async def connected(server: HypercornServer) -> AsyncGenerator[Connector]:
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        connector = Connector(stream)
        await connector.start()
        yield connector


async def test_several_websockets_share_a_connection(server: HypercornServer) -> None:
    before = len(server.log())
    async with connected(server) as connector:
        channels = [await connector.open() for _ in range(5)]
        sids = [(await channel.receive())["data"]["sid"] for channel in channels]
        assert len(set(sids)) == 5

        for size in (1, 1000, 16_000):
            await channels[0].emit("echo", "x" * size, id=size)
            assert await channels[0].receive() == {"ack": size, "data": "x" * size}

        for channel in channels[1:]:
            await channel.emit("join", "http2", id=0)
            assert (await channel.receive())["ack"] == 0
        await channels[0].emit("emit", {"event": "news", "data": 1, "room": "http2"})
        for channel in channels[1:]:
            assert (await channel.receive())["data"] == 1

        # The end of one is the end of no other.
        await channels[1].close(1000)
        assert isinstance(await channels[1].next_event(), CloseConnection)
        await channels[2].emit("leave me", {"code": 4000, "reason": "bye"})
        assert (await channels[2].receive())["event"] == "last words"
        closed = await channels[2].next_event()
        assert isinstance(closed, CloseConnection)
        assert (closed.code, closed.reason) == (4000, "bye")

        async def gone() -> dict[str, list[list[Any]]]:
            await channels[0].emit("gone", sids, id=1)
            return dict((await channels[0].receive())["data"])

        with trio.fail_after(WAIT_SECONDS):
            while set(calls := await gone()) != set(sids[1:3]):
                pass
        assert calls[sids[2]] == [[4000, "bye"]]
        await channels[3].emit("echo", "still here", id=2)
        assert (await channels[3].receive())["data"] == "still here"
    server.check_log(before)
