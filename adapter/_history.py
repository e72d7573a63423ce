"""History: what was said in a room lately, for clients that were away.

A message that is kept has an *offset*: 1, 2, 3 and so on within its room.  The
*epoch* says which count that is, since a history that was forgotten begins anew.

The law: a message is appended, and what a client has missed is put in its
outbox, in the registry's turn (see `Registry.publish` and `Registry.join`).  So
a client gets each message once and in order, whatever happens at the same time.

Kept are the frames themselves, so that a message weighs what it weighs on the
wire and goes out again as it is; who reads the history of a room pays for reading
them.  `Histories` keeps them in this process.  What epoch, offset and ``recovered``
promise to clients does not depend on that: it is to be the same where a `History`
spans processes, which none does yet.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from typing import Protocol, TypeAlias, final

from ..actors import Mailbox
from ._options import Options
from ._outgoing import Outgoing
from ._position import Joined

Group: TypeAlias = tuple[str, str]
"""Namespace and room."""


class History(Protocol):
    """Where messages are kept.

    Called in the registry's turn, so it never waits.
    """

    def append(
        self, group: Group, now: float, make: Callable[[int], Outgoing]
    ) -> Outgoing:
        """Keep what *make* makes of the next offset, and return it."""
        ...

    def position(self, group: Group) -> tuple[str, int]:
        """Epoch, and offset of the newest message."""
        ...

    def missed(
        self, group: Group, epoch: str, offset: int, now: float
    ) -> list[Outgoing] | None:
        """What was kept after *offset*; None if not all of it is there any more."""
        ...

    def newest(self, group: Group, count: int | None, now: float) -> list[Outgoing]:
        """The last *count* that are kept, or all; the newest one has `position`."""
        ...

    def forget(self, group: Group) -> None:
        """Keep nothing of it any more: it begins anew, with another epoch."""
        ...


@final
class _Room:
    """What is kept of one room."""

    __slots__ = ("epoch", "messages", "offset", "weight")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.offset = 0
        # Each with the time at which it was said; the last one has the offset.
        self.messages: deque[tuple[float, Outgoing]] = deque()
        self.weight = 0

    def drop(self) -> None:
        """Let go of the oldest message."""
        _, message = self.messages.popleft()
        self.weight -= message.weight


@final
class Histories:
    """The histories of all rooms, in this process."""

    __slots__ = ("_base", "_forgotten", "_fresh", "_options", "_rooms")

    def __init__(self, options: Options) -> None:
        self._options = options
        # Both in the order of their latest message: all, and those in which there
        # are messages.
        self._rooms: OrderedDict[Group, _Room] = OrderedDict()
        self._fresh: OrderedDict[Group, _Room] = OrderedDict()
        self._base = secrets.token_urlsafe(9)
        self._forgotten = 0

    def _epoch(self) -> str:
        """The epoch of a history that begins now.

        The same for all until one is forgotten: so a room that has none yet has
        a position already, to be named once it has one.
        """
        return f"{self._base}.{self._forgotten}"

    def append(
        self, group: Group, now: float, make: Callable[[int], Outgoing]
    ) -> Outgoing:
        """See `History`."""
        kept = self._rooms.get(group)
        if kept is None:
            # First, as it was told to who came here before.
            kept = _Room(self._epoch())
            if len(self._rooms) >= self._options.max_histories:
                self.forget(next(iter(self._rooms)))
            self._rooms[group] = kept
        message = make(kept.offset + 1)
        kept.offset += 1
        kept.messages.append((now, message))
        kept.weight += message.weight
        self._rooms.move_to_end(group)
        self._fresh[group] = kept
        self._fresh.move_to_end(group)
        self._trim(kept, now)
        self._expire(now)
        return message

    def position(self, group: Group) -> tuple[str, int]:
        """See `History`."""
        kept = self._rooms.get(group)
        return (self._epoch(), 0) if kept is None else (kept.epoch, kept.offset)

    def missed(
        self, group: Group, epoch: str, offset: int, now: float
    ) -> list[Outgoing] | None:
        """See `History`."""
        now_epoch, now_offset = self.position(group)
        if epoch != now_epoch or offset > now_offset:
            return None
        kept = self._rooms.get(group)
        if kept is None:
            return []
        self._trim(kept, now)
        read = len(kept.messages) - (now_offset - offset)
        if read < 0:
            return None
        return [message for _, message in islice(kept.messages, read, None)]

    def newest(self, group: Group, count: int | None, now: float) -> list[Outgoing]:
        """See `History`."""
        kept = self._rooms.get(group)
        if kept is None:
            return []
        self._trim(kept, now)
        read = 0 if count is None else max(len(kept.messages) - count, 0)
        return [message for _, message in islice(kept.messages, read, None)]

    def forget(self, group: Group) -> None:
        """See `History`."""
        if self._rooms.pop(group, None) is not None:
            self._fresh.pop(group, None)
            self._forgotten += 1

    def _trim(self, kept: _Room, now: float) -> None:
        options = self._options
        horizon = now - options.history_seconds
        messages = kept.messages
        while messages and (
            messages[0][0] <= horizon
            or len(messages) > options.history_messages
            or kept.weight > options.history_bytes
        ):
            kept.drop()

    def _expire(self, now: float) -> None:
        """Let go of the messages of rooms in which nothing is said any more."""
        horizon = now - self._options.history_seconds
        while self._fresh:
            group, kept = next(iter(self._fresh.items()))
            if kept.messages and kept.messages[-1][0] > horizon:
                return
            del self._fresh[group]
            kept.messages.clear()
            kept.weight = 0

    def sizes(self) -> tuple[int, int, int]:
        """How many rooms have a history; messages, and bytes, that are kept."""
        # A copy: it may be the thread of an exporter that asks.
        fresh = self._fresh.copy().values()
        messages = sum(len(kept.messages) for kept in fresh)
        return len(self._rooms), messages, sum(kept.weight for kept in fresh)


class OutboxFull(Exception):
    """What a client has missed does not all fit in its outbox now.

    Attributes:
        message: What comes next.
    """

    def __init__(self, message: Outgoing) -> None:
        super().__init__()
        self.message = message


@final
class Replay:
    """What one client has missed of a room, on its way into its outbox.

    Args:
        history: Where it is kept.
        group: The room.
        since: The client's position, if it has named one.
        recent: So many of the last messages it gets where that is of no use.
        outbox: Where it goes.
    """

    __slots__ = (
        "_epoch",
        "_group",
        "_history",
        "_last",
        "_missed",
        "_offset",
        "_outbox",
        "_recent",
        "_recovers",
    )

    def __init__(
        self,
        history: History,
        group: Group,
        since: tuple[str, int] | None,
        recent: int,
        outbox: Mailbox[Outgoing],
    ) -> None:
        self._history = history
        self._group = group
        self._epoch: str | None = None
        self._offset = 0
        # Whether what it gets is all that it has missed.
        self._recovers = since is not None
        if since is not None:
            self._epoch, self._offset = since
        self._recent = recent
        self._outbox = outbox
        # How many have gone, of those it has missed and of the last.
        self._missed = 0
        self._last = 0

    def finish(self, now: float, *, waits: bool) -> Joined:
        """Put all that is left in the outbox, in the registry's turn.

        Args:
            now: The time.
            waits: Whether the client may wait for room in its outbox, and the rest
                come later: it is not in the room, and gets nothing newer meanwhile.
                Else the outbox's policy decides.

        Raises:
            OutboxFull: There is no room for the next message, and *waits*.
        """
        outbox = self._outbox
        for message in self._left(now):
            if waits and not outbox.has_room(message):
                raise OutboxFull(message)
            outbox.put(message)
            self.went()
        position = self._history.position(self._group)
        return Joined(self._recovers, *position, self._missed, self._last)

    def _left(self, now: float) -> list[Outgoing]:
        """What is still to go; from here on, if it is too late for that, the last."""
        history, group = self._history, self._group
        if self._epoch is not None:
            missed = history.missed(group, self._epoch, self._offset, now)
            if missed is not None:
                return missed
        self._recovers = False
        # Once: whoever is too slow for these as well goes without what is lost, as
        # it would in the room.
        last, self._recent = history.newest(group, self._recent, now), 0
        self._epoch, newest = history.position(group)
        self._offset = newest - len(last)
        return last

    def went(self) -> None:
        """The next message has gone into the outbox."""
        self._offset += 1
        if self._recovers:
            self._missed += 1
        else:
            self._last += 1
