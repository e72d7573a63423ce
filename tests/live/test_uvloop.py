"""hypercorn's uvloop worker: asyncio, but another transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import crowd
from .server import HypercornServer, hypercorn_server
from .transports import (
    SOCKET_BUFFER,
    expect_a_drop,
    expect_goodbyes,
    expect_to_be_heard,
)

pytest.importorskip("uvloop")

pytestmark = [pytest.mark.live, pytest.mark.anyio]


@pytest.fixture(scope="module")
def server() -> Iterator[HypercornServer]:
    target = "tests.live.apps.pressure:app"
    with hypercorn_server(target, "uvloop", socket_buffer=SOCKET_BUFFER) as server:
        yield server
        server.check_log()


async def test_what_is_said_comes_back_and_reaches_the_others(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        await expect_to_be_heard(clients)


async def test_one_who_does_not_read_is_dropped(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        await expect_a_drop(clients)


async def test_told_to_stop_the_server_says_goodbye_and_ends() -> None:
    with hypercorn_server("tests.live.apps.goodbye:app", "uvloop") as server:
        async with crowd(server) as clients:
            # Less than hypercorn's own patience.
            await expect_goodbyes(server, clients, 2.5)
        server.check_log()
