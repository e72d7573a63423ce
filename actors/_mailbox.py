"""Mailbox: the library's only queue.

Bounded always, with two lanes.  The *user lane* obeys capacity and policy.  The
*system lane* (stop, exits of children, Down) is unbounded, because each of its
messages stands for an event that happens a bounded number of times, and is
drained first, so that nothing a user sends can delay it.

The law, true after every call here:

    accepted == handled + dead_lettered + pending
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, final

from ._parking import Parkable, Parker

M = TypeVar("M")

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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxOptions:
    """How much a mailbox holds and what happens beyond.

    Attributes:
        capacity: Messages that may wait, at least 1.
        overflow: What a full mailbox does with a ``tell``; ``send`` waits.
        key: For `Overflow.CONFLATE`: messages with equal keys replace each other.
        weigh: Weight of one message, for example its bytes; with *max_weight*.
        max_weight: Sum of weights that may wait.  A message heavier than this
            is accepted only by an empty mailbox.
    """

    capacity: int = 1024
    overflow: Overflow = Overflow.REJECT
    key: Callable[[object], Hashable] | None = None
    weigh: Callable[[object], int] | None = None
    max_weight: int | None = None

    def __post_init__(self) -> None:
        capacity: object = self.capacity
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            raise ValueError(f"capacity must be an int of at least 1, got {capacity!r}")
        overflow: object = self.overflow
        if not isinstance(overflow, Overflow):
            raise ValueError(f"overflow must be an Overflow, got {overflow!r}")
        if (self.overflow is Overflow.CONFLATE) != (self.key is not None):
            raise ValueError("key must be given with Overflow.CONFLATE, and only then")
        if (self.weigh is None) != (self.max_weight is None):
            raise ValueError("weigh and max_weight must be given together")
        if self.max_weight is not None and self.max_weight < 1:
            raise ValueError(f"max_weight must be at least 1, got {self.max_weight!r}")


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


class Envelope:
    """A message with something attached; the functions of the options see the
    message."""

    __slots__ = ("message",)

    message: object


@final
class _Nothing:
    __slots__ = ()


NOTHING = _Nothing()
"""Stands in `Mailbox.current` for: no message is in flight."""


@final
class Sender:
    """A sender that waits for room, with its message."""

    __slots__ = ("admitted", "deadline", "done", "message", "parked", "unpark")

    def __init__(self, message: object, unpark: Callable[[Parkable], None]) -> None:
        self.message = message
        self.unpark = unpark
        self.parked: object | None = None
        self.admitted = False
        self.done = False
        # Seconds on the runtime's clock; see Deadlines.
        self.deadline = 0.0

    def expire(self) -> None:
        """Stop waiting: the deadline has come, or the mailbox was closed."""
        self.done = True
        if self.parked is not None:
            self.unpark(self)


def _content(message: object) -> object:
    return message.message if isinstance(message, Envelope) else message


@final
class Mailbox(Generic[M]):
    """Two lanes for one reader.

    Its users are the cell (for an actor) and a connection's writer; user code
    sees a ref.
    """

    __slots__ = (
        "_heavy",
        "_limit",
        "_owner",
        "_parker",
        "_senders",
        "accepted",
        "closed",
        "current",
        "dead_lettered",
        "handled",
        "held",
        "level",
        "options",
        "parked",
        "promised",
        "queue",
        "refused",
        "system",
        "weight",
    )

    def __init__(
        self, options: MailboxOptions, owner: MailboxOwner, parker: Parker
    ) -> None:
        self.options = options
        self._owner = owner
        self._parker = parker
        self.queue: deque[M] = deque()
        # Made when first needed: most mailboxes never see a system message
        # before their last one, and a deque weighs as much as a task.
        self.system: deque[object] | None = None
        self._senders: deque[Sender] | None = None
        # The message in flight, so that a crash can say what it was.
        self.current: object = NOTHING
        # Taken from the queue and to be decided later: stashed, or served by a
        # task of its own.
        self.held = 0
        # Room given away and not filled yet; see promise().
        self.promised = 0
        self.accepted = 0
        self.handled = 0
        self.dead_lettered = 0
        self.refused = 0
        self.weight = 0
        self.level = 0
        self.closed = False
        # The reader, when it sleeps.
        self.parked: object | None = None
        # The length at which put() must think: the next watermark, or the
        # capacity; 0 when every message must be weighed, or none is taken.
        self._limit = 0
        # Likewise for the sum of weights.
        self._heavy: float = 0
        self._set_limit()

    # -- putting -----------------------------------------------------------

    def put(self, message: M) -> bool:
        """Put *message* in the user lane, or do what the policy says.

        Returns:
            False if it was refused; then it was not accepted.
        """
        if len(self.queue) >= self._limit:
            return self._put_at_limit(message)
        self.queue.append(message)
        self.accepted += 1
        if self.parked is not None:
            self._parker.unpark(self)
        return True

    def put_system(self, message: object) -> None:
        """Put *message* in the system lane; always accepted."""
        if self.system is None:
            self.system = deque()
        self.system.append(message)
        if self.parked is not None:
            self._parker.unpark(self)

    def wait_for_room(self, message: M) -> Sender | None:
        """Put *message* if there is room, else queue up for it.

        Returns:
                None if it was put.  Else the place in the line: go on with
            `wait_in_line`, or leave with `give_up`.
        """
        if len(self.queue) < self._limit:
            # Below its limit nobody can be in line.
            self.queue.append(message)
            self.accepted += 1
            if self.parked is not None:
                self._parker.unpark(self)
            return None
        weight = self._weigh(message)
        if not self._senders and self._fits(weight):
            self._append(message, weight)
            return None
        sender = Sender(message, self._parker.unpark)
        if self.closed:
            self.refused += 1
            sender.done = True
            return sender
        if self._senders is None:
            self._senders = deque()
        self._senders.append(sender)
        return sender

    async def wait_in_line(self, sender: Sender) -> bool:
        """Wait until the message of *sender* was put.

        Returns:
            False if it was not: the mailbox was closed, or *sender* expired.
        """
        try:
            while not sender.done:
                await self._parker.park(sender)
        finally:
            sender.done = True
            self.give_up(sender)
        return sender.admitted

    def give_up(self, sender: Sender) -> None:
        """Leave the line, if still in it."""
        if not sender.admitted and self._senders:
            try:
                self._senders.remove(sender)
            except ValueError:
                return  # closed meanwhile
            # It may have been the one too heavy for the room that there is.
            self._admit()

    def promise(self, message: M) -> bool:
        """Set room for *message* aside, to be filled by `keep_promise`.

        Counts as accepted from now on.  This is how a message can have its
        room now and its place in the order later.
        """
        if self._senders or not self.has_room(message):
            return False
        self.promised += 1
        self.accepted += 1
        self.weight += self._weigh(message)
        return True

    def keep_promise(self, message: M) -> None:
        """Put *message* into the room that was set aside for it."""
        self.promised -= 1
        if self.closed:
            self.weight -= self._weigh(message)
            self.dead_lettered += 1
            self._owner.dropped(message, Overflow.STOP)
            return
        self.queue.append(message)
        if self.parked is not None:
            self._parker.unpark(self)

    def has_room(self, message: M) -> bool:
        """Whether *message* would be accepted without policy having a say."""
        return self._fits(self._weigh(message))

    def _fits(self, weight: int) -> bool:
        if self.closed:
            return False
        waiting = len(self.queue) + self.promised
        if waiting >= self.options.capacity:
            return False
        max_weight = self.options.max_weight
        return max_weight is None or waiting == 0 or self.weight + weight <= max_weight

    def _weigh(self, message: object) -> int:
        weigh = self.options.weigh
        return 0 if weigh is None else weigh(_content(message))

    def _append(self, message: M, weight: int) -> None:
        self.queue.append(message)
        self.accepted += 1
        self.weight += weight
        if self.parked is not None:
            self._parker.unpark(self)
        if len(self.queue) > self._limit or self.weight > self._heavy:
            self._rise()

    def _put_at_limit(self, message: M) -> bool:
        if self.closed:
            self.refused += 1
            return False
        weight = self._weigh(message)
        if not self._senders and self._fits(weight):
            self._append(message, weight)
            return True
        overflow = self.options.overflow
        if overflow is Overflow.REJECT or overflow is Overflow.BLOCK:
            self.refused += 1
            return False
        if overflow is Overflow.DROP_NEW or overflow is Overflow.STOP:
            self.accepted += 1
            self._drop(message, overflow)
            if overflow is Overflow.STOP:
                self._owner.overflowed()
            return True
        # Drop from the front until it fits: by weight that may take several.
        while self.queue and not self._fits(weight):
            self._drop_oldest(message, overflow)
        if self._fits(weight):
            self._append(message, weight)
        else:
            # All the room is promised to others.
            self.accepted += 1
            self._drop(message, overflow)
        return True

    def _drop_oldest(self, message: M, overflow: Overflow) -> None:
        index = 0
        if overflow is Overflow.CONFLATE:
            key = self.options.key
            assert key is not None
            wanted = key(_content(message))
            same = (i for i, m in enumerate(self.queue) if key(_content(m)) == wanted)
            index = next(same, 0)
        old = self.queue[index]
        del self.queue[index]
        self.weight -= self._weigh(old)
        self._drop(old, overflow)

    def _drop(self, message: object, overflow: Overflow) -> None:
        self.dead_lettered += 1
        self._owner.dropped(message, overflow)

    # -- taking ------------------------------------------------------------

    def take(self) -> M:
        """Take the oldest message; it is in flight until `done`."""
        message = self.queue.popleft()
        self.current = message
        if self.options.weigh is not None:
            self.weight -= self._weigh(message)
        if self._senders:
            self._admit()
        if self.level:
            self._fall()
        return message

    def done(self) -> None:
        """The message in flight was handled."""
        self.current = NOTHING
        self.handled += 1

    def lose(self) -> object:
        """The message in flight was not handled to its end; return it."""
        message = self.current
        self.current = NOTHING
        self.dead_lettered += 1
        return message

    def _admit(self) -> None:
        # First come, first served: a light message does not overtake a heavy one.
        senders = self._senders
        while senders and self.has_room(senders[0].message):  # type: ignore[arg-type]  # a sender holds what put() takes
            sender = senders.popleft()
            sender.admitted = sender.done = True
            self._append(sender.message, self._weigh(sender.message))  # type: ignore[arg-type]  # likewise
            if sender.parked is not None:
                self._parker.unpark(sender)

    # -- levels ------------------------------------------------------------

    def _set_limit(self) -> None:
        options = self.options
        next_mark = WATERMARKS[self.level] if self.level < len(WATERMARKS) else 1.0
        if options.max_weight is None:
            # At the mark itself nothing happens yet, one beyond it does.
            self._limit = max(1, int(options.capacity * next_mark))
            self._heavy = math.inf
        else:
            self._limit = 0
            self._heavy = 0
        if self.closed:
            self._limit = 0

    def _fullness(self) -> float:
        fullness = (len(self.queue) + self.promised) / self.options.capacity
        if self.options.max_weight is not None:
            fullness = max(fullness, self.weight / self.options.max_weight)
        return fullness

    def _rise(self) -> None:
        fullness = self._fullness()
        level = self.level
        while level < len(WATERMARKS) and fullness > WATERMARKS[level]:
            level += 1
        if level > self.level:
            self.level = level
            self._set_limit()
            self._owner.level_changed(level)

    def _fall(self) -> None:
        # Back only at half of what raised it: at the mark itself each message
        # put and taken would be an event.
        if self._fullness() <= WATERMARKS[self.level - 1] / 2:
            self.level -= 1
            self._set_limit()
            self._owner.level_changed(self.level)

    # -- ending ------------------------------------------------------------

    def close(self) -> None:
        """Accept nothing more; who waits for room is refused."""
        self.closed = True
        self._limit = 0
        senders, self._senders = self._senders, None
        for sender in senders or ():
            sender.expire()

    def drain(self) -> list[M]:
        """Take all that waits, as dead letters."""
        leftovers = list(self.queue)
        self.queue.clear()
        self.dead_lettered += len(leftovers)
        if self.options.weigh is not None:
            self.weight -= sum(self._weigh(message) for message in leftovers)
        return leftovers

    @property
    def pending(self) -> int:
        """Accepted and neither handled nor dead-lettered: in flight included."""
        in_flight = self.current is not NOTHING
        return len(self.queue) + self.promised + self.held + in_flight

    def statistics(self) -> MailboxStatistics:
        """A frozen snapshot."""
        return MailboxStatistics(
            accepted=self.accepted,
            handled=self.handled,
            dead_lettered=self.dead_lettered,
            pending=self.pending,
            refused=self.refused,
            capacity=self.options.capacity,
            weight=self.weight,
            level=self.level,
        )
