"""Clients that leave, or send what they should not, before they are accepted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import alone, crowd
from .server import HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]

REQUEST = (
    b"GET %s HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
    b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)


@pytest.fixture
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server("tests.live.apps.events:app", worker) as server:
        yield server


async def test_who_vanishes_during_the_handshake_leaves_nothing(
    server: HypercornServer,
) -> None:
    request = REQUEST % (b"/ws", b"")
    async with crowd(server) as clients:
        witness = await clients.welcome()
        for cut in range(0, len(request), 4):
            await clients.knock_and_vanish(request[:cut])
            await clients.knock_and_vanish(request)

        await alone(witness)
        assert (await witness.ask("statistics"))["handler_errors"] == 0
    server.check_log()


# hypercorn 0.18 answers 400 when bytes follow a handshake that is not accepted yet.
# An accept that came then would be the end of its trio worker.
async def test_bytes_ahead_of_the_accept_harm_nobody_else(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness = await clients.welcome()
        for _ in range(50):
            await clients.knock(REQUEST % (b"/ws", b"") + b"\x81")

        await alone(witness, 3)
    server.check_log()


async def test_extension_parameters_that_mean_nothing_harm_nobody_else(
    server: HypercornServer,
) -> None:
    extension = b"permessage-deflate; server_max_window_bits=many"
    async with crowd(server) as clients:
        witness = await clients.welcome()
        for _ in range(10):
            header = b"sec-websocket-extensions: " + extension + b"\r\n"
            await clients.knock(REQUEST % (b"/ws", header))

        await alone(witness, 3)
    server.check_log()
