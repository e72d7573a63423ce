"""Two hundred clients in one room, and what becomes of it when half of them vanish."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from .client import Peer, alone, crowd, eventually
from .server import HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]

CLIENTS = 200
MESSAGES = 40


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server("tests.live.apps.events:app", worker) as server:
        yield server


async def join_all(peers: list[Peer], room: str) -> None:
    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(peer.ask, "join", room)


async def numbers_of(peer: Peer, count: int) -> list[int]:
    return [await peer.expect("number") for _ in range(count)]


async def test_everyone_gets_everything_in_order(server: HypercornServer) -> None:
    received: list[list[int]] = []

    async def read(peer: Peer) -> None:
        received.append(await numbers_of(peer, MESSAGES))
        assert await peer.drain() == []

    async with crowd(server) as clients:
        speaker = await clients.welcome()
        await alone(speaker)
        peers = await clients.welcome_many(CLIENTS)
        assert len({peer.sid for peer in peers}) == CLIENTS
        await join_all(peers, "hall")
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(read, peer)
            for number in range(MESSAGES):
                what = {"event": "number", "data": number, "room": "hall"}
                await speaker.emit("emit", what)

        assert received == [list(range(MESSAGES))] * CLIENTS
        assert await speaker.drain() == []
        statistics = await speaker.ask("statistics")
        assert statistics["connections"] == CLIENTS + 1
        assert statistics["rooms"] == 1
        assert statistics["overflows"] == statistics["stalls"] == 0


async def test_half_of_them_vanish_and_the_other_half_does_not_notice(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        speaker = await clients.welcome()
        await alone(speaker)
        base = await speaker.ask("statistics")
        peers = await clients.welcome_many(CLIENTS)
        await join_all(peers, "hall")
        leaving, staying = peers[: CLIENTS // 2], peers[CLIENTS // 2 :]
        for peer in leaving[::4]:
            await peer.emit("hang")

        async with trio.open_nursery() as nursery:
            received: list[list[int]] = []

            async def read(peer: Peer) -> None:
                received.append(await numbers_of(peer, MESSAGES))

            for peer in staying:
                nursery.start_soon(read, peer)
            doomed = iter(leaving)
            for number in range(MESSAGES):
                what = {"event": "number", "data": number, "room": "hall"}
                await speaker.emit("emit", what)
                # The last ones vanish when nothing is on its way to them.
                for peer in itertools.islice(doomed, 3):
                    peer.reset()
        assert received == [list(range(MESSAGES))] * len(staying)

        statistics: dict[str, Any] = {}

        async def has_settled() -> bool:
            statistics.update(await speaker.ask("statistics"))
            return bool(statistics["connections"] == 1 + len(staying))

        await eventually("the end of those who vanished", has_settled)
        calls = await speaker.ask("gone", [peer.sid for peer in peers])
        assert calls == {peer.sid: [[1006, ""]] for peer in leaving}
        assert statistics["rooms"] == 1
        assert statistics["overflows"] == statistics["stalls"] == 0
        assert statistics["handler_errors"] == 0

        for peer in staying:
            assert await peer.drain() == []
            await peer.close()
        await alone(speaker)
        after = await speaker.ask("statistics")
        assert after["rooms"] == base["rooms"] == 0
        assert after["connections_total"] == base["connections_total"] + CLIENTS
        for way in ("inbound", "outbound"):
            flow = after[way]
            settled = flow["handled"] + flow["dead_lettered"] + flow["pending"]
            assert flow["accepted"] == settled
        calls = await speaker.ask("gone", [peer.sid for peer in peers])
        assert [len(calls[peer.sid]) for peer in peers] == [1] * CLIENTS
