"""Kicks: who was put out, for those who were on their way in just then.

A kick cannot reach who is not in yet, and with what it knew before it would come in
all the same: a token that was taken back meanwhile, for one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final

from ._client import Link
from ._whom import Whom, names_of


@final
class Kicks:
    """The latest of one adapter.

    Args:
        most: Of how many users and addresses; beyond, the oldest is forgotten.
    """

    __slots__ = ("_latest", "_most", "turn")

    def __init__(self, most: int) -> None:
        self._most = most
        self.turn = 0
        """How many there were: who begins to come in now looks at later ones alone."""
        # When, by that count, and the words for it; the oldest first.
        self._latest: OrderedDict[Whom, tuple[int, int, str]] = OrderedDict()

    def add(self, meant: Whom, code: int, reason: str) -> None:
        """All that are *meant* were put out, with *code* and *reason*."""
        latest = self._latest
        self.turn += 1
        latest[meant] = self.turn, code, reason
        latest.move_to_end(meant)
        if len(latest) > self._most:
            latest.popitem(last=False)

    def since(self, turn: int, client: Link) -> tuple[int, str] | None:
        """The words for *client*, if it was meant after *turn*."""
        if turn == self.turn:
            return None
        for name in names_of(client):
            number, code, reason = self._latest.get(name, (0, 0, ""))
            if number > turn:
                return code, reason
        return None

    def clear(self) -> None:
        """Forget all."""
        self._latest.clear()
