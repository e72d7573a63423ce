"""Batch: messages for the same members, one right behind the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

_Weigh: TypeAlias = Callable[[object], int]


class Batch(tuple[object, ...]):
    """What is told to each of many mailboxes in one go.

    Attributes:
        piece: What a mailbox that takes several in one piece has made of them, for
            the next one that does; it goes when the batch does.
    """

    piece: object = None
    _weighed: tuple[_Weigh, Sequence[int], int] | None = None

    def weights(self, weigh: _Weigh) -> tuple[Sequence[int], int]:
        """What each of them weighs, and all together; asked once for all mailboxes."""
        if self._weighed is None or self._weighed[0] is not weigh:
            weights = [weigh(message) for message in self]
            self._weighed = weigh, weights, sum(weights)
        return self._weighed[1:]
