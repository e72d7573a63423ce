"""Handshakes and frames that nobody has thought of, on a real server.

While one that behaves has its round trips.  What comes is made by the strategies
that the codec and the adapter are tried with; GREENROOM_FUZZ=100 makes more of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ..security.strategies import against_a_server, handshakes, talk
from .crowd import REQUEST
from .named import looking_on
from .server import HypercornServer, hypercorn_server, unhurried
from .siege import siege
from .witness import SMALL_BUFFER, Witness, linux_only

pytestmark = [pytest.mark.live, linux_only]

PATIENCE = 0.5
# For an answer to what is no handshake, or to a goodbye.
KEEP_ALIVE = 2
DEFLATING = REQUEST.replace(
    b"\r\n\r\n", b"\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
)
ANSWER = re.compile(rb"HTTP/1\.1 (\d+) ")


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    app, times = "tests.live.apps.guarded:app", ["--keep-alive", str(KEEP_ALIVE)]
    with hypercorn_server(
        app, worker, socket_buffer=SMALL_BUFFER, extra_args=times
    ) as server:
        yield server
        assert server.process.poll() is None


@pytest.fixture(scope="module")
def watching(server: HypercornServer) -> Iterator[Witness]:
    with looking_on(server) as watching:
        yield watching
        assert watching.ask("statistics")["connections_total"] > 10


@pytest.fixture(scope="module")
def statuses() -> Iterator[set[bytes]]:
    """Of all answers to handshakes; at the end, that they were of several kinds."""
    statuses = set[bytes]()
    yield statuses
    assert {b"101", b"400", b"431"} <= statuses, statuses


@against_a_server(50)
@given(st.lists(handshakes(), min_size=1, max_size=3))
# Refused by us, and by hypercorn for what is behind it: it shall be one of them.
@example([REQUEST % b"?access_token=eve" + b"behind"] * 3)
def test_any_handshake_is_answered_or_ended_and_the_others_are_served(
    watching: Witness, statuses: set[bytes], knocks: list[bytes]
) -> None:
    with siege(watching) as evil:
        for octets in knocks:
            attacker = evil.knock(octets)
            if b"\r\n\r\n" not in octets:
                # It would be waited for.
                attacker.half_close()

        def are_there() -> bool:
            return all(each.come or each.closed for each in evil.attackers)

        evil.watch("all answers", are_there)
        statuses.update(ANSWER.findall(b" ".join(it.come for it in evil.attackers)))
        assert evil.seen.slowest < unhurried(PATIENCE)
    watching.wait_for("the end of all others", lambda it: it["connections"] == 1)


talks = st.tuples(st.sampled_from([REQUEST, DEFLATING]), st.booleans(), talk())


@against_a_server(50)
@given(st.lists(talks, min_size=1, max_size=3), st.booleans())
def test_any_frames_are_read_or_refused_and_the_others_are_served(
    watching: Witness, parts: list[tuple[bytes, bool, bytes]], stays: bool
) -> None:
    clients = watching.clients
    evil = [clients.knock(request % b"") for request, _, _ in parts]
    for member, (_, waits, octets) in zip(evil, parts, strict=True):
        if waits:
            clients.wait_all("a welcome", [member], lambda member: member.sid)
        member.put(octets)
    if stays:
        for member in evil:
            # All is read first.
            member.half_close()
        clients.wait_all("its end", evil, lambda member: member.closed)
    slowest = 0.0
    for turn in range(3):
        asked = time.monotonic()
        assert watching.ask("echo", turn) == turn
        slowest = max(slowest, time.monotonic() - asked)
    assert slowest < unhurried(PATIENCE)
    for number, member in enumerate(evil):
        if number % 2:
            member.reset()
        else:
            member.drop()
        clients.members.remove(member)
    watching.wait_for("the end of all others", lambda it: it["connections"] == 1)
