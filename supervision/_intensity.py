"""Intensity: so many restarts in so many seconds, and no more.

Pure: knows neither actors nor clocks; the time is told.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import final

from ._check import check, check_count, is_seconds


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
        check_count("max_restarts", self.max_restarts)
        good = is_seconds(self.period) and self.period > 0
        check(good, "period", "seconds above 0", self.period)


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
    ``min(max_seconds, min_seconds * 2**(n - 1))``: full jitter, so that children
    that failed together do not come back together.  A child that lasted for the
    mean of the two bounds has recovered, and begins anew.

    Attributes:
        min_seconds: Bound of the first wait, above 0.
        max_seconds: Bound of every wait.
    """

    min_seconds: float = 0.1
    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("min_seconds", "max_seconds"):
            value = getattr(self, name)
            good = is_seconds(value) and 0 < value < float("inf")
            check(good, name, "finite seconds above 0", value)
        check(
            self.min_seconds <= self.max_seconds,
            "max_seconds",
            f"at least min_seconds ({self.min_seconds!r})",
            self.max_seconds,
        )

    @property
    def stable_seconds(self) -> float:
        """A child that lasted this long has recovered."""
        return (self.min_seconds + self.max_seconds) / 2

    def delay(self, failures: int, rng: random.Random) -> float:
        """Seconds to wait after the *failures*-th failure in a row (from 1)."""
        if failures <= 1:
            return 0.0
        # The exponent is bounded so that a child that fails for years does not
        # overflow a float.
        bound = self.min_seconds * 2.0 ** min(failures - 2, 64)
        return rng.uniform(0, min(self.max_seconds, bound))
