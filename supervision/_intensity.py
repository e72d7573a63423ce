"""Intensity: so many restarts in so many seconds, and no more.

Pure: knows neither actors nor clocks; the time is told.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Intensity:
    """How many restarts a supervisor allows before it gives up.

    Attributes:
        max_restarts: So many within *period* are survived, one more is not.
            0 gives up at the first failure.
        period: Seconds, above 0.
    """

    max_restarts: int = 3
    period: float = 5.0

    def __post_init__(self) -> None:
        n: object = self.max_restarts
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise ValueError(f"max_restarts must be an int of at least 0, got {n!r}")
        period: object = self.period
        if not isinstance(period, int | float) or not period > 0:
            raise ValueError(f"period must be seconds above 0, got {period!r}")


@final
class Window:
    """The restarts of the last period."""

    __slots__ = ("_intensity", "_times")

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        # Never more than max_restarts + 1: older ones are dropped first.
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Count one restart at *now*; whether it is still allowed."""
        while self._times and self._times[0] < now - self._intensity.period:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self._intensity.max_restarts


@final
@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a child that fails again and again waits for its next start.

    The first restart comes at once.  The n-th after it waits a random time up to
    ``min(max_seconds, min_seconds * 2**n)``: full jitter, so that children that
    failed together do not come back together.  A child that ran for the mean of
    the two bounds has recovered, and begins anew.

    Attributes:
        min_seconds: Bound of the first wait, above 0.
        max_seconds: Bound of every wait.
    """

    min_seconds: float = 0.1
    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.min_seconds <= self.max_seconds:
            raise ValueError(
                "min_seconds must be above 0 and at most max_seconds, got "
                f"{self.min_seconds!r} and {self.max_seconds!r}"
            )

    @property
    def stable_seconds(self) -> float:
        """A child that ran this long has recovered."""
        return (self.min_seconds + self.max_seconds) / 2

    def delay(self, failures: int, rng: random.Random) -> float:
        """Seconds to wait after the *failures*-th failure in a row (from 1)."""
        if failures <= 1:
            return 0.0
        # The exponent is bounded so that a child that fails for years does not
        # overflow a float.
        bound = self.min_seconds * 2.0 ** min(failures - 2, 64)
        return rng.uniform(0, min(self.max_seconds, bound))
