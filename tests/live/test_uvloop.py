"""hypercorn's uvloop worker: asyncio, but another transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from .apps.pressure import OUTBOX
from .client import Peer, crowd, eventually, goodbyes
from .server import HypercornServer, hypercorn_server, unhurried

pytest.importorskip("uvloop")

pytestmark = [pytest.mark.live, pytest.mark.anyio]

SOCKET_BUFFER = 8192
PAD = 8192


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
        speaker, listener = await clients.welcome(), await clients.welcome()
        for size in (1, 1000, 60_000):
            assert await speaker.ask("echo", "x" * size) == "x" * size
        await listener.ask("join", "hall")
        for number in range(2 * OUTBOX):
            await speaker.ask("emit", {"event": "n", "data": number, "room": "hall"})
            assert (await listener.expect("n"))[0] == number


async def test_one_who_does_not_read_is_dropped(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        witness = await clients.welcome("/hasty")
        sockets = await witness.ask("sockets")
        stalled = await clients.welcome("/hasty", socket_buffer=SOCKET_BUFFER)
        await stalled.emit("stream", {"count": 10_000, "pad": PAD})

        [[code, _]] = await goodbyes(witness, stalled.sid)
        assert code == 1013

        async def is_dropped() -> bool:
            return bool(await witness.ask("sockets") == sockets)

        await eventually("the end of its socket", is_dropped, 5)


async def expect_goodbye(peer: Peer) -> None:
    assert await peer.wait_closed() == (1001, "going away")


async def test_told_to_stop_the_server_says_goodbye_and_ends() -> None:
    with hypercorn_server("tests.live.apps.goodbye:app", "uvloop") as server:
        async with crowd(server) as clients:
            peers = await clients.welcome_many(5)
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(expect_goodbye, peer)
                # Less than hypercorn's own patience.
                code, _ = await trio.to_thread.run_sync(
                    lambda: server.terminate(deadline_seconds=unhurried(2.5))
                )
        assert code == 0
        server.check_log()
