"""Routing: which of several actors a message is for.

Reads the cells in place, in one step; nobody is asked.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar, final

from ..actors import Cell
from ._child import Child
from ._keys import mixed, stable_hash

M = TypeVar("M")


class Routing(enum.Enum):
    """Which of a router's routees a message is for."""

    ROUND_ROBIN = "round_robin"
    """The next one, past those that are full or wait for their restart."""
    HASH = "hash"
    """The one that the message's key belongs to."""
    BROADCAST = "broadcast"
    """All of them."""


@final
class Routes(Generic[M]):
    """The routees of one incarnation of a router.

    Args:
        children: Who they are, in the order of their start.
        key: Of a message, if that decides; else they take turns.
    """

    def __init__(
        self, children: Sequence[Child], key: Callable[[M], Hashable] | None
    ) -> None:
        # Those that have ended for good as well.
        self._children = children
        self._key = key
        self._hashes = {each.spec.id: stable_hash(each.spec.id) for each in children}
        # Whose turn it is.
        self._turn = 0

    @property
    def are_gone(self) -> bool:
        """Whether all have ended for good, or have not been started yet."""
        return all(child.cell is None for child in self._children)

    def living(self) -> list[Cell[Any]]:
        """Those that take messages."""
        cells = [child.cell for child in self._children]
        return [c for c in cells if c is not None and not c.mailbox.closed]

    def choose(self, message: M) -> Cell[Any] | None:
        """Who is to get *message*; None if nobody is left."""
        if self._key is None:
            return self._next(message)
        return self._preferred(self._key(message))

    def _preferred(self, key: Hashable) -> Cell[Any] | None:
        hashed = stable_hash(key)
        # Each key has its own order of preference among all routees, so that one
        # that ends leaves its keys to all the others, and theirs where they are.
        return max(
            self.living(),
            key=lambda cell: mixed(hashed, self._hashes[cell.ref.name]),
            default=None,
        )

    def _next(self, message: M) -> Cell[Any] | None:
        count = len(self._children)
        best: Cell[Any] | None = None
        lowest = 3
        start = self._turn
        for index in range(start, start + count):
            child = self._children[index % count]
            cell = child.cell
            if cell is None or cell.mailbox.closed:
                continue
            # One that is down may be so for long: others can do it sooner.
            cost = 0 if child.live else 1
            if not cell.mailbox.has_room(message):
                cost = 2
            if cost < lowest:
                best, lowest, self._turn = cell, cost, (index + 1) % count
            if cost == 0:
                break
        return best
