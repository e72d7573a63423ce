"""Rates and heartbeat on a real server: who asks too much, and who is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .apps.limits import BURST, CLOSE_SECONDS, PING_SECONDS, PONG_SECONDS, RATE
from .crowd import Member, build, crowd
from .server import HypercornServer, hypercorn_server, unhurried
from .witness import connections, linux_only

pytestmark = [pytest.mark.live, linux_only]

SMALL_BUFFER = 8192
# Of a round trip beside a flood.
PATIENCE = 0.5
FLOOD_SECONDS = 1.0


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    app = "tests.live.apps.limits:app"
    with hypercorn_server(app, worker, socket_buffer=SMALL_BUFFER) as server:
        yield server
        server.check_log()


def answer_pings(member: Member) -> int:
    """Answer what has come; return how many there were."""
    pings = [frame for frame in member.frames if frame["event"] == "ping"]
    member.frames.clear()
    for ping in pings:
        member.put(build(b'{"ack":%d}' % ping["id"]))
    return len(pings)


def test_a_flood_is_read_at_its_rate_and_nobody_else_waits(
    server: HypercornServer,
) -> None:
    with crowd(server) as clients:
        flooding, other = clients.welcome(2)
        began = time.monotonic()
        flooding.flood(build(b'{"event":"echo"}') * 50)
        slowest, turns = 0.0, 0
        while time.monotonic() - began < FLOOD_SECONDS:
            asked = time.monotonic()
            assert clients.ask(other, "echo", turns) == turns
            slowest = max(slowest, time.monotonic() - asked)
            turns += 1
            # At a rate of its own.
            clients.go_on(2 / RATE)
        handled = clients.ask(other, "handled", flooding.sid)
        elapsed = time.monotonic() - began
        assert slowest < unhurried(PATIENCE)
        assert turns > 0
        # No more than it may, and not much less although it is held up each time.
        assert handled <= BURST + RATE * elapsed + 1
        assert handled > BURST
        assert clients.ask(other, "statistics")["throttled"] > 0
        # The rest was not lost: it waits where it came from.
        assert not flooding.closed
        # Whose it is has gone, and that is noticed long before it is all read.
        flooding.reset()

        def is_gone() -> bool:
            answer_pings(other)
            return f"gone {flooding.sid} " in server.log()

        clients.wait("the end of one that has left", is_gone, unhurried(3.0))


def test_who_stops_answering_is_gone_in_time_and_so_is_its_socket(
    server: HypercornServer,
) -> None:
    with crowd(server) as clients:
        silent, other = clients.welcome(2)
        silent.stall()
        began = time.monotonic()

        def is_gone() -> bool:
            answer_pings(other)
            return f"gone {silent.sid} " in server.log()

        clients.wait("the end of one that does not answer", is_gone)
        seconds = time.monotonic() - began
        assert f"gone {silent.sid} 3008 no answer to a ping\n" in server.log()
        # Each of the two up to an eighth late.
        least = PING_SECONDS + PONG_SECONDS
        assert least * 0.95 < seconds < unhurried(least * 1.5 + CLOSE_SECONDS)

        def only_the_other() -> bool:
            answer_pings(other)
            return connections(server).keys() == {other.port}

        clients.wait("the end of its socket", only_the_other)
        assert clients.ask(other, "echo", 1) == 1
        assert not other.closed
        statistics = clients.ask(other, "statistics")
        assert statistics["unanswered"] == 1
        assert statistics["pings"] > 1

        # It finds, should it ever read again, what it was told.
        silent.resume()
        clients.wait("its end", lambda: silent.closed)
