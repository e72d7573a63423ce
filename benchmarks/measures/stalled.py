"""Stalled: what clients that stop reading cost those that go on.

The rate of fan-out to a room, before and after one more client for each twenty
joins it and never reads again.  What is timed begins when they have joined, and can
be long enough for all that happens to them: their sockets fill, what the server
keeps for them fills, and they are given up or are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..harness.dialect import PAYLOAD
from ..harness.load import Rate
from ..harness.raw import Raw
from .fanout import BATCH, Room

#: Long enough that a socket is full after 25 or so.
_PAYLOAD = PAYLOAD * 20
#: One in twenty.
_SHARE = 0.05
#: By then Greenroom has given them up: its outbox takes 256.
_BROADCASTS = 320
_BASE_SECONDS = 1.0
_PATIENCE_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Cost:
    """The rate to those who read, with and without those who do not."""

    alone: Rate
    beside: Rate

    @property
    def kept(self) -> float:
        """What is left of the rate, per cent."""
        return 100 * self.beside.per_second / self.alone.per_second

    @property
    def kept_by_cpu(self) -> float:
        """The same of what a second of the server's processor time achieved."""
        return self.kept * self.alone.effort.server / self.beside.effort.server


async def measure(room: Room, seconds: float) -> Cost | None:
    """Measure with and without the stalled; None if with them nothing moves.

    It is watched for *seconds* at most.  Afterwards it may be beyond help.

    Raises:
        AssertionError: A member got more or fewer messages than were sent.
    """
    alone = await room.measure(min(_BASE_SECONDS, seconds), payload=_PAYLOAD)
    stalled = [
        Raw(room.server, narrow=True) for _ in range(int(_SHARE * len(room.members)))
    ]
    try:
        for client in stalled:
            client.ask(client.say("join", None))
        beside = await room.measure(
            seconds,
            payload=_PAYLOAD,
            at_most=_BROADCASTS // BATCH,
            patience=_PATIENCE_SECONDS,
        )
    except TimeoutError:
        return None
    finally:
        for client in stalled:
            client.close()
    return Cost(alone, beside)
