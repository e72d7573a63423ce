"""Who is not read is pinged, and no answer is expected of it; on virtual time."""

from __future__ import annotations

import json
from contextlib import suppress

import anyio
import pytest

from greenroom.testing import MemoryPeer, TransportClosed

from .support import Chat, until

pytestmark = pytest.mark.anyio

PING, PONG, IDLE = 0.8, 0.4, 4.0
ROUND = PONG / 8

HELD = json.dumps({"event": "echo", "data": 1})


async def pings_of(peer: MemoryPeer, seconds: float) -> list[tuple[float, int]]:
    """What comes in so many seconds, pings all: when, and their ids."""
    came: list[tuple[float, int]] = []
    began = anyio.current_time()
    with anyio.move_on_after(seconds):
        while True:
            frame = json.loads(await peer.receive())
            assert frame["event"] == "ping"
            came.append((anyio.current_time() - began, frame["id"]))
    return came


def check_calls(came: list[tuple[float, int]], calls: int) -> None:
    """Three in a row each time, a round between; a ``PING`` between the times."""
    assert len(came) == 3 * calls
    for number in range(0, len(came), 3):
        (first, _), (second, _), (third, _) = came[number : number + 3]
        assert second - first == pytest.approx(ROUND, abs=0.01)
        assert third - second == pytest.approx(ROUND, abs=0.01)
    for before, after in zip(came[::3], came[3::3], strict=False):
        assert after[0] - before[0] == pytest.approx(PING, abs=0.1)


async def test_one_who_is_throttled_is_pinged_and_need_not_answer() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG, message_rate=0.1, message_burst=1)
    async with chat.running(), chat.peer() as peer:
        for _ in range(2):
            await peer.send(HELD)
        check_calls(await pings_of(peer, 5.3 * PING), 5)
        statistics = chat.adapter.statistics()
        assert (statistics.pings, statistics.unanswered) == (15, 0)
        assert len(chat.handled) == 1
        # What came before it was read is an answer; then the silence is its own.
        with suppress(TransportClosed):
            while True:
                await peer.receive()
        assert len(chat.handled) == 2
        assert chat.adapter.statistics().unanswered == 1


async def test_one_whose_inbox_is_full_is_pinged_and_need_not_answer() -> None:
    chat = Chat(
        ping_seconds=PING, pong_seconds=PONG, idle_seconds=IDLE, inbox_messages=1
    )
    async with chat.running(), chat.peer() as peer:
        await peer.send('{"event": "wait"}')
        await until(lambda: chat.waiting)
        for _ in range(4):
            await peer.send(HELD)
        # For longer than it may be idle, too.
        check_calls(await pings_of(peer, 7.3 * PING), 7)
        chat.release()
        await until(lambda: len(chat.handled) == 4)
        began = anyio.current_time()
        frame = json.loads(await peer.receive())
        assert frame["event"] == "ping"
        assert anyio.current_time() - began >= PING - ROUND
        assert chat.adapter.statistics().unanswered == 0


async def test_the_answers_to_them_are_no_forgeries() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG, message_rate=1.0, message_burst=1)
    async with chat.running(), chat.peer() as peer:
        for _ in range(2):
            await peer.send(HELD)
        ((_, id), *_) = await pings_of(peer, 1.2 * PING)
        for ack in (id, id, id, 12345):
            await peer.send(json.dumps({"ack": ack}))
        await pings_of(peer, 3.4)
        statistics = chat.adapter.statistics()
        assert (statistics.throttled, statistics.ignored_acks) == (5, 0)
        await pings_of(peer, 0.8)
        assert chat.adapter.statistics().ignored_acks == 1


async def test_where_nobody_is_pinged_they_are_not() -> None:
    chat = Chat(idle_seconds=1.0, message_rate=0.1, message_burst=1)
    async with chat.running(), chat.peer() as peer:
        for _ in range(2):
            await peer.send(HELD)
        assert await pings_of(peer, 9) == []
        assert chat.adapter.statistics().idle == 0


async def test_a_full_outbox_takes_none() -> None:
    chat = Chat(
        ping_seconds=PING,
        pong_seconds=PONG,
        message_rate=0.01,
        message_burst=1,
        outbox_messages=1,
        send_seconds=60,
    )
    async with chat.running(), chat.peer() as peer:
        await until(lambda: chat.clients)
        for _ in range(2):
            await peer.send(HELD)
        await until(lambda: chat.adapter.statistics().throttled)
        peer.stall()
        (client,) = chat.clients.values()
        await client.emit("one")
        await until(lambda: chat.adapter.statistics().outbound.pending)
        await client.emit("two")
        await anyio.sleep(3 * PING)
        assert chat.adapter.statistics().pings == 0
        assert client.connected
        peer.unstall()
