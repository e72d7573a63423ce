"""SIGTERM in the middle of each fault: it ends in time, and everyone was seen off."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from .apps.faults import DRAIN_SECONDS
from .crowd import REQUEST, build
from .server import hypercorn_server, unhurried
from .test_faults_garbage import FRAMES, bad_handshake
from .witness import (
    APP,
    SMALL_BUFFER,
    Witness,
    check_log,
    goodbyes,
    linux_only,
    once,
    witness,
)

pytestmark = [pytest.mark.live, linux_only]

CLIENTS = 40
LONG = 400_000
# hypercorn looks every 0.1 s whether it is to stop, and takes its time to end.
MORE_SECONDS = 2.0
STOPPED_SECONDS = 0.5


def stalled(watching: Witness) -> None:
    members = watching.clients.welcome(CLIENTS, socket_buffer=SMALL_BUFFER)
    for member in members[::2]:
        member.stall()
        member.emit("stream", {"count": 100, "pad": LONG})
    watching.wait_for(
        "writes", lambda it: it["outbound"]["pending"] >= len(members) // 2
    )


def resets(watching: Witness) -> None:
    members = watching.clients.welcome(CLIENTS)
    watching.clients.ask_all(members, "join", ["hall"])
    pour = {"room": "hall", "count": 100_000, "pad": 2000, "pause": 0.001}
    watching.member.emit("pour", pour)
    watching.clients.wait_all("the beginning", members, lambda it: it.numbers)
    for member in members[::2]:
        member.reset()


def churn(watching: Witness) -> None:
    members = watching.clients.welcome(CLIENTS)
    for number, member in enumerate(members):
        member.emit("join", ["hall", f"cell {number}"])
    for member in members[::2]:
        member.half_close()
    for member in members[1::4]:
        member.reset()
    for _ in range(CLIENTS):
        watching.clients.knock(REQUEST % b"")


def bad_handlers(watching: Witness) -> None:
    members = watching.clients.welcome(CLIENTS, query=b"?crash")
    for member in members[1::2]:
        member.emit("hang")
    watching.clients.wait_all("a handler", members[1::2], lambda it: it.frames)
    for member in members[::2]:
        member.emit("crash")
    members[0].emit("block")


def deaf_handlers(watching: Witness) -> None:
    members = watching.clients.welcome(CLIENTS)
    for member in members:
        member.emit("deaf")
    watching.clients.wait_all("a handler", members, lambda it: it.frames)
    for member in members[::2]:
        member.reset()


def garbage(watching: Witness) -> None:
    rng = random.Random(0)
    members = watching.clients.welcome(CLIENTS)
    for number, member in enumerate(members):
        member.put(FRAMES[number % len(FRAMES)](rng))
        watching.clients.knock(bad_handshake(rng))


def flood(watching: Witness) -> None:
    members = watching.clients.welcome(4, socket_buffer=SMALL_BUFFER)
    for member in members:
        member.stall()
        member.flood(build(b'{"event":"echo","data":"%s","id":1}' % (b"x" * 1000)))
    watching.wait_for("answers", lambda it: it["outbound"]["pending"] >= len(members))


def stopped_process(watching: Witness) -> None:
    stalled(watching)
    os.kill(watching.pid, signal.SIGSTOP)


@pytest.mark.parametrize(
    "fault",
    [
        stalled,
        resets,
        churn,
        bad_handlers,
        deaf_handlers,
        garbage,
        flood,
        stopped_process,
    ],
)
def test_it_ends_in_time_and_everyone_was_seen_off(
    worker: str, fault: Callable[[Witness], None]
) -> None:
    arguments = ["--graceful-timeout", "1"]
    with (
        hypercorn_server(
            APP, worker, extra_args=arguments, socket_buffer=SMALL_BUFFER
        ) as server,
        witness(server, stays=False) as watching,
    ):
        fault(watching)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        if fault is stopped_process:
            watching.clients.go_on(STOPPED_SECONDS)
            os.kill(watching.pid, signal.SIGCONT)
        deadline_seconds = unhurried(DRAIN_SECONDS + MORE_SECONDS)
        watching.clients.wait(
            "the end", lambda: server.process.poll() is not None, deadline_seconds
        )
        print(f"{fault.__name__}: {time.monotonic() - began:.2f} s")

        assert server.process.returncode == 0
        told = once(goodbyes(server))
        greeted = {it.sid for it in watching.clients.members if it.sid}
        assert greeted <= told.keys()
        assert told[watching.member.sid] == "1001 going away"
        check_log(server)
