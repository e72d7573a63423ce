"""What is no message, through a real hypercorn: past its queue, and by way of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Excess, Options

from ..conftest import BACKENDS
from .stock import CLOSE, PONG, TEXT, Peer, served

pytestmark = pytest.mark.anyio

BURST = 20
TOO_MANY = b"\x03\xf0too many messages"


@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Asyncio, then Trio, on the real clock: here are real sockets."""
    return request.param, BACKENDS[request.param]


def behind(adapter: ActorAdapter) -> Any:
    """*adapter* behind middleware that looks at what comes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def look() -> Any:
            return await receive()

        await adapter(scope, look, send)

    return app


@asynccontextmanager
async def entered(
    backend: str, *, veiled: bool = False, **options: Any
) -> AsyncGenerator[tuple[ActorAdapter, Peer]]:
    """An adapter, and a client of it."""
    adapter = ActorAdapter("/", options=Options(**options))

    @adapter.on("echo")
    def echo(event: str, client: Any, data: Any) -> Any:
        return data

    app = behind(adapter) if veiled else adapter
    with anyio.fail_after(20):
        async with served(app, backend) as server, server.connect() as (peer, _):
            assert await peer.ask("echo", "hello") == "hello"
            yield adapter, peer


async def told(peer: Peer) -> tuple[int, bytes]:
    """The first frame that is no pong."""
    while True:
        first, payload = await peer.frame()
        if first != PONG:
            return first, payload


PING, PONGS, PARTS = b"\x89", b"\x8a", b"\x00"


@pytest.mark.parametrize("veiled", [False, True])
@pytest.mark.parametrize("kind", [PING, PONGS, PARTS])
async def test_it_counts(anyio_backend_name: str, veiled: bool, kind: bytes) -> None:
    rates = {"message_rate": 0.1, "message_burst": BURST, "excess": Excess.CLOSE}
    async with entered(anyio_backend_name, veiled=veiled, **rates) as (adapter, peer):
        empty = kind + b"\x80" + bytes(4)
        begin = b"\x01\x81" + bytes(4) + b"{"
        # One was asked before, and one is to begin with.
        await peer.stream.send(begin + empty * (BURST - 2))
        with anyio.move_on_after(0.1) as patience:
            await told(peer)
        assert patience.cancelled_caught
        assert adapter.statistics().connections == 1
        await peer.stream.send(empty)
        assert await told(peer) == (CLOSE, TOO_MANY)
        assert adapter.statistics().rate_closed == 1


@pytest.mark.parametrize("veiled", [False, True])
async def test_where_there_are_no_rates_nothing_does(
    anyio_backend_name: str, veiled: bool
) -> None:
    async with entered(anyio_backend_name, veiled=veiled) as (adapter, peer):
        await peer.stream.send((PING + b"\x80" + bytes(4)) * 1000)
        await peer.send(1, b'{"event": "echo", "data": 1, "id": 2}')
        first, payload = await told(peer)
        assert (first, payload[:9]) == (TEXT, b'{"ack":2,')
        assert adapter.statistics().throttled == 0


@pytest.mark.parametrize("veiled", [False, True])
async def test_a_message_without_end_is_given_up(
    anyio_backend_name: str, veiled: bool
) -> None:
    async with entered(anyio_backend_name, veiled=veiled) as (adapter, peer):
        part = b"\x00\xff" + (1 << 20).to_bytes(8, "big") + bytes(4 + (1 << 20))
        await peer.stream.send(b"\x01\x81" + bytes(4) + b"{")
        # hypercorn takes sixteen of them.
        for _ in range(16):
            await peer.stream.send(part)
        assert await told(peer) == (CLOSE, b"\x03\xf1")
        with anyio.fail_after(5):
            while adapter.statistics().connections:  # noqa: ASYNC110 - real sockets
                await anyio.sleep(0.01)
        statistics = adapter.statistics()
        assert (statistics.oversized, statistics.strikes) == (1, 0)
