"""Frames that are no messages, on a real server; and who leaves unheard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, final

import pytest

from .apps.framed import BURST, PING_SECONDS, RATE, STRIKES
from .crowd import REQUEST, Crowd, Member, build, crowd
from .server import ROOT, HypercornServer, hypercorn_server, unhurried
from .witness import connections, linux_only

pytestmark = [pytest.mark.live, linux_only]

SMALL_BUFFER = 8192
# Of a round trip beside a flood.
PATIENCE = 0.5
FRAMES = 1000
# So many are read in one go, and what is a message among them first.
SIP = 2048 // 6

TEXT, PING, PONG = 0x1, 0x9, 0xA
FINAL = 0x80
ECHO = b'{"event":"echo","id":7}'


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    config = ROOT / "tests/live/apps/framed.toml"
    with hypercorn_server(
        "tests.live.apps.framed:app",
        worker,
        extra_args=["--config", str(config)],
        socket_buffer=SMALL_BUFFER,
    ) as server:
        yield server
        server.check_log()


@final
class Scene:
    """The clients of all adapters, and one that has its round trips meanwhile."""

    def __init__(self, clients: Crowd) -> None:
        self.clients = clients
        (self.other,) = self.enter("free")

    def enter(self, where: str, count: int = 1) -> list[Member]:
        """Connect to one of the adapters, and be greeted."""
        request = REQUEST.replace(b"/ws", b"/" + where.encode()) % b""
        members = [self.clients.knock(request) for _ in range(count)]
        self.clients.wait_all("a welcome", members, lambda member: member.sid)
        return members

    def look(self, where: str) -> dict[str, Any]:
        """The statistics of one of the adapters."""
        began = time.monotonic()
        found: dict[str, Any] = self.clients.ask(self.other, "statistics", where)
        assert time.monotonic() - began < unhurried(PATIENCE)
        return found

    def wait_for(self, what: str, where: str, least: int, name: str) -> dict[str, Any]:
        """The statistics once one of them is what it is to be."""
        found: dict[str, Any] = {}

        def has_come() -> bool:
            found.update(self.look(where))
            return bool(found[name] >= least)

        self.clients.wait(what, has_come)
        return found


def fragment(first: int, payload: bytes) -> bytes:
    """A frame whose first byte is *first*, flags and all."""
    return bytes((first,)) + build(payload)[1:]


PINGS = build(b"", PING) * FRAMES + build(ECHO)
PONGS = build(b"", PONG) * FRAMES + build(ECHO)
# Each part is read as text, which may be white space between.
FRAGMENTS = (
    fragment(TEXT, ECHO[:-1])
    + fragment(0, b" ") * (FRAMES - 1)
    + fragment(FINAL, ECHO[-1:])
)


def test_who_is_throttled_is_read_at_its_rate_whatever_frames_it_sends(
    server: HypercornServer,
) -> None:
    with crowd(server) as clients:
        scene = Scene(clients)
        members = scene.enter("throttle", 3)
        began = time.monotonic()
        for member, octets in zip(members, (PINGS, PONGS, FRAGMENTS), strict=True):
            member.put(octets)
        answered: dict[int, float] = {}

        def all_are() -> bool:
            scene.look("throttle")
            for member in members:
                if 7 in member.answers and member.port not in answered:
                    answered[member.port] = time.monotonic() - began
            return len(answered) == len(members)

        clients.wait("the answers behind them", all_are)
        for seconds in answered.values():
            assert seconds > (FRAMES - SIP - BURST) / RATE * 0.95
            assert seconds < unhurried(FRAMES / RATE + 1)
        statistics = scene.look("throttle")
        assert statistics["throttled"] >= 3
        assert statistics["strikes"] == statistics["rate_closed"] == 0
        # The server has answered all that asked for it, and to nobody else.
        assert [member.pong for member in members] == [b"", None, None]
        assert not any(member.closed for member in members)


@pytest.mark.parametrize("octets", [PINGS, PONGS, FRAGMENTS], ids=lambda it: "")
def test_with_strikes_and_with_close_they_are_the_end(
    server: HypercornServer, octets: bytes
) -> None:
    with crowd(server) as clients:
        scene = Scene(clients)
        before = {where: scene.look(where) for where in ("strike", "close")}
        members = struck, closed = *scene.enter("strike"), *scene.enter("close")
        for member in members:
            member.put(octets)
        clients.wait_all("its end", members, lambda member: member.closed)
        assert (struck.code, closed.code) == (1008, 1008)
        errors = [frame["error"]["code"] for frame in struck.frames]
        assert errors == ["rate_limited"] * STRIKES
        assert list(closed.frames) == []
        after = {where: scene.look(where) for where in before}
        for where, name, more in (
            ("strike", "strikes", STRIKES + 1),
            ("strike", "rate_limited", STRIKES + 1),
            ("strike", "struck_out", 1),
            ("strike", "rate_closed", 0),
            ("close", "rate_closed", 1),
            ("close", "struck_out", 0),
            ("close", "strikes", 0),
        ):
            assert after[where][name] - before[where][name] == more, (where, name)


@pytest.mark.parametrize("payload", [b"x" * 60_000, b""], ids=["large", "empty"])
def test_a_message_without_end_ends_and_so_does_who_does_not_listen(
    server: HypercornServer, payload: bytes
) -> None:
    with crowd(server) as clients:
        scene = Scene(clients)
        before = scene.look("free")
        members = listening, deaf = scene.enter("free", 2)
        deaf.stall()
        for member in members:
            member.put(fragment(TEXT, b"x"))
            member.flood(fragment(0, payload) * (1 if payload else 1000))
        after = scene.wait_for(
            "their ends", "free", before["oversized"] + 2, "oversized"
        )
        assert after["oversized"] == before["oversized"] + 2
        assert after["strikes"] == before["strikes"]
        clients.wait("its end", lambda: listening.closed)
        assert listening.code == 1009
        clients.wait(
            "the end of both sockets",
            lambda: connections(server).keys() == {scene.other.port},
        )
        assert scene.look("free")["connections"] == 1


def test_who_is_not_read_and_leaves_is_noticed_in_the_time_of_a_ping(
    server: HypercornServer,
) -> None:
    with crowd(server) as clients:
        scene = Scene(clients)
        reset, gone = throttled = scene.enter("slow", 2)
        full_reset, full_gone = full = scene.enter("slow", 2)
        for member in throttled:
            # Read for twenty minutes.
            member.put(build(b'{"event":"echo"}') * 600)
        for member in full:
            member.put(build(b'{"event":"wait"}') * 4)
        clients.go_on(0.3)
        began = time.monotonic()
        for member in (reset, full_reset):
            member.reset()
        for member in (gone, full_gone):
            member.drop()
        clients.wait("their ends", lambda: scene.look("slow")["connections"] == 0)
        seconds = time.monotonic() - began
        assert seconds < unhurried(2 * PING_SECONDS + 0.5)
        clients.wait(
            "the end of their sockets",
            lambda: connections(server).keys() == {scene.other.port},
        )
        statistics = scene.look("slow")
        # It was not held against them that they did not answer.
        assert statistics["unanswered"] == 0
        assert statistics["pings"] > 0


def test_who_leaves_before_it_is_accepted_has_never_been_there(
    server: HypercornServer,
) -> None:
    with crowd(server) as clients:
        scene = Scene(clients)
        before = scene.look("slowly")
        request = REQUEST.replace(b"/ws", b"/slowly") % b""
        members = [clients.knock(request) for _ in range(2)]
        for member in members:
            # Not by a reset: then nobody might ever read what it has asked for.
            member.drop()
        after = scene.wait_for(
            "half handshakes",
            "slowly",
            before["half_handshakes"] + 2,
            "half_handshakes",
        )
        assert after["half_handshakes"] == before["half_handshakes"] + 2
        assert after["connections_total"] == before["connections_total"]
        (waits,) = scene.enter("slowly")
        assert (
            scene.look("slowly")["connections_total"] == after["connections_total"] + 1
        )
        waits.drop()
