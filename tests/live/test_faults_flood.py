"""One client asks as fast as it can and reads no answer; the others are answered."""

from __future__ import annotations

import json
import time

import pytest

from .apps.faults import SEND_SECONDS
from .crowd import build
from .server import HypercornServer, unhurried
from .witness import SMALL_BUFFER, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

CLIENTS = 10
MEGABYTE = 1 << 20
# Of a round trip that shares the server with a flood.
PATIENCE = 0.5


def test_a_flood_that_is_never_read_ends_and_nobody_else_waits(
    faulty: HypercornServer,
) -> None:
    request = {"event": "echo", "data": "x" * 1000, "id": 1}
    octets = build(json.dumps(request).encode()) * 50
    with witness(faulty) as watching:
        clients = watching.clients
        before = watching.ask("statistics")
        others = clients.welcome(CLIENTS)
        (flooding,) = clients.welcome(1, socket_buffer=SMALL_BUFFER)
        memory = watching.ask("memory")
        flooding.stall()
        flooding.flood(octets)

        slowest, most, began = 0.0, 0, time.monotonic()
        while not flooding.closed:
            asked = time.monotonic()
            assert clients.ask_all(others, "echo", 1) == [1] * CLIENTS
            slowest = max(slowest, time.monotonic() - asked)
            most = max(most, watching.ask("memory"))
            assert time.monotonic() - began < unhurried(SEND_SECONDS + 2)

        assert slowest < unhurried(PATIENCE)
        assert most < memory + 8 * MEGABYTE
        # It was held up, and did not get rid of all that it had.
        assert flooding.sent < 8 * MEGABYTE
        after = watching.ask("statistics")
        assert after["stalls"] == before["stalls"] + 1
        hows = watching.wait_gone()
        assert hows[flooding.sid].startswith("1013 too slow:")
        assert {hows[it.sid] for it in others} == {"1006 "}


def test_a_flood_of_what_asks_for_nothing_delays_nobody_for_long(
    faulty: HypercornServer,
) -> None:
    octets = build(b'{"event":"echo","data":"%s"}' % (b"x" * 1000)) * 50
    with witness(faulty) as watching:
        clients = watching.clients
        others = clients.welcome(CLIENTS)
        (flooding,) = clients.welcome(1)
        memory = watching.ask("memory")
        flooding.flood(octets)

        slowest = 0.0
        while flooding.sent < 8 * MEGABYTE:
            asked = time.monotonic()
            assert clients.ask_all(others, "echo", 1) == [1] * CLIENTS
            slowest = max(slowest, time.monotonic() - asked)
            assert watching.ask("memory") < memory + 8 * MEGABYTE

        assert slowest < unhurried(PATIENCE)
        flooding.reset()
        hows = watching.wait_gone()
        assert {hows[it.sid] for it in [flooding, *others]} == {"1006 "}
