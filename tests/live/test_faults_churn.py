"""Two thousand clients come and go, in ten rounds, and leave nothing behind."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from .server import HypercornServer
from .witness import Witness, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

ROUNDS = 10
CLIENTS = 200
# Only from here on everything has been made that is made once.
WARM = 3

# Between the two looks there are 1,400 clients.  Had each left a single object
# behind, or five blocks of memory, or 6 kB, it would be more than this.
SLACK_OBJECTS = 400
SLACK_BLOCKS = 7000
SLACK_BYTES = 8_400_000

GOODBYE = b"\x88\x82\0\0\0\0\x03\xe8"  # a close frame, 1000


def come_and_go(watching: Witness) -> None:
    """Have clients join rooms, and leave each in some other way."""
    members = watching.clients.welcome(CLIENTS)
    for number, member in enumerate(members):
        member.emit("join", ["hall", f"corridor {number % 10}", f"cell {number}"])
    watching.clients.ask_all(members, "echo")
    assert watching.ask("statistics")["rooms"] == 1 + 10 + CLIENTS
    watching.member.emit("tell", {"number": 0, "pad": 100, "room": "hall"})
    for member in members[0::4]:
        member.put(GOODBYE)
    for member in members[1::4]:
        member.half_close()
    for member in members[2::4]:
        member.drop()
    for member in members[3::4]:
        member.reset()
    ends = members[0::4] + members[1::4]
    watching.clients.wait_all("the server's end of it", ends, lambda it: it.closed)
    for member in ends:
        member.drop()
    watching.wait_alone()


def grown(before: dict[str, Any], after: dict[str, Any]) -> Counter[str]:
    """Of what there are more objects than before, and how many more."""
    kinds: dict[str, int] = after["kinds"]
    known: dict[str, int] = before["kinds"]
    more = Counter(kinds) - Counter(known)
    # Trio keeps up to a thousand deadlines that have been met, each in a tuple.
    met = Counter({"builtins.tuple": more.pop("trio.CancelScope", 0)})
    return more - met


def test_ten_rounds_leave_what_there_was_after_three(faulty: HypercornServer) -> None:
    with witness(faulty) as watching:
        base = before = watching.settled_look()
        for number in range(1, ROUNDS + 1):
            come_and_go(watching)
            if number == WARM:
                before = watching.settled_look()
        after = watching.settled_look()

        for what in ("connections", "actors", "rooms", "tasks", "descriptors"):
            assert before[what] == after[what] == base[what], what
        more = grown(before, after)
        assert more.total() < SLACK_OBJECTS, more
        assert after["blocks"] < before["blocks"] + SLACK_BLOCKS
        assert after["memory"] < before["memory"] + SLACK_BYTES

        # One dict of each client, kept by the app: the measure sees it.
        watching.ask("hoard", True)
        come_and_go(watching)
        assert grown(after, watching.settled_look())["builtins.dict"] >= CLIENTS
        watching.ask("hoard", False)
