"""Pace: how far a reader is behind those who write to it.

A time for every message would cost as much as the message.  Instead the reader,
when it has a backlog, now and then marks the newest message that waits: how long
it takes to get there is how long they wait.
"""

from __future__ import annotations

from typing import final


@final
class Pace:
    """How long messages wait, as seen from one of them at a time."""

    __slots__ = ("_at", "_lag", "_number")

    def __init__(self) -> None:
        # The message marked, counted from the first ever accepted, and when.
        self._number = 0
        self._at = 0.0
        # How long the one before it took to be reached.
        self._lag = 0.0

    def mark(self, passed: int, accepted: int, now: float) -> None:
        """Mark the newest message, if the one marked before was reached.

        Args:
            passed: How many messages have left the mailbox.
            accepted: How many have ever come.
            now: Seconds, on any clock that is always the same.
        """
        if passed < self._number:
            return
        if self._number:
            self._lag = now - self._at
        self._number = accepted
        self._at = now

    def lag(self, passed: int, now: float) -> float:
        """For how many seconds the messages in front have waited, about."""
        if passed < self._number:
            return max(self._lag, now - self._at)
        return self._lag
