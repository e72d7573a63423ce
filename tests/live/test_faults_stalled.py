"""A thousand clients, a stream to all of them, and fifty that stop reading."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .apps.faults import SEND_SECONDS
from .crowd import Member
from .server import HypercornServer, unhurried
from .witness import SMALL_BUFFER, connections, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

CLIENTS = 1000
STALLED = CLIENTS // 20
# What a stalled client's kernel and the server's take for it is less than ten of these.
PAD = 4000
MEGABYTE = 1 << 20


def has_got(number: int) -> Callable[[Member], bool]:
    return lambda member: member.numbers[-1:] == [number]


def test_fifty_of_a_thousand_stop_reading_and_no_other_notices(
    faulty: HypercornServer,
) -> None:
    with witness(faulty) as watching:
        clients = watching.clients
        empty = watching.settled_look()
        before = watching.ask("statistics")
        stalled = clients.welcome(STALLED, socket_buffer=SMALL_BUFFER)
        readers = clients.welcome(CLIENTS - STALLED)
        clients.ask_all(stalled + readers, "join", ["hall"])
        full = watching.ask("memory")
        for member in stalled:
            member.stall()
        ports = {member.port for member in stalled}

        began, told, evicted = time.monotonic(), 0, 0.0
        # In step: each number has reached all who read before the next.
        while not evicted:
            watching.member.emit("tell", {"number": told, "pad": PAD, "room": "hall"})
            last, told = told, told + 1
            clients.wait_all("a number", readers, has_got(last))
            if not ports & connections(faulty).keys():
                evicted = time.monotonic() - began
            assert time.monotonic() - began < unhurried(SEND_SECONDS + 2), told

        assert [it.numbers for it in readers] == [list(range(told))] * len(readers)
        after = watching.ask("statistics")
        assert after["connections"] == 1 + len(readers)
        assert after["stalls"] == before["stalls"] + STALLED
        assert after["overflows"] == before["overflows"]
        assert after["outbound"]["pending"] == 0
        # What waited for the stalled is not kept; nor by the kernel, see above.
        assert watching.ask("memory") < full + 16 * MEGABYTE

        hows = watching.wait_gone()
        assert {hows[it.sid][:14] for it in stalled} == {"1013 too slow:"}
        assert {hows[it.sid] for it in readers} == {"1006 "}
        look = watching.settled_look()
        assert look["rooms"] == 0
        assert look["blocks"] < empty["blocks"] + 10 * CLIENTS, (empty, look)
