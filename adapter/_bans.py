"""Bans: who may not come in, until when.

Bounded: where there are too many, the one that ends first is let go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

BANNED = 3003, "banned"
"""3003 is "Forbidden" in IANA's registry of close codes."""


@final
@dataclass(frozen=True, slots=True)
class Ban:
    """Who may not come in.

    Attributes:
        kind: ``"user"`` or ``"address"``.
        name: Which; of IPv6 addresses the /64, such as ``2001:db8::/64``.
        seconds: For how long from now on; ``math.inf`` until the adapter stops.
    """

    kind: str
    name: str
    seconds: float


@final
class Bans:
    """All of one adapter.

    Args:
        most: How many are kept.
        now: The clock.
    """

    __slots__ = ("_ends", "_most", "_now")

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        # By kind and name, the moment when it ends.
        self._ends: dict[tuple[str, str], float] = {}

    def add(self, kind: str, name: str, seconds: float | None) -> None:
        """Ban *name*; a later ban replaces an earlier one."""
        ends = self._ends
        ends.pop((kind, name), None)
        if len(ends) >= self._most:
            self._let_go()
        ends[kind, name] = math.inf if seconds is None else self._now() + seconds

    def remove(self, kind: str, name: str) -> bool:
        """Let *name* in again; return whether it was banned."""
        return self._ends.pop((kind, name), 0.0) > self._now()

    def holds(self, kind: str, name: str | None) -> bool:
        """Whether *name* may not come in."""
        if name is None or (end := self._ends.get((kind, name))) is None:
            return False
        if end > self._now():
            return True
        del self._ends[kind, name]
        return False

    def clear(self) -> None:
        """Let everybody in again."""
        self._ends.clear()

    def all(self) -> tuple[Ban, ...]:
        """Those that hold, in the order in which they were made."""
        now = self._now()
        return tuple(
            Ban(kind, name, end - now)
            for (kind, name), end in self._ends.items()
            if end > now
        )

    def _let_go(self) -> None:
        now = self._now()
        over = [key for key, end in self._ends.items() if end <= now]
        for key in over or [min(self._ends, key=self._ends.__getitem__)]:
            del self._ends[key]
