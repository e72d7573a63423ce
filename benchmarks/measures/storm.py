"""Storm: how long one client waits for its answer while all get broadcasts.

Broadcasts at a fixed pace, and clients outside the room who ask for an echo now
and then, at moments of a Poisson process and not when the last answer has come:
who waits for that never asks in the worst moment.  An answer has arrived when the
kernel says so, on whose clock the question was sent: what the load client has
still to read of the storm delays neither.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from statistics import quantiles

from ..harness.dialect import PAYLOAD
from ..harness.load import Effort, timed
from ..harness.raw import Raw, now
from .fanout import Room

_PROBES = 10
_PROBES_PER_SECOND = 200
_LAST_ANSWER_SECONDS = 30.0
_WARM_UP_SECONDS = 0.3
_SEED = 7


@dataclass(frozen=True, slots=True)
class Waits:
    """How long answers took, in milliseconds, and in what storm."""

    median: float
    p99: float
    longest: float
    answers: int
    per_second: float
    effort: Effort


class Probe:
    """A client that asks for echoes, whether it has its last one or not."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._frame = raw.say("echo", PAYLOAD)
        assert PAYLOAD in raw.ask(self._frame)
        self._asked: deque[float] = deque()
        self._silent = asyncio.Event()
        self.waits: list[float] = []
        raw.stamp()
        asyncio.get_running_loop().add_reader(raw.socket, self._read)

    def ask(self) -> None:
        self._asked.append(now())
        self._raw.write(self._frame)

    def _read(self) -> None:
        arrived = self._raw.receive()
        for _ in self._raw.events():
            self.waits.append(arrived - self._asked.popleft())
        if not self._asked:
            self._silent.set()

    async def leave(self) -> None:
        if self._asked:
            self._silent.clear()
            async with asyncio.timeout(_LAST_ANSWER_SECONDS):
                await self._silent.wait()
        asyncio.get_running_loop().remove_reader(self._raw.socket)
        self._raw.close()


def _moments(seconds: float, broadcasts: float) -> list[tuple[float, int]]:
    """When to do what: the number of a probe, or -1 for a broadcast."""
    chance = random.Random(_SEED)
    count = max(2, round(seconds * broadcasts))
    moments = [(number / broadcasts, -1) for number in range(count)]
    end = max(seconds, moments[-1][0])
    at = 0.0
    while (at := at + chance.expovariate(_PROBES_PER_SECOND)) < end:
        moments.append((at, chance.randrange(_PROBES)))
    return sorted(moments)


async def measure(room: Room, seconds: float, per_second: float) -> Waits:
    """Broadcast *per_second* deliveries for *seconds*, and ask for echoes.

    Raises:
        AssertionError: A member got more or fewer messages than were sent.
        TimeoutError: Messages or answers were missing.
    """
    probes = [Probe(Raw(room.server)) for _ in range(_PROBES)]
    moments = _moments(seconds, per_second / len(room.members))
    await asyncio.sleep(_WARM_UP_SECONDS)
    loop = asyncio.get_running_loop()
    with timed(room.server) as effort:
        start = loop.time()
        for at, who in moments:
            if (early := start + at - loop.time()) > 0:
                await asyncio.sleep(early)
            if who < 0:
                room.ask(1)
            else:
                probes[who].ask()
        await room.settle()
    for probe in probes:
        await probe.leave()
    waits = [1000 * wait for probe in probes for wait in probe.waits]
    broadcasts = sum(who < 0 for _, who in moments)
    return Waits(
        median=quantiles(waits, n=2)[0],
        p99=quantiles(waits, n=100, method="inclusive")[98],
        longest=max(waits),
        answers=len(waits),
        per_second=broadcasts * len(room.members) / effort.seconds,
        effort=effort,
    )
