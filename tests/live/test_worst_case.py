"""What hostile clients cost at most, measured against the formula of the docs.

Term by term, each filled by itself: what has no term of its own is seen, and so is
what has outgrown it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, final

import pytest

from .apps.worst import LONGEST_SENT, OPTIONS
from .crowd import REQUEST, Crowd, Member, build, crowd
from .server import HypercornServer, hypercorn_server
from .witness import linux_only

pytestmark = [pytest.mark.live, linux_only]

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
SMALL_BUFFER = 8192
# A handshake comes at once, or hypercorn takes a quarter of it.
LARGE_BUFFER = 262_144
CLIENTS = 6
LONGEST = OPTIONS.max_message_bytes
# How much of each term has to be there: it is a bound, not a boast.
LEAST_SHARE = 1 / 3

Terms: TypeAlias = dict[str, int]


@pytest.fixture
def server(worker: str) -> Iterator[HypercornServer]:
    app = "tests.live.apps.worst:app"
    with hypercorn_server(app, worker, socket_buffer=LARGE_BUFFER) as server:
        yield server


def formula() -> tuple[Terms, Terms]:
    """What the docs say of one client, and of what is kept beside them."""
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(r"## What it can cost at most\n(.*?)\n## ", text, re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    of_one = names["of_one_client"](OPTIONS, longest_sent=LONGEST_SENT)
    return of_one, names["of_the_adapter"](OPTIONS, longest_sent=LONGEST_SENT)


def heavy() -> bytes:
    """The message that takes the most memory once it is decoded."""
    chain = '{"":' * 28 + "1" + "}" * 28
    head, tail = '{"event":"fill unsent","data":[', "]}"
    count = (LONGEST - len(head) - len(tail)) // (len(chain) + 1)
    return (head + ",".join([chain] * count) + tail).encode()


def wide() -> bytes:
    """The message that takes the most memory as text."""
    return ("x" * (LONGEST - 4) + "\N{GRINNING FACE}").encode()


def fat() -> bytes:
    """The handshake that takes the most memory: many headers, of next to nothing."""
    request = REQUEST.removesuffix(b"\r\n") % b""
    headers = b"a:\r\n" * ((65_536 - len(request) - 2) // 4)
    return request + headers + b"\r\n"


@final
class Scales:
    """What each term weighs of a server.

    Args:
        clients: Of the server; the first of them is the witness.
    """

    def __init__(self, clients: Crowd, witness: Member) -> None:
        self._clients = clients
        self._witness = witness
        self.found: Terms = {}
        self.latest = self.settled()

    def ask(self, event: str) -> Any:
        return self._clients.ask(self._witness, event)

    def pending(self, which: str) -> int:
        """How many messages wait or are handled; inbound, the witness has one."""
        return int(self.ask("statistics")[which]["pending"])

    def settled(self) -> dict[str, Any]:
        """The statistics once the server takes no more of what comes."""
        latest: deque[Any] = deque(maxlen=10)

        def is_settled() -> bool:
            answer = self.ask("statistics")
            sent = sum(member.sent for member in self._clients.members[1:])
            # The witness's own answers change what is counted, but nothing else.
            latest.append((answer["memory"] // 65_536, sent))
            return len(latest) == latest.maxlen and len(set(latest)) == 1

        self._clients.wait("an end of what the server takes", is_settled, 30)
        answer: dict[str, Any] = self.ask("statistics")
        return answer

    def weigh(self, term: str, among: int = 1, at: str = "memory") -> None:
        """What has come since the last time is *term*, of so many."""
        before, self.latest = self.latest, self.settled()
        self.found[term] = (self.latest[at] - before["memory"]) // among

    def check(self, terms: Terms) -> None:
        """All of *terms* have been found, and none to be more, or to be a boast."""
        assert self.found.keys() == terms.keys()
        shares = {term: self.found[term] / most for term, most in terms.items()}
        wrong = {term: x for term, x in shares.items() if not LEAST_SHARE < x < 1}
        assert not wrong, (shares, self.found)


def deflating(clients: Crowd) -> Member:
    """One that has messages compressed."""
    offer = b"sec-websocket-extensions: permessage-deflate\r\n\r\n"
    member = clients.knock(REQUEST.removesuffix(b"\r\n") % b"" + offer)
    clients.wait_all("a welcome", [member], lambda each: each.sid)
    return member


def hostile_clients(clients: Crowd) -> list[Member]:
    members: list[Member] = []
    for _ in range(CLIENTS):
        member = clients.knock(fat(), SMALL_BUFFER)
        clients.wait_all("a welcome", [member], lambda each: each.sid)
        members.append(member)
    return members


def test_what_hostile_clients_cost_is_within_the_formula(
    server: HypercornServer,
) -> None:
    terms, _ = formula()
    # One is handled, two fill the inbox, one waits with the reader; what comes
    # behind stays with the kernel.
    octets = build(heavy()) * 4 + build(wide()) * 4
    with crowd(server) as clients:
        (witness,) = clients.welcome(1)
        deflator = deflating(clients)
        scales = Scales(clients, witness)
        hostile = hostile_clients(clients)
        scales.weigh("connection", CLIENTS)
        for term in "rooms", "presence", "acks":
            clients.ask_all(hostile, f"fill {term}")
            scales.weigh(term, CLIENTS)
        rooms = [one.sid[1:] for one in hostile]
        clients.ask_all([witness, deflator], "listen", rooms)
        for one in hostile:
            one.stall()
            one.put(octets)
        scales.weigh("read", CLIENTS)
        assert scales.latest["inbound"]["pending"] == 3 * CLIENTS + 1
        for one in hostile:
            assert one.sent > 4 * LONGEST
        scales.ask("release")
        full = OPTIONS.outbox_bytes // LONGEST_SENT - 1
        clients.wait(
            "outboxes that are full",
            lambda: scales.pending("outbound") >= CLIENTS * full,
        )
        # Those who listen have outboxes as well.
        scales.weigh("unsent", CLIENTS + 2)

        assert scales.latest["connections"] == CLIENTS + 2
        assert scales.latest["strikes"] == 0
        scales.check(terms)


def test_what_is_kept_beside_them_is_within_the_formula(
    server: HypercornServer,
) -> None:
    of_one, terms = formula()
    with crowd(server) as clients:
        (witness,) = clients.welcome(1)
        clients.ask_all([witness, deflating(clients)], "listen to histories")
        scales = Scales(clients, witness)
        # It has gone again by the time that anybody looks.
        scales.ask("fill orders")
        scales.weigh("orders", at="peak")
        for term in "histories", "bans", "addresses":
            scales.ask(f"fill {term}")
            scales.weigh(term)
        kept = OPTIONS.history_bytes // (LONGEST_SENT + 300)
        assert scales.latest["history_messages"] >= OPTIONS.max_histories * kept
        # They leave one after the other, with all that they have sent.
        for _ in range(2 * CLIENTS):
            (one,) = clients.welcome(1, socket_buffer=SMALL_BUFFER)
            one.put(build(heavy()) * 2)
            clients.wait("its messages", lambda: scales.pending("inbound") == 3)
            one.reset()
            clients.wait("its end", lambda: scales.pending("inbound") == 1)
        scales.weigh("letters")
        # The allocators do not let go of all that the last one needed.
        terms["letters"] += of_one["read"]
        scales.check(terms)
