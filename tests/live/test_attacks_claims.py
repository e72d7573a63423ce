"""What clients claim: to be somebody, to be asked, to be somewhere, to be a line.

Each a thousand times, beside one that behaves: what each attempt costs, what counts
it, and that whoever was meant has no harm.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias, final

import pytest

from ..security.kit import BREAKS, WORDS
from .cost import Cost, attack
from .crowd import REQUEST, Member, build
from .named import looking_on
from .server import HypercornServer, hypercorn_server, unhurried
from .siege import siege
from .witness import Witness, linux_only

pytestmark = [pytest.mark.live, linux_only]

Packets: TypeAlias = Callable[[int, str], dict[str, Any]]

TIMES = 1000
REFUSED = 300
MEGABYTE = 1e6
# Of a round trip beside an attack.
PATIENCE = 0.5
# A line of the log: the app's own, one of its records, or one of a traceback.
LINE = re.compile(r"(?:hello|gone) ~\S{24}( \d+)?$|\[|  |Traceback |$")


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server("tests.live.apps.guarded:app", worker) as server:
        yield server
        # As it stands there: no line ends are made one.
        log = server.log_path.read_bytes().decode()
        assert not BREAKS.search(log)
        assert [line for line in log.split("\n") if not LINE.match(line)] == []
        for secret in "eve's token", "eve%27s", "ann's answer":
            assert secret not in log


@pytest.fixture(scope="module")
def watching(server: HypercornServer) -> Iterator[Witness]:
    with looking_on(server) as watching:
        yield watching


def word(number: int) -> str:
    """One that is to break a log, or a page; another each time."""
    return f"{WORDS[number % len(WORDS)]}{number}"


@final
@dataclass(frozen=True, slots=True)
class Claim:
    """What is sent a thousand times.

    Attributes:
        name: What it is.
        packets: What is sent, of its number and the sid of another.
        code: The error that answers it.
        counter: What counts it.
        most: What each may take of a processor, in seconds.
    """

    name: str
    packets: Packets
    code: str | None
    counter: str | None
    most: float


CLAIMS = [
    Claim(
        "acks of what another is asked",
        lambda number, sid: {"ack": number, "data": "eve's"},
        None,
        "ignored_acks",
        0.0003,
    ),
    Claim(
        "guessed sids",
        lambda number, sid: {"event": "tell", "data": f"~{secrets.token_urlsafe(18)}"},
        None,
        "unknown_recipients",
        0.0005,
    ),
    Claim(
        "events",
        lambda number, sid: {"event": f"join {number}", "data": sid},
        "unknown_event",
        "unknown_events",
        0.0005,
    ),
    Claim(
        "namespaces",
        lambda number, sid: {"event": "echo", "namespace": f"/{number}"},
        "unknown_namespace",
        "unknown_namespaces",
        0.0004,
    ),
    Claim(
        "rooms named after a sid, with an answer",
        lambda number, sid: {"event": "ask to join", "data": sid},
        "bad_room",
        None,
        0.0005,
    ),
    Claim(
        "rooms named after a sid",
        lambda number, sid: {"event": "join", "data": sid},
        "internal_error",
        "handler_errors",
        0.003,
    ),
    Claim(
        "words as events",
        lambda number, sid: {"event": word(number)},
        "unknown_event",
        "unknown_events",
        0.0005,
    ),
    Claim(
        "words as namespaces",
        lambda number, sid: {"event": "echo", "namespace": f"/{word(number)}"},
        "unknown_namespace",
        "unknown_namespaces",
        0.0004,
    ),
    Claim(
        "words in an error",
        lambda number, sid: {"event": "crash", "data": word(number)},
        "internal_error",
        "handler_errors",
        0.003,
    ),
]


@pytest.mark.parametrize("claim", CLAIMS, ids=attrgetter("name"))
def test_what_a_claim_costs_and_that_it_gets_nothing(
    watching: Witness,
    claim: Claim,
    request: pytest.FixtureRequest,
) -> None:
    ann, eve = watching.clients.welcome(2)
    ann.emit("ask me", id=1)
    watching.clients.wait("the question", lambda: ann.frames)
    question = ann.frames.popleft()
    # The ids of a process are in order, and few.
    assert question["id"] < TIMES
    before = watching.ask("statistics")
    log = len(watching.server.log())

    cost = attack_by(watching, eve, [claim.packets(at, ann.sid) for at in range(TIMES)])
    written = len(watching.server.log()) - log
    print(f"{request.node.name}: {cost}, {written} bytes of log")
    assert cost.seconds / TIMES < unhurried(claim.most)
    assert cost.memory < 4 * MEGABYTE
    assert cost.slowest < unhurried(PATIENCE)
    # Nobody is told but by the errors of an application.
    assert (written > 0) == (claim.counter == "handler_errors")

    errors = [frame["error"] for frame in eve.frames]
    assert [error["code"] for error in errors] == [claim.code] * (
        TIMES if claim.code else 0
    )
    assert all(error["message"].isprintable() for error in errors)
    after = watching.ask("statistics")
    counters = ["ignored_acks", "unknown_recipients", "handler_errors", "strikes"]
    counters += ["unknown_events", "unknown_namespaces"]
    grown = {name: after[name] - before[name] for name in counters}
    assert grown == {name: TIMES * (name == claim.counter) for name in counters}
    assert after["rooms"] == before["rooms"]
    # Whom it was about heard nothing of it, and is asked what it was asked.
    assert not ann.frames
    ann.put(build(json.dumps({"ack": question["id"], "data": "ann's answer"}).encode()))
    watching.clients.wait("what it answered", lambda: 1 in ann.answers)
    assert ann.answers[1]["data"] == "ann's answer"
    for member in ann, eve:
        member.reset()


def attack_by(watching: Witness, member: Member, packets: list[dict[str, Any]]) -> Cost:
    """Send *packets* from *member*, until all are handled."""
    last = {"event": "echo", "id": TIMES}
    octets = (build(json.dumps(packet).encode()) for packet in [*packets, last])
    return attack(watching, member, b"".join(octets), lambda: TIMES in member.answers)


@pytest.mark.parametrize(
    ("query", "header", "answer", "counter"),
    [
        pytest.param(
            b"?access_token=eve%27s%20token",
            b"",
            (401, b"not authenticated"),
            "refused_unauthorised",
            id="a forged token",
        ),
        pytest.param(
            b"",
            b"origin: https://evil.test\r\n",
            (403, b"origin is not trusted"),
            "refused_origin",
            id="another site",
        ),
    ],
)
def test_what_a_handshake_costs_that_lies(
    watching: Witness,
    query: bytes,
    header: bytes,
    answer: tuple[int, bytes],
    counter: str,
    request: pytest.FixtureRequest,
) -> None:
    knock = (REQUEST % query).replace(b"host: x\r\n", b"host: x\r\n" + header)
    before = watching.ask("statistics")
    with siege(watching) as attackers:
        attackers.knock_all([(knock, "127.0.0.1")] * REFUSED)
        attackers.watch_all_answers()
        seen = attackers.seen
        print(f"{request.node.name}: {seen}, each {seen.processor / REFUSED}")
        assert attackers.answers() == {answer: REFUSED}
        assert seen.processor / REFUSED < unhurried(0.006)
        assert seen.memory / REFUSED < 100_000
        assert seen.slowest < unhurried(PATIENCE)
    after = watching.ask("statistics")
    for name in counter, "refused":
        assert after[name] - before[name] == REFUSED
    assert after["connections_total"] == before["connections_total"]
