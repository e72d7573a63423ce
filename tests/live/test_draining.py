"""adapter.drain() on a real server: in batches, with a hint, and nobody new."""

from __future__ import annotations

import re

import pytest
import trio

from .client import Peer, crowd
from .server import hypercorn_server
from .test_handshake import REQUEST

pytestmark = [pytest.mark.live, pytest.mark.anyio]

APP = "tests.live.apps.goodbye:app"


async def test_clients_are_told_when_to_come_back(worker: str) -> None:
    goodbyes: list[tuple[int, str]] = []

    async def read(peer: Peer) -> None:
        goodbyes.append(await peer.wait_closed())

    with hypercorn_server(APP, worker) as server:
        async with crowd(server) as clients:
            peers = await clients.welcome_many(7)
            # One that reads nothing holds up none but its batch.
            stalled = await clients.welcome(socket_buffer=4096)
            await stalled.emit("stream", 4096)
            await peers[0].emit("drain")
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(read, peer)
            assert {code for code, _ in goodbyes} == {1012}
            hint = r"new version; retry-after=(\d\.\d)"
            hints = [re.fullmatch(hint, reason) for _, reason in goodbyes]
            assert len(hints) == 7
            assert all(match and float(match[1]) <= 8.0 for match in hints)
            answer = await clients.knock(REQUEST % (b"/ws", b""))
            assert answer.startswith(b"HTTP/1.1 503 ")
        code, _ = await trio.to_thread.run_sync(server.terminate)
        assert code == 0
        assert len(re.findall(r"^gone ", server.log(), re.MULTILINE)) == 8
        server.check_log()
