"""Watch: writes that have a deadline, which the task that writes cannot keep.

There are servers whose ``send`` cannot be cancelled, so it is kept by the sweeper's
clock and not by a timeout around the write.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from ..actors import Runtime
from ._alarm import Alarm, ring_after

# How often the deadline of a write is looked at.  Of the time that the process
# was stopped for, one part in so many is counted at most.
_ROUNDS = 4


@final
class Watch:
    """Over the writes of one task, one after the other.

    Args:
        runtime: Whose clock it goes by.
        seconds: What a write may take.
        too_late: Called once one has taken longer, and has not ended.
    """

    __slots__ = ("_alarm", "_runtime", "_seconds", "_since", "_too_late")

    def __init__(
        self, runtime: Runtime, seconds: float, too_late: Callable[[], None]
    ) -> None:
        self._runtime = runtime
        self._seconds = seconds
        self._too_late = too_late
        # When the write in progress began; None between writes.
        self._since: float | None = None
        self._alarm: Alarm | None = None

    def begin(self) -> None:
        """A write begins, and with it its deadline; the one before has ended."""
        self._since = self._runtime.now()
        if self._alarm is None:
            self._set(math.inf)

    def end(self) -> None:
        """The last has ended, and none begins at once."""
        self._since = None

    def settle(self) -> None:
        """There will be no more."""
        self._since = None
        if self._alarm is not None:
            self._alarm.settle()
            self._alarm = None

    def _set(self, left: float) -> None:
        # One for a run of writes, set anew when it rings: one per write would
        # cost as much as the bookkeeping of the write itself.
        seconds = min(left, self._seconds / _ROUNDS)
        self._alarm = ring_after(self._runtime, seconds, self._look)

    def _look(self) -> None:
        """The alarm has rung: is the write in progress too old?"""
        alarm, self._alarm = self._alarm, None
        if self._since is None or alarm is None:
            return
        now = self._runtime.now()
        # As long as this process was stopped, or its loop was blocked, the peer
        # had nobody to read from: it is not held against it.
        late = now - alarm.deadline
        self._since = min(now, self._since + late)
        left = self._since + self._seconds - now
        if left <= 0:
            self._too_late()
        else:
            self._set(left)
