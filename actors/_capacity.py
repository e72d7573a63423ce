"""How much a mailbox holds, what happens beyond, and what it can say of itself."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol, final

WATERMARKS = (0.5, 0.8)


class Overflow(enum.Enum):
    """What a full mailbox does with one more message that is not waiting."""

    REJECT = "reject"
    """Refuse it: ``tell`` raises `MailboxFull`."""
    BLOCK = "block"
    """Refuse it likewise; says that senders are meant to use ``send``."""
    DROP_NEW = "drop_new"
    """Accept it and drop it at once."""
    DROP_OLD = "drop_old"
    """Drop the oldest message that waits."""
    CONFLATE = "conflate"
    """Drop the oldest waiting message with the same key, else the oldest."""
    STOP = "stop"
    """Drop it and stop the owner: it is too slow to be served."""


def _require(ok: bool, what: str, got: object) -> None:
    if not ok:
        raise ValueError(f"{what}, got {got!r}")


def _is_overflow(value: object) -> bool:
    return isinstance(value, Overflow)


def _is_count(value: object) -> bool:
    # True and False are ints, too, but nobody means them.
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxOptions:
    """How much a mailbox holds and what happens beyond.

    Attributes:
        capacity: Messages that may wait, at least 1.
        overflow: What a full mailbox does with a ``tell``; ``send`` waits.
        key: For `Overflow.CONFLATE`: messages with equal keys replace each
            other.  Of an ask it sees the message.
        overflow_of: The policy for one message, where it is not *overflow*; or
            None, where it is.  Asked only when the message does not fit.  Of an
            ask it sees the message.
        weigh: Weight of one message, for example its bytes; with *max_weight*.
            Called once for each message.  Of an ask it sees the message.
        max_weight: Sum of weights that may wait.  A message heavier than this
            is accepted only by an empty mailbox.
    """

    capacity: int = 1024
    overflow: Overflow = Overflow.REJECT
    key: Callable[[object], Hashable] | None = None
    overflow_of: Callable[[object], Overflow | None] | None = None
    weigh: Callable[[object], int] | None = None
    max_weight: int | None = None

    def __post_init__(self) -> None:
        capacity, overflow, heaviest = self.capacity, self.overflow, self.max_weight
        _require(_is_count(capacity), "capacity must be an int of at least 1", capacity)
        _require(_is_overflow(overflow), "overflow must be an Overflow", overflow)
        _require(
            overflow is not Overflow.CONFLATE or self.key is not None,
            "key must be given with Overflow.CONFLATE",
            self.key,
        )
        conflates = overflow is Overflow.CONFLATE or self.overflow_of is not None
        _require(
            conflates or self.key is None,
            "key must be given with Overflow.CONFLATE or overflow_of only",
            self.key,
        )
        _require(
            (self.weigh is None) == (heaviest is None),
            "weigh and max_weight must be given together",
            (self.weigh, heaviest),
        )
        _require(
            heaviest is None or _is_count(heaviest),
            "max_weight must be an int of at least 1",
            heaviest,
        )


@final
@dataclass(frozen=True, slots=True)
class MailboxStatistics:
    """A snapshot; ``accepted == handled + dead_lettered + pending``."""

    accepted: int
    handled: int
    dead_lettered: int
    pending: int
    refused: int
    """Never accepted: the sender was told so."""
    capacity: int
    weight: int
    level: int
    """Watermarks passed: 0, 1 (50 %) or 2 (80 %)."""


class MailboxOwner(Protocol):
    """Who is told what the mailbox did on its own."""

    def dropped(self, message: object, overflow: Overflow) -> None:
        """*message* was dropped; it counts as dead-lettered."""
        ...

    def overflowed(self) -> None:
        """The mailbox is full and its policy is `Overflow.STOP`."""
        ...

    def level_changed(self, level: int) -> None:
        """A watermark was passed, upward or back."""
        ...
