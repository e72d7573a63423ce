"""Handshakes that are slow, too many, or nonsense; beside a client that is none."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .apps.attacked import HANDSHAKE_SECONDS, MOST
from .crowd import REQUEST, Crowd, Member
from .server import HypercornServer, hypercorn_server, unhurried
from .witness import Witness, check_log, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

KEEP_ALIVE = 1.0
SLOW = 200
PATIENCE = 0.5


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server(
        "tests.live.apps.attacked:app",
        worker,
        extra_args=["--keep-alive", str(int(KEEP_ALIVE))],
    ) as server:
        yield server
        check_log(server)


def request(*headers: bytes, host: bytes = b"host: x") -> bytes:
    lines = (REQUEST % b"").rstrip().replace(b"host: x", host).split(b"\r\n")
    return b"\r\n".join([*(line for line in lines if line), *headers, b"", b""])


# What becomes of each: the status of the answer.
NONSENSE = [
    pytest.param(request(b"sec-websocket-protocol: \xff"), b"101", id="protocol"),
    pytest.param(request(b"sec-websocket-extensions: \xff"), b"101", id="extension"),
    pytest.param(request(b"connection: upgrade, \xff"), b"101", id="connection"),
    pytest.param(request(b"sec-websocket-version: \xff"), b"400", id="version"),
    pytest.param(request(b"host: evil.test"), b"400", id="two hosts"),
    pytest.param(request(host=b"x-host: x"), b"400", id="no host"),
    pytest.param(request(b"Authorization : Bearer x"), b"400", id="space in a name"),
    pytest.param(request(b"a: b\nc: d\0"), b"400", id="null byte"),
    pytest.param(request(b"origin: https://evil.test"), b"403", id="origin"),
    pytest.param(
        request(b"origin: http://x\r\norigin: http://x"), b"403", id="origins"
    ),
    pytest.param(request(b"a: " + b"b" * 200_000), b"431", id="large header"),
    pytest.param(request(*[b"a: b"] * 40_000), b"431", id="many headers"),
    pytest.param(request(b"cookie: a=" + b"\\" * 16_000), b"101", id="backslashes"),
    pytest.param(b"\x16\x03\x01" + bytes(200), b"400", id="TLS"),
]


@pytest.mark.parametrize(("octets", "status"), NONSENSE)
def test_nonsense_is_answered_and_the_server_lives(
    server: HypercornServer, octets: bytes, status: bytes
) -> None:
    with witness(server) as watching:
        member = watching.clients.knock(octets)
        answered(watching.clients, [member])
        assert member.head is not None
        assert member.head.split()[1] == status, member.head
        assert watching.ask("echo", 1) == 1


def answered(clients: Crowd, members: list[Member], seconds: float = 10.0) -> None:
    def is_answered(member: Member) -> bool:
        return member.head is not None or member.closed

    clients.wait_all("an answer", members, is_answered, seconds)


def test_half_a_handshake_is_dropped_when_its_time_is_over(
    server: HypercornServer,
) -> None:
    half = (REQUEST % b"")[:-40]
    with witness(server) as watching:
        refused = watching.ask("statistics")["refused"]
        began = time.monotonic()
        slow = [watching.clients.knock(half) for _ in range(SLOW)]
        slowest = 0.0

        def all_gone() -> bool:
            nonlocal slowest
            for member in slow:
                # It counts from the begin, however much comes meanwhile.
                if not member.closed:
                    member.put(b"a")
            asked = time.monotonic()
            assert watching.ask("echo", 1) == 1
            slowest = max(slowest, time.monotonic() - asked)
            return all(member.closed for member in slow)

        watching.clients.wait("the end of all slow handshakes", all_gone)
        assert time.monotonic() - began < unhurried(KEEP_ALIVE + 2.0)
        assert slowest < unhurried(PATIENCE)
        # They never were clients, and took nobody's place.
        assert watching.ask("statistics")["refused"] == refused


def test_handshakes_that_hang_fill_the_house_and_no_more(
    server: HypercornServer,
) -> None:
    with witness(server) as watching:
        before = watching.ask("statistics")
        hanging = REQUEST % b"?access_token=hang"
        began = time.monotonic()
        slow = [watching.clients.knock(hanging) for _ in range(2 * MOST)]
        answered(watching.clients, slow)
        assert {status(member) for member in slow} == {b"503"}
        assert time.monotonic() - began < unhurried(HANDSHAKE_SECONDS + 2.0)
        after = watching.ask("statistics")
        assert after["refused_full"] - before["refused_full"] == 2 * MOST
        assert after["memory"] - before["memory"] < 100_000 * 2 * MOST
        come_in_again(watching)


def status(member: Member) -> bytes | None:
    return None if member.head is None else member.head.split()[1]


def come_in_again(watching: Witness) -> None:
    """Once their places are free."""
    last: list[Member] = []

    def is_in() -> bool:
        if not last or status(last[-1]) not in (None, b"101"):
            last.append(watching.clients.knock(REQUEST % b""))
        return bool(last[-1].sid)

    watching.clients.wait("a place", is_in)
