"""Attacks after which some lines of the log are wanted: those that have a name."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager

from greenroom.adapter._events import EVENTS

from .server import HYPERCORNS_OWN, SIGNS_OF_TROUBLE, HypercornServer
from .witness import Witness, goodbyes, once, witness

NAMES = {event.name for event in EVENTS}
# With the lines of its traceback; as apps/guarded.py has it.
NAMED = re.compile(
    r"^\[[A-Z]+\] greenroom\.adapter (\w+): .*\n(?:(?:  |Traceback).*\n)*", re.MULTILINE
)


def check_names(server: HypercornServer) -> None:
    """Raise if the log tells of what is wrong, other than by an event with a name."""

    def without(match: re.Match[str]) -> str:
        return "" if match[1] in NAMES else match[0]

    rest = NAMED.sub(without, HYPERCORNS_OWN.sub("", server.log()))
    for sign in (*SIGNS_OF_TROUBLE, "[ERROR]", "[CRITICAL]"):
        assert sign not in rest, rest[rest.index(sign) :][:5000]


@contextmanager
def looking_on(server: HypercornServer) -> Generator[Witness]:
    """A witness; at the end all others are gone, and the numbers add up."""
    with witness(server, stays=False) as watching:
        yield watching
        for member in watching.clients.members:
            if member is not watching.member:
                member.drop()
        watching.wait_alone()
        statistics = watching.ask("statistics")
        told = goodbyes(server)
        assert told.pop(watching.member.sid) == []
        assert statistics["connections_total"] == len(once(told)) + 1
        for way in "inbound", "outbound":
            flow = statistics[way]
            done = flow["handled"] + flow["dead_lettered"] + flow["pending"]
            assert flow["accepted"] == done
        check_names(server)
