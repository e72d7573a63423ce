"""SIGTERM to a real server: everyone is told, and it ends in time."""

from __future__ import annotations

import re

import pytest
import trio

from .client import Peer, crowd
from .server import HypercornServer, hypercorn_server, unhurried

pytestmark = [pytest.mark.live, pytest.mark.anyio]

APP = "tests.live.apps.goodbye:app"
GRACE = 3.0  # hypercorn's default
SHORT = 1  # the least that its command line takes
SHORT_GRACE = ["--graceful-timeout", str(SHORT)]


async def terminate(server: HypercornServer, grace: float, more: float) -> None:
    """Have *server* end within *grace* and so many seconds more."""
    deadline_seconds = grace + unhurried(more)
    code, _ = await trio.to_thread.run_sync(
        lambda: server.terminate(deadline_seconds=deadline_seconds)
    )
    assert code == 0


def seen_off(server: HypercornServer) -> list[str]:
    """Whom on_disconnect was called for because the server went away."""
    return re.findall(r"^gone (\S+) 1001 going away$", server.log(), re.MULTILINE)


async def test_everyone_gets_1001_and_an_on_disconnect(worker: str) -> None:
    codes: list[tuple[int, str]] = []

    async def read(peer: Peer) -> None:
        codes.append(await peer.wait_closed())

    with hypercorn_server(APP, worker) as server:
        async with crowd(server) as clients:
            peers = await clients.welcome_many(50)
            for peer in peers[::2]:
                await peer.ask("join", "hall")
            await peers[0].emit("hang")
            await peers[0].expect("hanging")
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(read, peer)
                nursery.start_soon(terminate, server, GRACE, 2)

        assert codes == [(1001, "going away")] * 50
        assert sorted(seen_off(server)) == sorted(peer.sid for peer in peers)
        assert f"cancelled {peers[0].sid}\n" in server.log()
        server.check_log()


async def test_a_handler_that_broadcasts_without_end_holds_nothing_up(
    worker: str,
) -> None:
    with hypercorn_server(APP, worker, extra_args=SHORT_GRACE) as server:
        async with crowd(server) as clients:
            peers = await clients.welcome_many(10)
            await peers[0].emit("tick")
            await peers[1].expect("tick")
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(peer.wait_closed)
                nursery.start_soon(terminate, server, SHORT, 2)

        assert sorted(seen_off(server)) == sorted(peer.sid for peer in peers)
        server.check_log()


async def test_a_client_that_does_not_read_holds_nothing_up(worker: str) -> None:
    small = 8192
    with hypercorn_server(
        APP, worker, extra_args=SHORT_GRACE, socket_buffer=small
    ) as server:
        async with crowd(server) as clients:
            healthy = await clients.welcome()
            stalled = await clients.welcome(socket_buffer=small)
            await stalled.emit("stream", small)
            await stalled.expect("chunk")

            await terminate(server, SHORT, 3)
            assert await healthy.wait_closed() == (1001, "going away")

        assert sorted(seen_off(server)) == sorted([healthy.sid, stalled.sid])
        server.check_log()


async def test_one_who_has_just_left_is_no_trouble(worker: str) -> None:
    with hypercorn_server(APP, worker, extra_args=SHORT_GRACE) as server:
        async with crowd(server) as clients:
            for peer in await clients.welcome_many(10):
                peer.reset()
            await terminate(server, SHORT, 2)

        assert len(re.findall("^gone ", server.log(), re.MULTILINE)) == 10
        server.check_log()
