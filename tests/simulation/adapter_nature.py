"""What a world around an adapter is made of: on Trio, and on asyncio."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Protocol, final

from anyio.lowlevel import checkpoint

from greenroom.actors import Mailbox


class Nature(Protocol):
    """What a world is made of; a `World` of the simulation is one."""

    @property
    def random(self) -> Random:
        """Decides what everybody does."""
        ...

    @property
    def steps(self) -> int:
        """Equal as long as no other task has had its turn."""
        ...

    async def pause(self) -> None:
        """Others may get ahead of the caller."""
        ...

    def invariant(self, holds: Callable[[], object], what: str) -> None:
        """Look at it as often as can be."""
        ...

    def watch(self, name: str, mailbox: Mailbox[Any]) -> None:
        """Hold *mailbox* to the law of conservation."""
        ...


def number_in(frame: object) -> int | None:
    """Which emission a frame is of, if it is one of those."""
    fields: Any = json.loads(frame) if isinstance(frame, str) else frame
    data: Any = fields.get("data") if isinstance(fields, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # JSON
    return data.get("n") if isinstance(data, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # likewise


@final
class Loose:
    """What an asyncio world is made of.

    Args:
        seed: Decides what everybody does.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.steps = 0
        self._laws: list[tuple[str, Callable[[], object]]] = []
        self._mailboxes: list[tuple[str, Mailbox[Any]]] = []

    async def pause(self) -> None:
        """Others may get ahead; and what must hold is looked at."""
        self.look()
        await checkpoint()

    def invariant(self, holds: Callable[[], object], what: str) -> None:
        """Look at it in each pause."""
        self._laws.append((what, holds))

    def watch(self, name: str, mailbox: Mailbox[Any]) -> None:
        """Look at it in each pause."""
        self._mailboxes.append((name, mailbox))

    def look(self) -> None:
        """Does all that must hold?"""
        for what, holds in self._laws:
            assert holds() is not False, what
        for name, box in self._mailboxes:
            accounted = box.handled + box.dead_lettered + box.pending
            assert box.accepted == accounted, f"conservation: {name}"
