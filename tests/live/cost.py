"""What an attack of one client takes of its server, beside one that behaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from .crowd import Member
from .witness import Witness, cpu_seconds

SECONDS = 10.0
# Between two looks.
PAUSE = 0.01


@final
@dataclass(frozen=True, slots=True)
class Cost:
    """What an attack took.

    Attributes:
        sent: Bytes.
        seconds: Of a processor, by the server.
        memory: The most bytes that the server had, beyond those before.
        slowest: The longest round trip of the witness, in seconds.
    """

    sent: int
    seconds: float
    memory: int
    slowest: float


def attack(
    watching: Witness, member: Member, octets: bytes, is_over: Callable[[], object]
) -> Cost:
    """Send *octets* from *member*, until *is_over* or it is put out."""
    clients, before = watching.clients, watching.ask("statistics")["memory"]
    processor, memory, slowest = cpu_seconds(watching.pid), 0, 0.0
    sent, deadline = member.sent, time.monotonic() + SECONDS
    member.put(octets)
    while not is_over() and not member.closed:
        assert time.monotonic() < deadline, f"{member.sent - sent} of {len(octets)}"
        began = time.monotonic()
        memory = max(memory, watching.ask("statistics")["memory"])
        slowest = max(slowest, time.monotonic() - began)
        clients.go_on(PAUSE)
    return Cost(
        member.sent - sent,
        cpu_seconds(watching.pid) - processor,
        memory - before,
        slowest,
    )
