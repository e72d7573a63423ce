"""Everything that ends by the clock, in one heap swept by one task.

A timeout scope around every ask costs as much again as the ask.  An entry here
costs a push; one that was settled in time stays in the heap until it comes up
or until the settled outnumber the rest, and is then thrown out.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Any, Protocol, final

import anyio

from ._parking import Parker

_COMPACT_AT = 1024


class Now(Protocol):
    """A clock."""

    def __call__(self) -> float:
        """Seconds since some moment in the past."""
        ...


class Expiring(Protocol):
    """Something that ends at its deadline unless it is done before."""

    @property
    def deadline(self) -> float:
        """When, on the clock of the runtime."""
        ...

    @property
    def done(self) -> bool:
        """Whether that is no longer of interest."""
        ...

    def expire(self) -> None:
        """The deadline has come.  Must not raise and must not wait."""
        ...


def check_timeout(timeout: float) -> None:
    """Refuse what is no number: a deadline that is no moment would never come."""
    if math.isnan(timeout):
        raise ValueError(f"timeout must be a number of seconds, got {timeout!r}")


@final
class Deadlines:
    """The heap, and the task that sweeps it."""

    __slots__ = ("_compact_at", "_heap", "_next", "_now", "_parker", "_seq", "parked")

    def __init__(self, now: Now, parker: Parker) -> None:
        self._now = now
        self._parker = parker
        # The sequence number breaks ties in the order of addition.
        self._heap: list[tuple[float, int, Expiring]] = []
        self._seq = itertools.count()
        # When the sweeper will wake by itself.
        self._next = math.inf
        self._compact_at = _COMPACT_AT
        self.parked: Any = None

    def add(self, entry: Expiring) -> None:
        """Call ``entry.expire()`` at its deadline, unless it is done by then."""
        # So written, it keeps out NaN as well, which has no place in an order.
        if not entry.deadline < math.inf:
            return
        heapq.heappush(self._heap, (entry.deadline, next(self._seq), entry))
        if entry.deadline < self._next and self.parked is not None:
            self._parker.unpark(self)
        if len(self._heap) > self._compact_at:
            self._compact()

    def _compact(self) -> None:
        live = [item for item in self._heap if not item[2].done]
        heapq.heapify(live)
        self._heap = live
        # At least twice what is live, so that the cost per entry is constant.
        self._compact_at = max(_COMPACT_AT, 2 * len(live))

    def _sweep(self) -> float:
        """Expire what is due; return when the next entry is.

        What is added meanwhile is for the next sweep, even if it is due: an
        entry that adds itself again must not keep the loop from going on.
        """
        now = self._now()
        due: list[Expiring] = []
        while self._heap and (self._heap[0][2].done or self._heap[0][0] <= now):
            due.append(heapq.heappop(self._heap)[2])
        for entry in due:
            # The one before it may have settled it.
            if not entry.done:
                entry.expire()
        return self._heap[0][0] if self._heap else math.inf

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            self._next = self._sweep()
            # Both an early wake-up and the clock end this wait.
            with anyio.CancelScope(deadline=self._next):
                await self._parker.park(self)

    def __len__(self) -> int:
        return len(self._heap)
