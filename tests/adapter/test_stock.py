"""The adapter on a real hypercorn: by the wire, under pressure and to the end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Options, Overflow

from ..conftest import BACKENDS
from .stock import CLOSE, TEXT, Peer, Served, served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Asyncio, then Trio, on the real clock: here are real sockets."""
    return request.param, BACKENDS[request.param]


class Hall:
    """An adapter whose clients are all in one room."""

    def __init__(self, backend: str, **options: Any) -> None:
        self.backend = backend
        self.adapter = ActorAdapter(path="/", options=Options(**options))
        self.gone: list[tuple[int | None, str]] = []
        self.left = anyio.Event()

        @self.adapter.on_connect()
        async def enter(event: str, client: Any, data: Any) -> None:
            await client.join("hall")

        @self.adapter.on("echo")
        async def echo(event: str, client: Any, data: Any) -> Any:
            return data

        @self.adapter.on("flood")
        async def flood(event: str, client: Any, data: Any) -> None:
            for number in range(data):
                await self.adapter.emit("item", f"{number:06}" * 300, room="hall")
                # As fast as a healthy client reads, in this same process.
                await anyio.sleep(0.001)

        @self.adapter.on("stream")
        async def stream(event: str, client: Any, data: Any) -> None:
            for number in range(data):
                await client.emit("item", f"{number:06}" * 2000)

        @self.adapter.on("kick")
        async def kick(event: str, client: Any, data: Any) -> None:
            await client.disconnect(4000, "kicked")

        @self.adapter.on_disconnect()
        async def leave(event: str, client: Any, data: Any) -> None:
            self.gone.append((client.close_code, client.close_reason))
            self.left.set()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Served]:
        with anyio.fail_after(20):
            async with served(self.adapter, self.backend) as server:
                yield server


async def goodbye(peer: Peer) -> tuple[int, str]:
    """The code and the reason of the close frame; what comes before is dropped."""
    first, payload = 0, b""
    while first != CLOSE:
        first, payload = await peer.frame()
    return int.from_bytes(payload[:2], "big"), payload[2:].decode()


async def test_what_is_said_comes_back(anyio_backend_name: str) -> None:
    hall = Hall(anyio_backend_name)
    async with hall.open() as server, server.connect() as (peer, _):
        for number in range(20):
            assert await peer.ask("echo", number) == number
        flow = hall.adapter.statistics().outbound
        assert (flow.accepted, flow.handled, flow.pending) == (20, 20, 0)


async def test_a_slow_reader_gets_everything_in_order(anyio_backend_name: str) -> None:
    hall = Hall(anyio_backend_name, outbox_messages=8)
    async with hall.open() as server, server.connect(small=True) as (peer, _):
        await peer.send(1, b'{"event": "stream", "data": 200}')
        for number in range(200):
            if number % 50 == 0:
                # Until nothing moves any more.
                await anyio.wait_all_tasks_blocked()
            first, payload = await peer.frame()
            assert first == TEXT
            assert json.loads(payload)["data"] == f"{number:06}" * 2000
        assert await peer.ask("echo", "still here") == "still here"


async def test_one_that_stops_reading_costs_the_others_nothing(
    anyio_backend_name: str,
) -> None:
    # However long it takes it to read its goodbye.
    hall = Hall(anyio_backend_name, outbox_messages=16, close_seconds=60)
    async with (
        hall.open() as server,
        server.connect(small=True) as (stalled, _),
        server.connect() as (healthy, _),
    ):
        assert await stalled.ask("echo", 1) == 1
        await healthy.send(1, b'{"event": "flood", "data": 300}')
        for number in range(300):
            _, payload = await healthy.frame()
            assert json.loads(payload)["data"] == f"{number:06}" * 300
        await hall.left.wait()
        assert hall.gone == [(1013, "too slow: pending messages")]
        assert await goodbye(stalled) == (1013, "too slow: pending messages")
        flow = hall.adapter.statistics().outbound
        assert flow.accepted == flow.handled + flow.dead_lettered + flow.pending


async def dropped(peer: Peer) -> None:
    """Read until the connection ends, without a goodbye."""
    first = TEXT
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while first == TEXT:
            first, _ = await peer.frame()
    assert first == TEXT


@pytest.mark.parametrize("overflow", [Overflow.DROP_NEW, Overflow.DROP_OLD])
async def test_a_write_that_does_not_end_ends_the_connection(
    anyio_backend_name: str, overflow: Overflow
) -> None:
    hall = Hall(
        anyio_backend_name, outbox_messages=16, send_seconds=0.2, overflow=overflow
    )
    async with (
        hall.open() as server,
        server.connect(small=True) as (stalled, _),
        server.connect() as (healthy, _),
    ):
        assert await stalled.ask("echo", 1) == 1
        await healthy.send(1, b'{"event": "flood", "data": 600}')
        for _ in range(600):
            await healthy.frame()
        await hall.left.wait()
        assert hall.gone == [(1013, "too slow: write deadline")]
        assert hall.adapter.statistics().stalls == 1
        # Its connection is dropped, though it never reads.
        await dropped(stalled)


async def test_told_to_stop_it_says_goodbye_at_once(anyio_backend_name: str) -> None:
    hall = Hall(anyio_backend_name)
    async with (
        hall.open() as server,
        server.connect() as (one, _),
        server.connect() as (two, _),
    ):
        assert await one.ask("echo", 1) == 1
        assert await two.ask("echo", 2) == 2
        server.stop.set()
        assert await goodbye(one) == (1001, "going away")
        assert await goodbye(two) == (1001, "going away")
    assert hall.gone == [(1001, "going away")] * 2


async def test_told_to_stop_it_does_not_wait_for_who_does_not_read(
    anyio_backend_name: str,
) -> None:
    hall = Hall(anyio_backend_name, close_seconds=0.2, send_seconds=0.2)
    async with hall.open() as server, server.connect(small=True) as (stalled, _):
        await stalled.send(1, b'{"event": "stream", "data": 1000}')
        await stalled.frame()
        server.stop.set()
        await hall.left.wait()
    assert len(hall.gone) == 1


async def test_one_that_is_kicked_and_goes_on_talking_is_dropped(
    anyio_backend_name: str,
) -> None:
    hall = Hall(anyio_backend_name, close_seconds=0.2)
    async with hall.open() as server, server.connect() as (peer, _):
        await peer.send(1, b'{"event": "kick"}')
        assert await goodbye(peer) == (4000, "kicked")
        # It does not answer the goodbye.
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await peer.frame()
