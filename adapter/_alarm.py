"""Alarm: something that is done at a deadline, unless it is settled before."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ..actors import Runtime


@final
class Alarm:
    """Calls a function at a deadline; see `Runtime.deadlines`."""

    __slots__ = ("_ring", "deadline", "done")

    def __init__(self, deadline: float, ring: Callable[[], None]) -> None:
        self._ring: Callable[[], None] | None = ring
        self.deadline = deadline
        self.done = False

    def settle(self) -> None:
        """It is not needed any more."""
        self.done = True
        # The deadlines keep it for a while, and it must not keep a connection.
        self._ring = None

    def expire(self) -> None:
        """The deadline has come."""
        ring = self._ring
        assert ring is not None
        self.settle()
        ring()


def ring_after(runtime: Runtime, seconds: float, ring: Callable[[], None]) -> Alarm:
    """Have *ring* called in *seconds*."""
    alarm = Alarm(runtime.now() + seconds, ring)
    runtime.deadlines.add(alarm)
    return alarm
