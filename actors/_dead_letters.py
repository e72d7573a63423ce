"""Where every message goes that was accepted and will never be handled.

Nothing is lost silently: each is counted by reason, the latest are kept to be
looked at, and whoever listens is told.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from ._listeners import Listeners


class Undelivered(enum.Enum):
    """Why a message became a dead letter."""

    CRASHED = "crashed"
    """It was in flight when its actor crashed."""
    CANCELLED = "cancelled"
    """It was in flight when its actor was killed or ran out of its grace."""
    STOPPED = "stopped"
    """Its actor ended before reaching it."""
    RESTARTED = "restarted"
    """Its actor restarted, and drops what waits when it does."""
    OVERFLOW = "overflow"
    """The policy of the full mailbox dropped it, or another in its favour."""
    EXPIRED = "expired"
    """An ask whose deadline passed, or whose asker left, before its turn; or a
    timer's message, when the timer was cancelled or its incarnation had ended."""
    NO_RECIPIENT = "no_recipient"
    """Nobody has that name, or is in that group any longer."""


@final
@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was not handled.

    Attributes:
        message: The message.
        recipient: Path of the actor it was for.
        why: The reason.
        sender: Path of the actor that sent it, where that is known.
        error: The exception behind it, if there is one.
    """

    message: object
    recipient: str
    why: Undelivered
    sender: str | None = None
    error: BaseException | None = None


def _weightless(_: object) -> int:
    return 0


@final
class DeadLetters:
    """The dead letters of one system.

    Args:
        keep: How many of the latest are kept.  They hold on to their messages.
    """

    __slots__ = (
        "_counts",
        "_keep",
        "_latest",
        "_listeners",
        "_max_weight",
        "_weigh",
        "_weight",
    )

    def __init__(self, keep: int = 100) -> None:
        self._keep = keep
        # Each with its weight.
        self._latest: deque[tuple[DeadLetter, int]] = deque()
        self._weight = 0
        self._max_weight = 0
        self._weigh: Callable[[object], int] = _weightless
        self._counts: Counter[Undelivered] = Counter()
        self._listeners: Listeners[DeadLetter] = Listeners("dead-letter")

    def publish(self, letter: DeadLetter) -> None:
        """Count and keep *letter*, and tell the listeners."""
        self._counts[letter.why] += 1
        self._put(letter)
        self._listeners.tell(letter)

    def _put(self, letter: DeadLetter) -> None:
        weight = self._weigh(letter.message)
        if weight > self._max_weight:
            return  # the others need not go for what would not stay
        latest = self._latest
        latest.append((letter, weight))
        self._weight += weight
        while len(latest) > self._keep or self._weight > self._max_weight:
            self._weight -= latest.popleft()[1]

    def limit(self, weigh: Callable[[object], int], max_weight: int) -> None:
        """Keep of the latest, from now on, what *weigh* finds light enough together.

        For messages that others have made, of whatever size.  The heavier ones are
        counted and told like any.

        Args:
            weigh: What a message weighs.
            max_weight: What those that are kept may weigh together.
        """
        self._latest.clear()
        self._weight = 0
        self._weigh, self._max_weight = weigh, max_weight

    def listen(self, listener: Callable[[DeadLetter], None]) -> Callable[[], None]:
        """Call *listener*, in place, with every letter from now on.

        It must not wait.  An exception it raises is logged.

        Returns:
            A function that ends this; calling it again does nothing.
        """
        return self._listeners.add(listener)

    @property
    def latest(self) -> tuple[DeadLetter, ...]:
        """The latest letters, oldest first."""
        # In one go: it may be another thread that looks.
        return tuple(letter for letter, _ in tuple(self._latest))

    @property
    def counts(self) -> Mapping[Undelivered, int]:
        """How many there were, by reason."""
        return MappingProxyType(dict(self._counts))

    @property
    def total(self) -> int:
        """How many there were."""
        return self._counts.total()
