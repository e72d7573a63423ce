"""Line: senders that wait until a full mailbox has room for them.

First come, first served: as long as somebody is in line, nobody gets in but
through it, and a light message does not overtake a heavy one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, final

from ._capacity import MailboxOptions, MailboxOwner
from ._parking import Parkable, Parker
from ._room import NO_QUEUE, Room

M = TypeVar("M")


@final
class Sender:
    """A sender that waits for room, with its message."""

    __slots__ = (
        "admitted",
        "deadline",
        "done",
        "message",
        "parked",
        "unpark",
        "weight",
    )

    def __init__(
        self, message: Any, weight: int, unpark: Callable[[Parkable], None]
    ) -> None:
        self.message: Any = message
        self.weight: int = weight
        self.unpark: Callable[[Parkable], None] = unpark
        self.parked: Any = None
        self.admitted: bool = False
        self.done: bool = False
        # Seconds on the runtime's clock; see Deadlines.
        self.deadline: float = math.inf

    def expire(self) -> None:
        """Stop waiting: the deadline has come, or the mailbox was closed."""
        self.done = True
        if self.parked is not None:
            self.unpark(self)


class Line(Room[M]):
    """A bounded queue, with those that wait to get in.

    Args:
        options: How much it holds.
        owner: Who is told of its watermarks.
        parker: How its reader and its senders sleep.
        weigh: Weight of one message, if messages have one.
        wake: Called with this, when something comes while the reader sleeps; by
            default it is woken.
    """

    __slots__ = (
        "_park",
        "_senders",
        "_unpark",
        "_wake",
        "accepted",
        "closed",
        "parked",
        "refused",
    )

    def __init__(
        self,
        options: MailboxOptions,
        owner: MailboxOwner,
        parker: Parker,
        weigh: Callable[[object], int] | None,
        wake: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(options, owner, weigh)
        # Looked up once: these are called for every message.
        self._park = parker.park
        self._unpark = parker.unpark
        self._wake = wake or parker.unpark
        self._senders: deque[Sender] | None = None
        self.accepted: int = 0
        self.refused: int = 0
        self.closed: bool = False
        # The reader, when it sleeps.
        self.parked: Any = None

    def has_room(self, message: M) -> bool:
        """Whether *message* would be accepted without policy having a say."""
        return not self._barred and self._fits(self._weight_of(message))

    @property
    def in_line(self) -> int:
        """How many senders wait for room."""
        return len(self._senders or ())

    def wait_for_room(self, message: M) -> Sender | None:
        """Put *message* if there is room, else queue up for it.

        Returns:
            None if it was put.  Else the place in the line: go on with
            `wait_in_line`, or leave with `give_up`.
        """
        queue = self.queue
        if self.weights is None and len(queue) < self.limit:
            if queue is NO_QUEUE:
                queue = self._unrest()
            queue.append(message)
            self.accepted += 1
            if self.parked is not None:
                self._wake(self)
            return None
        weight = self._weight_of(message)
        if not self._barred and self._fits(weight):
            self._accept(message, weight)
            return None
        sender = Sender(message, weight, self._unpark)
        if self.closed:
            sender.done = True
            return sender
        if self._senders is None:
            self._senders = deque()
        self._senders.append(sender)
        # From now on nobody gets in but through the line.
        self._bar(True)
        return sender

    async def wait_in_line(self, sender: Sender) -> bool:
        """Wait until the message of *sender* was put.

        Cancelled natively in the tick in which it was put, it stays so.

        Returns:
            False if it was not: the mailbox was closed, or *sender* expired.
        """
        try:
            while not sender.done:
                await self._park(sender)
        finally:
            sender.done = True
            self.give_up(sender)
        if not sender.admitted:
            self.refused += 1
        return sender.admitted

    def give_up(self, sender: Sender) -> None:
        """Leave the line, if still in it."""
        if not sender.admitted and self._senders and sender in self._senders:
            self._senders.remove(sender)
            # It may have been the one too heavy for the room that there is.
            self._admit()

    def _admit(self) -> None:
        """Let in who is in line, as far as there is room."""
        senders = self._senders
        # First come, first served: a light message does not overtake a heavy one.
        while senders and not self.closed and self._fits(senders[0].weight):
            sender = senders.popleft()
            sender.admitted = sender.done = True
            self._accept(sender.message, sender.weight)
            if sender.parked is not None:
                self._unpark(sender)
        if not senders:
            self._bar(self.closed)

    def _accept(self, message: M, weight: int) -> None:
        self.accepted += 1
        self._append(message, weight)
        if self.parked is not None:
            self._wake(self)
