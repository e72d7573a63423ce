"""WebSockets over HTTP/2 (RFC 8441): several on one connection, none at their cost."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, final

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamReset,
)
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, TextMessage

from .apps.faults import SEND_SECONDS
from .client import WAIT_SECONDS, eventually
from .server import HypercornServer, unhurried
from .witness import check_log, connections, goodbyes, linux_only

pytestmark = [pytest.mark.live, pytest.mark.anyio]

MEGABYTE = 1_000_000
# More than any window that a client would let a server have.
PAD, MANY = 100_000, 1000


@final
class Channel:
    """One WebSocket of several on a connection."""

    def __init__(self, connection: Connector, stream_id: int) -> None:
        self._connection = connection
        self.stream_id = stream_id
        self._websocket = Connection(ConnectionType.CLIENT)

    async def _send(self, event: Event) -> None:
        data = self._websocket.send(event)
        await self._connection.send_data(self.stream_id, data)

    async def emit(self, event: str, data: Any = None, **fields: Any) -> None:
        text = json.dumps({"event": event, "data": data, **fields})
        await self._send(TextMessage(data=text))

    async def next_event(self) -> Event:
        while True:
            for event in self._websocket.events():
                return event
            data = await self._connection.read(self.stream_id)
            self._websocket.receive_data(data)

    async def receive(self) -> Any:
        text, finished = "", False
        while not finished:
            event = await self.next_event()
            assert isinstance(event, TextMessage)
            text += event.data
            finished = event.message_finished
        return json.loads(text)

    async def ask(self, event: str, data: Any = None) -> Any:
        """Emit an event and return the data of its ack, which must come next."""
        await self.emit(event, data, id=1)
        answer = await self.receive()
        assert answer["ack"] == 1
        return answer["data"]

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
        # Those whose windows are left as they are.
        self.stalled: set[int] = set()
        # Of those that the server has reset, the code.
        self.resets: dict[int, int] = {}

    @property
    def port(self) -> int:
        """Its own, by which the kernel knows the connection."""
        port: int = self._stream.socket.getsockname()[1]
        return port

    async def _flush(self) -> None:
        await self._stream.send_all(self._h2.data_to_send())

    async def send_data(self, stream_id: int, data: bytes) -> None:
        self._h2.send_data(stream_id, data)
        await self._flush()

    async def end(self, stream_id: int) -> None:
        """Say that nothing more will come."""
        self._h2.end_stream(stream_id)
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
                    if event.stream_id not in self.stalled:
                        self._h2.acknowledge_received_data(
                            event.flow_controlled_length or 0, event.stream_id
                        )
                case StreamReset():
                    assert event.stream_id is not None
                    self.resets[event.stream_id] = int(event.error_code or 0)
                case _:
                    pass
        await self._flush()

    async def start(self) -> None:
        self._h2.initiate_connection()
        await self._flush()
        while not self._extended:
            await self._receive()

    async def widen(self, size: int, *, each: bool = False) -> None:
        """Let the server send so many bytes more on all streams together.

        Or on *each* of those that will be opened, too.
        """
        self._h2.increment_flow_control_window(size)
        if each:
            self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        await self._flush()

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
        await connector.end(channels[1].stream_id)
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


@asynccontextmanager
async def watched(
    server: HypercornServer,
) -> AsyncGenerator[tuple[Channel, Connector]]:
    """A witness, and the connection that it is on; in the end nothing is left."""
    async with connected(server) as connector:
        await connector.widen(100 * MEGABYTE)
        witness = await connector.open()
        await witness.receive()

        async def is_alone() -> bool:
            look = await witness.ask("look")
            return set(of_hypercorn(look).values()) == {1}

        await eventually("the end of who was here before", is_alone)
        before = await witness.ask("look")
        yield witness, connector

        async def is_as_before() -> bool:
            look = await witness.ask("look")
            return all(look[what] == before[what] for what in ("tasks", "actors")) and (
                of_hypercorn(look) == of_hypercorn(before)
            )

        await eventually("the end of all that was for others", is_as_before)
        check_log(server)


def of_hypercorn(look: dict[str, Any]) -> dict[str, int]:
    """What hypercorn keeps for each stream, and for each connection."""
    names = {"WSStream", "H2Protocol", "TCPServer", "Backlog", "StreamBuffer"}
    return {
        kind: number
        for kind, number in look["kinds"].items()
        if kind.rpartition(".")[2] in names
    }


async def farewell(server: HypercornServer, sid: str) -> str:
    """What on_disconnect was told of *sid*."""

    async def has_gone() -> bool:
        return bool(goodbyes(server)[sid])

    await eventually(f"on_disconnect of {sid}", has_gone)
    (how,) = goodbyes(server)[sid]
    return how


@linux_only
async def test_a_stream_that_takes_nothing_is_dropped_and_no_other_notices(
    faulty: HypercornServer,
) -> None:
    async with watched(faulty) as (witness, connector):
        memory = await witness.ask("memory")
        stalled = await connector.open()
        sid = (await stalled.receive())["data"]["sid"]
        connector.stalled.add(stalled.stream_id)
        await stalled.emit("stream", {"count": MANY, "pad": PAD})

        began, number = time.monotonic(), 0
        while not connector.resets:
            assert await witness.ask("echo", number) == number
            # It is the client that is waited for.
            assert await witness.ask("memory") < memory + 8 * MEGABYTE
            number += 1
        assert time.monotonic() - began < unhurried(SEND_SECONDS + 2)
        assert connector.resets == {stalled.stream_id: ErrorCodes.CANCEL}
        assert await farewell(faulty, sid) == "1013 too slow: write deadline"
        assert await witness.ask("echo", "still here") == "still here"
        assert connections(faulty).keys() == {connector.port}


@linux_only
async def test_a_connection_that_takes_nothing_is_dropped_with_all_of_its_streams(
    faulty: HypercornServer,
) -> None:
    async with watched(faulty) as (witness, watching), connected(faulty) as stalled:
        await stalled.widen(1000 * MEGABYTE, each=True)
        channels = [await stalled.open() for _ in range(3)]
        sids = [(await channel.receive())["data"]["sid"] for channel in channels]
        # From here on, nothing is read.
        await channels[0].emit("stream", {"count": MANY, "pad": PAD})

        began = time.monotonic()
        while connections(faulty).keys() != {watching.port}:
            await witness.ask("echo")
            assert time.monotonic() - began < unhurried(SEND_SECONDS + 2)
        hows = [await farewell(faulty, sid) for sid in sids]
        assert hows == ["1013 too slow: write deadline", "1006 ", "1006 "]
