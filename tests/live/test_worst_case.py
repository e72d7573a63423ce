"""What hostile clients cost at most, measured against the formula of the docs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .apps.worst import LONGEST_SENT, OPTIONS
from .crowd import Crowd, build, crowd
from .server import HypercornServer, hypercorn_server
from .witness import linux_only

pytestmark = [pytest.mark.live, linux_only]

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
SMALL_BUFFER = 8192
CLIENTS = 10
LONGEST = OPTIONS.max_message_bytes
# How much of the formula has to be there: it is a bound, not a boast.
LEAST_SHARE = 1 / 3


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    app = "tests.live.apps.worst:app"
    with hypercorn_server(app, worker, socket_buffer=SMALL_BUFFER) as server:
        yield server


def formula() -> Callable[..., int]:
    """What the docs say of it."""
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(r"## What it can cost at most\n(.*?)\n## ", text, re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    function: Callable[..., int] = names["most_bytes"]
    return function


def heavy() -> bytes:
    """The message that takes the most memory once it is decoded."""
    chain = '{"":' * 28 + "1" + "}" * 28
    head, tail = '{"event":"fill","data":[', "]}"
    count = (LONGEST - len(head) - len(tail)) // (len(chain) + 1)
    return (head + ",".join([chain] * count) + tail).encode()


def wide() -> bytes:
    """The message that takes the most memory as text."""
    return ("x" * (LONGEST - 4) + "\N{GRINNING FACE}").encode()


def settled(clients: Crowd, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The statistics once the server takes no more of what comes."""
    latest: deque[Any] = deque(maxlen=20)

    def is_settled() -> bool:
        answer = ask()
        sent = sum(member.sent for member in clients.members[1:])
        # The witness's own answers change what is counted, but nothing else.
        latest.append((answer["memory"] // 65_536, sent))
        return len(latest) == latest.maxlen and len(set(latest)) == 1

    clients.wait("an end of what the server takes", is_settled, 30)
    return ask()


def test_what_hostile_clients_cost_is_within_the_formula(
    server: HypercornServer,
) -> None:
    most = formula()(OPTIONS, longest_sent=LONGEST_SENT)
    # One is handled, two fill the inbox, one waits with the reader; what comes
    # behind stays with the kernel.
    octets = build(heavy()) * 4 + build(wide()) * 4
    with crowd(server) as clients:
        (member,) = clients.welcome(1)

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = clients.ask(member, "statistics")
            return answer

        before = settled(clients, ask)
        hostile = clients.welcome(CLIENTS, socket_buffer=SMALL_BUFFER)
        for one in hostile:
            one.stall()
            one.put(octets)
        after = settled(clients, ask)

        # It is the worst case that was built. The witness has one in hand.
        assert after["connections"] == CLIENTS + 1
        assert after["inbound"]["pending"] == 3 * CLIENTS + 1
        full = OPTIONS.outbox_bytes // LONGEST_SENT - 1
        assert after["outbound"]["pending"] >= CLIENTS * full
        for one in hostile:
            assert one.sent > 4 * LONGEST
        cost = (after["memory"] - before["memory"]) / CLIENTS
        assert most * LEAST_SHARE < cost < most
        assert after["strikes"] == 0
