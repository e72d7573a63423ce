"""Clocks that jump: the one on the wall, and the loop's, while the server sleeps."""

from __future__ import annotations

import os
import signal
import time

import pytest

from .apps.faults import SEND_SECONDS
from .server import HypercornServer, unhurried
from .witness import SMALL_BUFFER, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

DAY = 86_400.0
CLIENTS = 20
# More than all kernel buffers on the way take, so that it is never written at once.
LONG = 400_000


def test_the_clock_on_the_wall_is_nobodys_business(faulty: HypercornServer) -> None:
    with witness(faulty) as watching:
        clients = watching.clients
        before = watching.ask("statistics")["stalls"]
        others = clients.welcome(CLIENTS)
        (stalled,) = clients.welcome(1, socket_buffer=SMALL_BUFFER)
        stalled.stall()
        began = time.monotonic()
        stalled.emit("stream", {"count": 10, "pad": LONG})
        watching.wait_for("a write", lambda it: it["outbound"]["pending"] > 0)
        try:
            for jump in (DAY, -DAY):
                watching.ask("jump", jump)
                assert clients.ask_all(others, "echo", 1) == [1] * CLIENTS
            watching.wait_for("the stall", lambda it: it["stalls"] == before + 1)
            took = time.monotonic() - began
        finally:
            watching.ask("jump", 0.0)

        assert SEND_SECONDS <= took < unhurried(SEND_SECONDS + 1)
        hows = watching.wait_gone()
        assert hows[stalled.sid].startswith("1013 too slow:")
        assert {hows[it.sid] for it in others} == {"1006 "}


def test_time_for_which_the_server_was_stopped_counts_for_nobody(
    faulty: HypercornServer,
) -> None:
    count = 3
    with witness(faulty) as watching:
        clients = watching.clients
        before = watching.ask("statistics")
        others = clients.welcome(CLIENTS)
        writing = clients.welcome(CLIENTS, socket_buffer=SMALL_BUFFER)
        (stalled, *reading) = writing
        for member in writing:
            member.stall()
            member.emit("stream", {"count": count, "pad": LONG})
        watching.wait_for(
            "writes", lambda it: it["outbound"]["pending"] >= len(writing)
        )
        try:
            os.kill(watching.pid, signal.SIGSTOP)
            for member in reading:
                member.resume()
            for member in others:
                member.emit("echo")
            clients.go_on(2 * SEND_SECONDS)
        finally:
            os.kill(watching.pid, signal.SIGCONT)
        began = time.monotonic()

        assert clients.ask_all(others, "echo", 1) == [1] * CLIENTS
        clients.wait_all("the rest", reading, lambda it: len(it.numbers) == count)
        # One who does not read has as long as any other, and no longer.
        after = watching.wait_for("it", lambda it: it["stalls"] > before["stalls"])
        assert time.monotonic() - began < unhurried(SEND_SECONDS + 1)
        assert after["stalls"] == before["stalls"] + 1
        assert after["overflows"] == before["overflows"]
        hows = watching.wait_gone()
        assert hows[stalled.sid].startswith("1013 too slow:")
        assert {hows[it.sid] for it in reading + others} == {"1006 "}
