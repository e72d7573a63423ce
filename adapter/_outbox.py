"""Outbox: a mailbox past which a message may go straight to the wire.

A client that reads is given almost every message in the midst of whoever sends it.
For those the queue would be made, filled, emptied and dropped again; here they are
counted, and that is all.  What cannot be taken at once waits as in any mailbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, final

from ..actors import Batch, Mailbox, MailboxOwner, Sender

M = TypeVar("M")
T = TypeVar("T")
C = TypeVar("C", contravariant=True)

AT_REST = object()
"""Is `parked` where nothing waits, and no task sleeps that would have to be woken."""


class Reader(MailboxOwner, Protocol[C]):
    """Who empties an outbox."""

    def write_through(self, message: C) -> bool:
        """Take *message* at once, ahead of nothing; False if that cannot be.

        What was taken counts as accepted, and as handled or in flight.
        """
        ...

    def write_all_through(self, batch: Batch) -> int:
        """Take messages of *batch* like that, as many as can be; return how many."""
        ...


@final
class Outbox(Mailbox[M]):
    """The mailbox of a `Reader`, which is its owner."""

    __slots__ = ()

    _owner: Reader[M]  # pyright: ignore[reportIncompatibleVariableOverride]  # set once, by who makes it

    def put(self, message: M) -> bool:
        """See `Mailbox.put`."""
        passed = self._past(self._owner.write_through, message)
        return bool(passed) or super().put(message)

    def wait_for_room(self, message: M) -> Sender | None:
        """See `Mailbox.wait_for_room`."""
        passed = self._past(self._owner.write_through, message)
        return None if passed else super().wait_for_room(message)

    def put_through(self, batch: Batch) -> int:
        """See `Mailbox.put_through`."""
        taken = self._past(self._owner.write_all_through, batch)
        return taken or super().put_through(batch)

    def _past(self, write: Callable[[T], int], what: T) -> int:
        """Have *what* written, if nothing is before it; return how many were."""
        # Room that was promised is for what comes before this.
        if self.parked is not AT_REST or self._barred or self.promised:
            return 0
        return write(what)
