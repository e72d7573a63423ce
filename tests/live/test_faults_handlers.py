"""Handlers that raise, block everybody, hang, or take no notice of being cancelled."""

from __future__ import annotations

import time

import pytest

from .apps.faults import BLOCK_SECONDS, DEAF_SECONDS, HANDLER_GRACE
from .server import HypercornServer, unhurried
from .witness import linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

CLIENTS = 40


def test_handlers_that_raise_harm_nobody(faulty: HypercornServer) -> None:
    with witness(faulty) as watching:
        clients = watching.clients
        before = watching.ask("statistics")["handler_errors"]
        # These raise in on_connect and in on_disconnect too.
        crashing = clients.welcome(CLIENTS, query=b"?crash")
        others = clients.welcome(CLIENTS)
        for member in crashing:
            for _ in range(5):
                member.emit("crash")

        assert clients.ask_all(others, "echo", 1) == [1] * CLIENTS
        assert clients.ask_all(crashing, "echo", 2) == [2] * CLIENTS
        after = watching.ask("statistics")["handler_errors"]
        assert after == before + 6 * CLIENTS
        for member in crashing[::2]:
            member.reset()
        hows = watching.wait_gone()
        assert {hows[it.sid] for it in crashing + others} == {"1006 "}


def test_a_handler_that_blocks_delays_the_others_and_that_is_all(
    faulty: HypercornServer,
) -> None:
    with witness(faulty) as watching:
        clients = watching.clients
        before = watching.ask("statistics")
        blocking, *others = clients.welcome(CLIENTS)
        began = time.monotonic()
        for _ in range(4):
            blocking.emit("block")
            for member in others:
                member.emit("echo")
        assert clients.ask_all(others, "echo", 1) == [1] * len(others)
        clients.ask(blocking, "echo")

        assert time.monotonic() - began > 4 * BLOCK_SECONDS
        after = watching.ask("statistics")
        assert after["connections"] == before["connections"] + CLIENTS
        for what in ("overflows", "stalls", "handler_errors"):
            assert after[what] == before[what]


def test_handlers_that_ignore_that_they_are_cancelled_hold_nobody_up(
    faulty: HypercornServer,
) -> None:
    with witness(faulty) as watching:
        clients = watching.clients
        base = watching.settled_look()
        deaf = clients.welcome(CLIENTS)
        hanging = clients.welcome(CLIENTS)
        others = clients.welcome(CLIENTS)
        for member in deaf:
            member.emit("deaf")
        for member in hanging:
            member.emit("hang")
        clients.wait_all("its handler", deaf + hanging, lambda it: it.frames)
        began = time.monotonic()
        for member in deaf[::2] + hanging[::2]:
            member.reset()
        for member in deaf[1::2] + hanging[1::2]:
            member.half_close()

        assert clients.ask_all(others, "echo", 1) == [1] * CLIENTS
        count = 1 + CLIENTS
        watching.wait_for("their end", lambda it: it["connections"] == count)
        # They are seen off before their handlers have ended.
        assert time.monotonic() - began < unhurried(DEAF_SECONDS)
        assert time.monotonic() - began > HANDLER_GRACE
        hows = watching.wait_gone()
        assert {hows[it.sid] for it in deaf + hanging + others} == {"1006 "}
        clients.wait(
            "the end of their handlers",
            lambda: watching.ask("look")["tasks"] == base["tasks"],
        )
        assert watching.ask("look")["actors"] == base["actors"]
