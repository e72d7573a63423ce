"""Position: where a client is in what was said in a room, and what that was.

A position is an epoch and an offset.  What they mean is a contract with clients,
whatever keeps the messages; today that is one process, and a position that another
has given is of an epoch that this one does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, final

_MAX_EPOCH = 64


@final
@dataclass(frozen=True, slots=True)
class Joined:
    """How a client has entered a room; see `Client.join`.

    Attributes:
        recovered: Whether it has got, or will get before anything newer, all that
            was kept after the position it named.
        epoch: Which count of messages the offset belongs to.
        offset: The offset of the newest message that was kept, 0 for none.
        missed: How many messages it has got for that it was away.
        recent: How many of the last ones it has got instead.
    """

    recovered: bool
    epoch: str
    offset: int
    missed: int = 0
    recent: int = 0

    @property
    def position(self) -> dict[str, str | int]:
        """For the client to keep, and to name when it comes again."""
        return {"epoch": self.epoch, "offset": self.offset}


@final
@dataclass(frozen=True, slots=True)
class Kept:
    """A message of a room that is kept.

    Attributes:
        offset: Which of the room it is.
        event: Its name.
        data: As its receivers read it: what JSON has no type for is text, or plain
            objects and arrays.
    """

    offset: int
    event: str
    data: Any


@final
@dataclass(frozen=True, slots=True)
class RoomHistory:
    """What is kept of a room; see `ActorAdapter.history`.

    Attributes:
        messages: The oldest first.
        epoch: Which count of messages the offsets belong to.
        offset: The offset of the newest message that was kept, 0 for none.  It may
            be gone, and not be among the messages.
    """

    messages: tuple[Kept, ...]
    epoch: str
    offset: int

    @property
    def position(self) -> dict[str, str | int]:
        """As `Joined.position`: who has these has missed nothing up to there."""
        return {"epoch": self.epoch, "offset": self.offset}


def check_since(since: object) -> tuple[str, int] | None:
    """*since*, a position as `Joined.position` gives it, or None.

    Raises:
        ValueError: It is neither; mostly it comes from a client.
    """
    if since is None:
        return None
    if isinstance(since, Mapping):
        position = cast("Mapping[object, object]", since)
        epoch, offset = position.get("epoch"), position.get("offset")
        if (
            isinstance(epoch, str)
            and len(epoch) <= _MAX_EPOCH
            and type(offset) is int
            and offset >= 0
        ):
            return epoch, offset
    raise ValueError(
        'since must be None or a position such as {"epoch": "...", "offset": 7}, '
        f"got {since!r:.64}"
    )
