"""Position: where a client is in what was said in a room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, final

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
    """

    recovered: bool
    epoch: str
    offset: int
    missed: int = 0

    @property
    def position(self) -> dict[str, str | int]:
        """For the client to keep, and to name when it comes again."""
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
