"""Mailbox: the library's only queue.

Bounded always, with two lanes.  The *user lane* obeys capacity and policy.  The
*system lane* (stop, exits of children, Down) is unbounded, because each of its
messages stands for an event that happens a bounded number of times, and is
drained first, so that nothing a user sends can delay it.

The law, true after every call here:

    accepted == handled + dead_lettered + pending
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast, final

from ._batch import Batch
from ._capacity import MailboxOptions, MailboxOwner, MailboxStatistics, Overflow
from ._line import Line
from ._pace import Pace
from ._parking import Parker
from ._room import NO_QUEUE

M = TypeVar("M")


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


def _content(message: object) -> object:
    return message.message if isinstance(message, Envelope) else message


# One for all mailboxes of the same options: one each would weigh as much as the rest
# of an idle mailbox.
@lru_cache(maxsize=64)
def _of_content(
    function: Callable[[object], int] | None,
) -> Callable[[object], int] | None:
    return None if function is None else lambda message: function(_content(message))


class Mailbox(Line[M]):
    """Two lanes for one reader.

    Its users are the cell (for an actor) and a connection's writer; user code
    sees a ref.

    Args:
        options: How much it holds, and what happens beyond.
        owner: Who is told what it did on its own.
        parker: How its reader and its senders sleep.
        enveloped: Whether asks may be among the messages.
        wake: Called with the mailbox, when something comes while the reader
            sleeps; by default the reader is woken.
    """

    # Of the bases, which this changes.
    accepted: int
    aside: int
    closed: bool
    pace: Pace | None
    refused: int
    weight: int

    __slots__ = (
        "current",
        "dead_lettered",
        "handled",
        "inline",
        "suspended",
        "system",
    )

    def __init__(
        self,
        options: MailboxOptions,
        owner: MailboxOwner,
        parker: Parker,
        *,
        enveloped: bool = True,
        wake: Callable[[Any], None] | None = None,
    ) -> None:
        weigh = _of_content(options.weigh) if enveloped else options.weigh
        super().__init__(options, owner, parker, weigh, wake)
        # Made when first needed: most mailboxes never see a system message
        # before their last one, and a deque weighs as much as a task.
        self.system: deque[object] | None = None
        # Handles a message in place of the reader; see _inline.
        self.inline: Callable[[Any], None] | None = None
        # Whether its reader takes only what is in the system lane.
        self.suspended: bool = False
        # The message in flight, so that a crash can say what it was.
        self.current: M | _Nothing = NOTHING
        self.handled: int = 0
        self.dead_lettered: int = 0

    # -- putting -----------------------------------------------------------

    def put(self, message: M) -> bool:
        """Put *message* in the user lane, or do what the policy says.

        Returns:
            False if it was refused; then it was not accepted.
        """
        if self.weights is None:
            queue = self.queue
            if len(queue) >= self.limit:
                return self._put_at_limit(message, 0)
            if queue is NO_QUEUE:
                queue = self._unrest()
        else:
            weight = self._weight_of(message)
            # Only now: that is a function of the user's, and may have put some here.
            queue = self.queue
            if len(queue) >= self.limit or self.weight + weight > self._heavy:
                return self._put_at_limit(message, weight)
            if queue is NO_QUEUE:
                queue = self._unrest()
            self.weight += weight
            self.weights.append(weight)
        queue.append(message)
        self.accepted += 1
        if self.parked is not None:
            self._wake(self)
        return True

    def put_through(self, batch: Batch) -> int:
        """Put the messages of *batch*, or the first of them, at once.

        Returns:
            How many were dealt with so; the others are to be put one by one.  Here
            all of them or none: all where nothing but the count changes.
        """
        messages = cast("tuple[M, ...]", batch)
        weights: Sequence[int] = ()
        weight, number = 0, len(messages)
        if self._weigh is not None:
            weights, weight = batch.weights(self._weigh)
        # Only now; see above.
        queue = self.queue
        if len(queue) + number > self.limit or self.weight + weight > self._heavy:
            return 0
        if queue is NO_QUEUE:
            queue = self._unrest()
        if self.weights is not None:
            self.weight += weight
            self.weights.extend(weights)
        queue.extend(messages)
        self.accepted += number
        if self.parked is not None:
            self._wake(self)
        return number

    def _put_at_limit(self, message: M, weight: int) -> bool:
        if self.closed:
            self.refused += 1
            return False
        if not self._senders and self._fits(weight):
            self._accept(message, weight)
            return True
        options = self.options
        overflow = options.overflow
        if options.overflow_of is not None:
            overflow = options.overflow_of(_content(message)) or overflow
        if overflow is Overflow.REJECT or overflow is Overflow.BLOCK:
            self.refused += 1
            return False
        if overflow is Overflow.DROP_NEW or overflow is Overflow.STOP:
            self.accepted += 1
            self._drop(message, overflow)
            if overflow is Overflow.STOP:
                self._owner.overflowed()
            return True
        conflate = overflow is Overflow.CONFLATE
        # Drop from the front until it fits: by weight that may take several.
        while self.queue and not self._fits(weight):
            oldest = self._oldest(message) if conflate else 0
            self._drop(self._remove(oldest), overflow)
        if self._fits(weight) and not self.closed:
            self._accept(message, weight)
        else:
            # All the room is promised to others; or who heard of the drops has
            # put an end to it all.
            self.accepted += 1
            self._drop(message, overflow)
        # By weight, more room may have come of it than this message takes.
        if self._senders:
            self._admit()
        self._fall()
        return True

    def _oldest(self, message: M) -> int:
        """Where the message stands that is dropped in favour of this one."""
        key = self.options.key
        if key is None:
            return 0
        wanted = key(_content(message))
        same = (i for i, old in enumerate(self.queue) if key(_content(old)) == wanted)
        return next(same, 0)

    def _drop(self, message: object, overflow: Overflow) -> None:
        self.dead_lettered += 1
        self._owner.dropped(message, overflow)

    def put_system(self, message: object, *, first: bool = False) -> None:
        """Put *message* in the system lane; always accepted.

        Args:
            message: The message.
            first: Whether it goes before the others that wait there.
        """
        if self.system is None:
            self.system = deque()
        if first:
            self.system.appendleft(message)
        else:
            self.system.append(message)
        if self.parked is not None:
            self._wake(self)

    def promise(self, message: M) -> bool:
        """Set room for *message* aside, to be filled by `keep_promise`.

        Counts as accepted from now on.  This is how a message can have its
        room now and its place in the order later.
        """
        weight = self._weight_of(message)
        if self._barred or not self._fits(weight):
            return False
        self.accepted += 1
        self._promise(weight)
        return True

    def keep_promise(self, message: M) -> None:
        """Put *message* into the room that was set aside for it."""
        weight = self._weight_of(message)
        if self.closed:
            self._break(weight)
            self._drop(message, Overflow.STOP)
            return
        self._fill(message, weight)
        if self.parked is not None:
            self._wake(self)

    # -- taking ------------------------------------------------------------

    def take(self) -> M:
        """Take the oldest message; it is in flight until `done`."""
        self.current = message = self.queue.popleft()
        if len(self.queue) < self.low:
            self.taken()
        return message

    def taken(self) -> None:
        """Let in who waits for the room of the message just taken, and so on.

        For a reader that does without the call of `take`.
        """
        if self.weights is not None:
            self._taken_weight = weight = self.weights.popleft()
            self.weight -= weight
        if self._senders:
            self._admit()
        if self.level:
            self._fall()

    def done(self) -> None:
        """The message in flight was handled, unless it was put aside."""
        if self.current is not NOTHING:
            self.current = NOTHING
            self.handled += 1

    def lose(self) -> object:
        """The message in flight was not handled to its end; return it."""
        message = self.current
        self.current = NOTHING
        self.dead_lettered += 1
        return message

    def put_aside(self) -> M:
        """The message in flight is not done when its handler is; return it.

        It counts as pending until `aside_done` or `aside_lost`, or stashed, until
        it is taken again.
        """
        message = self.current
        assert not isinstance(message, _Nothing)
        self.current = NOTHING
        self.aside += 1
        return message

    def unstash(self) -> int:
        """Put all that was stashed before all that waits; see `Room`."""
        number = super().unstash()
        if number and self.parked is not None:
            self._wake(self)
        return number

    def put_back(self) -> None:
        """The message in flight goes back to the front, to be taken again."""
        self.stash(self.put_aside())
        self.unstash()

    def aside_done(self) -> None:
        """A message that was put aside is handled."""
        self.aside -= 1
        self.handled += 1

    def aside_lost(self) -> None:
        """A message that was put aside will not be handled."""
        self.aside -= 1
        self.dead_lettered += 1

    def mark(self, now: float) -> None:
        """The reader could not empty the mailbox in one turn; see `lag`."""
        if self.pace is None:
            self.pace = Pace()
        self.pace.mark(self.handled + self.dead_lettered, self.accepted, now)

    def lag(self, now: float) -> float:
        """For how many seconds the oldest message has waited, about; 0 if none.

        Args:
            now: On the clock of `turn_at`.
        """
        if not self.queue:
            return 0.0
        # It came while the one in flight was handled, unless there is a backlog.
        lag = max(0.0, now - self.turn_at)
        if self.pace is not None:
            lag = max(lag, self.pace.lag(self.handled + self.dead_lettered, now))
        return lag

    # -- ending ------------------------------------------------------------

    def close(self) -> None:
        """Accept nothing more; who waits for room is refused."""
        self.closed = True
        self._bar(True)
        senders, self._senders = self._senders, None
        for sender in senders or ():
            sender.expire()

    def reopen(self) -> None:
        """Accept messages again, if closed: there is a new reader."""
        if self.closed:
            self.closed = False
            self._bar(False)

    def drain(self) -> list[M]:
        """Take all that waits, as dead letters; who waits for room has it now."""
        leftovers = self._clear()
        self.dead_lettered += len(leftovers)
        if self._senders:
            self._admit()
        if self.level:
            self._fall()
        return leftovers

    @property
    def pending(self) -> int:
        """Accepted and neither handled nor dead-lettered: in flight included."""
        in_flight = self.current is not NOTHING
        return len(self.queue) + self.promised + self.aside + in_flight

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
