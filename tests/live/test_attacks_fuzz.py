"""Seeded nonsense from several clients, while one that behaves has its round trips.

Other seeds, and more of them: GREENROOM_FUZZ=100.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator

import pytest

from .crowd import REQUEST, Member, build
from .server import HypercornServer, hypercorn_server, unhurried
from .witness import SMALL_BUFFER, check_log, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

ROUNDS = 60 * int(os.environ.get("GREENROOM_FUZZ", "1"))
PATIENCE = 0.5
DEFLATING = REQUEST.replace(
    b"\r\n\r\n", b"\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
) % (b"",)


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    app = "tests.live.apps.attacked:app"
    with hypercorn_server(app, worker, socket_buffer=SMALL_BUFFER) as server:
        yield server
        check_log(server)


def nonsense(chance: random.Random) -> bytes:
    """What one client sends next: good frames, bad ones, and no frames at all."""
    event = {"event": chance.choice(["echo", "ping", "x"]), "id": chance.randrange(99)}
    good = build(json.dumps({**event, "data": chance.random()}).encode())
    match chance.randrange(8):
        case 0 | 1:
            return good
        case 2:
            return build(chance.randbytes(chance.randrange(300)), chance.randrange(16))
        case 3:
            # Flags, opcode and length at random.
            return chance.randbytes(2) + good[2:]
        case 4:
            at = chance.randrange(len(good))
            return good[:at] + chance.randbytes(1) + good[at + 1 :]
        case 5:
            return good[: chance.randrange(len(good))]
        case 6:
            # Compressed, or not what was compressed.
            return bytes((0xC1,)) + build(chance.randbytes(50))[1:]
        case _:
            return build(b'{"ack":%d,"data":1}' % chance.randrange(200))


@pytest.mark.parametrize("seed", [1])
def test_whatever_others_send_one_that_behaves_is_served(
    server: HypercornServer, seed: int
) -> None:
    chance = random.Random(seed)
    with witness(server) as watching:
        clients, slowest, came = watching.clients, 0.0, 0
        evil: list[Member] = []
        for turn in range(ROUNDS):
            evil = [member for member in evil if not member.closed]
            while len(evil) < 5:
                evil.append(clients.knock(DEFLATING))
                came += 1
            for member in evil:
                if member.head is None and chance.random() < 0.9:
                    continue  # bytes ahead of the accept, at times
                member.put(nonsense(chance))
                if chance.random() < 0.02:
                    member.reset()
            asked = time.monotonic()
            assert watching.ask("echo", turn) == turn
            slowest = max(slowest, time.monotonic() - asked)
            clients.go_on(0.01)
        assert slowest < unhurried(PATIENCE)
        # Some were put out, or have put themselves out.
        assert came > 5
        assert watching.ask("statistics")["handler_errors"] == 0
