"""Clients that do not read, and clients that send more than anyone can handle."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import pytest
import trio
from trio_websocket import ConnectionClosed

from .apps.pressure import INBOX, OUTBOX
from .client import Peer, alone, crowd, eventually, goodbyes
from .server import HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]

# Of each socket: with the kernel's megabytes every test would take long.
SOCKET_BUFFER = 8192
PAD = 8192


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    target = "tests.live.apps.pressure:app"
    with hypercorn_server(target, worker, socket_buffer=SOCKET_BUFFER) as server:
        yield server
        server.check_log()


async def inbound(witness: Peer) -> int:
    """How many messages wait for handlers."""
    pending: int = (await witness.ask("statistics"))["inbound"]["pending"]
    return pending


async def full_inbox(witness: Peer, count: int = INBOX) -> None:
    """Return when the inbox of the only other client is full, or has *count*."""

    async def is_full() -> bool:
        return await inbound(witness) >= count

    await eventually("a full inbox", is_full)


async def test_one_who_does_not_read_is_disconnected_and_no_other_waits(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        speaker = await clients.welcome()
        before = await speaker.ask("statistics")
        stalled = await clients.welcome(socket_buffer=SOCKET_BUFFER)
        readers = [await clients.welcome() for _ in range(5)]
        for peer in (stalled, *readers):
            await peer.ask("join", "hall")

        # In step: each message has reached everyone else before the next.
        for number in range(4 * OUTBOX):
            what = {"event": "number", "data": number, "room": "hall", "pad": PAD}
            await speaker.ask("emit", what)
            for peer in readers:
                assert (await peer.expect("number"))[0] == number

        why = [1013, "too slow: pending messages"]
        assert await goodbyes(speaker, stalled.sid) == [why]
        after = await speaker.ask("statistics")
        assert after["overflows"] == before["overflows"] + 1
        assert after["stalls"] == before["stalls"]
        for peer in readers:
            assert await peer.drain() == []

        # What it finds should it ever read again.
        await stalled.wait_closed()


async def test_one_who_does_not_read_misses_what_is_volatile_and_stays(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        speaker = await clients.welcome()
        before = await speaker.ask("statistics")
        stalled = await clients.welcome(socket_buffer=SOCKET_BUFFER)
        reader = await clients.welcome()
        count = 4 * OUTBOX
        for number in range(count):
            what = {"event": "number", "data": number, "pad": PAD, "volatile": True}
            await speaker.ask("emit", {**what, "skip_sid": speaker.sid})
            assert (await reader.expect("number"))[0] == number
        after = await speaker.ask("statistics")
        missed = after["dropped"] - before["dropped"]
        assert 0 < missed < count
        # What there was room for, in order.
        kept = [(await stalled.expect("number"))[0] for _ in range(count - missed)]
        assert kept == sorted(set(kept))
        assert await stalled.drain() == []


async def test_a_write_that_takes_too_long_is_the_end_of_the_client(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness = await clients.welcome("/hasty")
        before = await witness.ask("statistics")
        stalled = await clients.welcome("/hasty", socket_buffer=SOCKET_BUFFER)
        await stalled.emit("stream", {"count": 10_000, "pad": PAD})

        why = [1013, "too slow: write deadline"]
        assert await goodbyes(witness, stalled.sid) == [why]
        after = await witness.ask("statistics")
        assert after["stalls"] == before["stalls"] + 1
        assert after["overflows"] == before["overflows"]
        # The streaming handler was told.
        assert await witness.ask("produced", stalled.sid) == -1


async def test_a_streaming_handler_waits_for_its_reader(
    server: HypercornServer,
) -> None:
    count = 500
    async with crowd(server) as clients:
        witness = await clients.welcome()
        reader = await clients.welcome(socket_buffer=SOCKET_BUFFER)
        await reader.emit("stream", {"count": count, "pad": PAD})

        async def outbox_is_full() -> bool:
            statistics = await witness.ask("statistics")
            return bool(statistics["outbound"]["pending"] >= OUTBOX)

        await eventually("a full outbox", outbox_is_full)
        assert await witness.ask("produced", reader.sid) < 2 * OUTBOX

        for number in range(count):
            assert (await reader.expect("chunk"))[0] == number
            if number % 50 == 0:
                statistics = await witness.ask("statistics")
                # The one beyond is being written.
                assert statistics["outbound"]["pending"] <= OUTBOX + 1
        assert await reader.drain() == []
        assert await witness.ask("produced", reader.sid) == count


async def test_a_flood_waits_for_a_handler_that_is_busy(
    server: HypercornServer,
) -> None:
    count, size = 2000, 16_384
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        for number in range(count):
            await peer.emit("item", [number, "x" * size])
            sent += 1

    async with crowd(server) as clients:
        witness = await clients.welcome()
        flooding = await clients.welcome(socket_buffer=SOCKET_BUFFER)
        await flooding.emit("block")
        memory = await witness.ask("peak memory")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, flooding)
            await full_inbox(witness)
            for _ in range(100):
                # The ones beyond are being handled: the block, the witness's.
                assert await inbound(witness) <= INBOX + 2
            assert sent < 4 * INBOX
            growth = await witness.ask("peak memory") - memory
            # In kilobytes; macOS has bytes.
            assert growth < 8192 * (1024 if sys.platform == "darwin" else 1)
            await witness.ask("unblock", flooding.sid)

        assert await flooding.ask("items") == list(range(count))


async def test_a_flood_that_is_answered_is_answered_in_order(
    server: HypercornServer,
) -> None:
    count = 2000

    async def flood(peer: Peer) -> None:
        for number in range(count):
            await peer.emit("echo", number, id=number)

    async with crowd(server) as clients:
        peer = await clients.welcome(socket_buffer=SOCKET_BUFFER)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, peer)
            for number in range(count):
                assert await peer.receive() == {"ack": number, "data": number}


# An app that returns while hypercorn's queue of messages for it is full leaves
# hypercorn waiting for room there, and the connection open, for ever.
async def test_one_who_is_disconnected_while_it_floods_leaves_no_socket(
    server: HypercornServer,
) -> None:
    async def flood(peer: Peer) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await peer.emit("item", [0, "x" * 1000])

    async with crowd(server) as clients:
        witness = await clients.welcome()
        await alone(witness)
        before = await witness.ask("sockets")
        async with crowd(server) as others, trio.open_nursery() as nursery:
            flooding = await others.welcome()
            await flooding.emit("block")
            nursery.start_soon(flood, flooding)
            await full_inbox(witness)
            await witness.ask("kick", flooding.sid)

            assert await goodbyes(witness, flooding.sid) == [[4000, "kicked"]]
            with trio.fail_after(3):
                assert await flooding.wait_closed() == (4000, "kicked")
            nursery.cancel_scope.cancel()

        async def has_settled() -> bool:
            return bool(await witness.ask("sockets") == before)

        await eventually("the end of its socket", has_settled, 3)


async def test_what_a_flood_leaves_behind_ends_with_its_client(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness = await clients.welcome()
        flooding = await clients.welcome()
        await flooding.emit("block")
        for number in range(INBOX // 2):
            await flooding.emit("item", [number])
        # With the block, and what the witness asks; a reset takes the rest with it.
        await full_inbox(witness, INBOX // 2 + 2)
        flooding.reset()

        assert await goodbyes(witness, flooding.sid) == [[1006, ""]]

        await alone(witness)
        flow = (await witness.ask("statistics"))["inbound"]
        assert flow["pending"] == 1
        assert flow["accepted"] == flow["handled"] + flow["dead_lettered"] + 1
