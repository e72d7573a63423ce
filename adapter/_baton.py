"""Baton: a lock for Trio that need not be put down by who took it.

As `trio.Semaphore` of 1 would be, but smaller by the queue that nobody stands in:
an idle connection has one of these.
"""

from __future__ import annotations

from typing import Any, final


@final
class Baton:
    """One has it at a time; first come, first served."""

    __slots__ = ("_waiting", "taken")

    def __init__(self) -> None:
        self.taken = False
        # There while somebody waits.
        self._waiting: Any = None

    async def take(self) -> None:
        """Have it, waiting for whoever has it now; no checkpoint otherwise."""
        if not self.taken:
            self.taken = True
            return
        if self._waiting is None:
            from trio.lowlevel import ParkingLot

            self._waiting = ParkingLot()
        # It is handed over: it stays taken.
        await self._waiting.park()

    def put_down(self) -> None:
        """Hand it to the one who waits longest."""
        if self._waiting:
            self._waiting.unpark()
        else:
            self._waiting = None
            self.taken = False

    async def __aenter__(self) -> None:
        """As hypercorn uses its own lock."""
        await self.take()

    async def __aexit__(self, *_: object) -> None:
        """As hypercorn uses its own lock."""
        self.put_down()
