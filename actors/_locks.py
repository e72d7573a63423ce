"""Locks: one task at a time in a block, for each key.

A line of tickets for each key, the first of which has the lock.  The law: a
ticket leaves the line however its block is left, or was never got into; so the
lock of one that failed, or was cancelled, is the next one's at once.

Each waits for the one directly before it, as for an answer: a ring of actors that
wait for each other's locks and answers is refused before it closes.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, TypeAlias, final

from anyio import get_current_task

from ._ask import Waiting, current
from ._directory import Key
from ._parking import Parker


@final
class _Ticket:
    """A place in the line; done when it has left."""

    __slots__ = ("done", "owner", "parked", "task")

    def __init__(self) -> None:
        # The actor that takes no other message until this has left the line, and
        # which task of its handler's it is.
        self.owner: Waiting | None = None
        self.task: int = 0
        activation = current.get()
        if activation is not None and activation.blocks:
            self.owner = activation.owner
            self.task = get_current_task().id
        self.done: bool = False
        self.parked: Any = None

    def is_sibling_of(self, other: _Ticket) -> bool:
        """Whether *other* is of another task of the same handler, which goes on."""
        return other.owner is self.owner and other.task != self.task


Line: TypeAlias = deque[_Ticket]


@final
class Locks:
    """The lines of all keys that somebody holds."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[Key, Line] = {}

    def lock(self, key: Key, parker: Parker) -> Lock:
        """The lock of *key*, for one block."""
        return Lock(self.lines, key, parker)


@final
class Lock:
    """For one ``async with``; see `Registry.lock`.

    Entering does not yield if nobody is in it.

    Raises:
        AskCycle: The one before in the line waits for the actor that enters, or
            is that actor.
    """

    __slots__ = ("_key", "_lines", "_parker", "_ticket")

    def __init__(self, lines: dict[Key, Line], key: Key, parker: Parker) -> None:
        self._lines = lines
        self._key = key
        self._parker = parker
        self._ticket: _Ticket | None = None

    async def __aenter__(self) -> None:
        if self._ticket is not None:
            raise RuntimeError("a lock can be entered only once")
        ticket = self._ticket = _Ticket()
        line = self._lines.setdefault(self._key, deque())
        line.append(ticket)
        try:
            while line[0] is not ticket:
                await self._wait(ticket, line)
        except BaseException:
            self._leave(ticket)
            raise

    async def _wait(self, ticket: _Ticket, line: Line) -> None:
        """Wait until the one ahead has left *line*; that may not be our turn yet."""
        activation = current.get()
        place = line.index(ticket)
        ahead = line[place - 1]
        if (
            activation is None
            or ticket.owner is None
            or ahead.owner is None
            # The books know actors and not their tasks: a ring through a sibling
            # would be none.
            or any(ticket.is_sibling_of(line[i]) for i in range(place))
        ):
            await self._parker.park(ticket)
            return
        wait = activation.begin(ahead, ahead.owner)
        try:
            await self._parker.park(ticket)
        finally:
            activation.end(wait)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._ticket is not None
        self._leave(self._ticket)

    def _leave(self, ticket: _Ticket) -> None:
        line = self._lines[self._key]
        place = line.index(ticket)
        del line[place]
        ticket.done = True
        if place < len(line):
            # One that was cancelled in this tick is awake already.
            if line[place].parked is not None:
                self._parker.unpark(line[place])
        elif not line:
            del self._lines[self._key]
