"""Large: whether a delivery costs more where there are many more connections.

The server's processor time for a delivery, in one process: with a few members in
the room, and again when it has grown.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..harness.load import Rate
from ..harness.server import Server
from .fanout import Room


@dataclass(frozen=True, slots=True)
class Growth:
    """The same room, small and large."""

    small: Rate
    large: Rate

    @property
    def microseconds(self) -> float:
        """Processor time of a delivery in the large room."""
        return 1e6 * _cost(self.large)

    @property
    def factor(self) -> float:
        """How many times as much it is as in the small one."""
        return _cost(self.large) / _cost(self.small)


def _cost(rate: Rate) -> float:
    return rate.effort.server / rate.per_second


async def measure(server: Server, small: int, large: int, seconds: float) -> Growth:
    """Measure with *small* members and among *large*; leave them to be killed.

    Raises:
        AssertionError: A member got more or fewer messages than were sent.
        TimeoutError: Messages were missing.
    """
    # One at a time: a batch to all of a large room is long under way.
    room = Room(server, batch=1)
    await room.fill(small)
    await room.open()
    # Once for nothing: a compiler at run time has not seen enough before.
    await room.measure(seconds / 2)
    before = await room.measure(seconds)
    # *large* with the one who asks: Greenroom, by default, takes 10,000.
    await room.grow(large - small - 1)
    after = await room.measure(seconds)
    room.abandon()
    return Growth(before, after)
