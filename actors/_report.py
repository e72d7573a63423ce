"""CrashReport: what is written down of a crash, once.

What an actor keeps and what it is told may be secrets, so a report holds the
types alone, unless the actor's own `Actor.describe` says more.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any, final

from ._actor import Actor
from ._ask import Ask
from ._exit import ExitReason, error_of
from ._mailbox import Envelope

# Of what an actor says of itself: a report is for reading.
_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 200
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 20


@final
@dataclass(frozen=True, slots=True)
class CrashReport:
    """How an incarnation of an actor failed.

    Attributes:
        path: Which actor.
        incarnation: Which of its incarnations, from 1.
        reason: How it ended.
        actor: The name of its class; None if it could not even be made.
        state: What `Actor.describe` said of it.
        message: The name of the type of the message that it failed over; None if
            it was none.
        asker: Path of the actor that asked that, where it is known.
    """

    path: str
    incarnation: int
    reason: ExitReason
    actor: str | None = None
    state: object = None
    message: str | None = None
    asker: str | None = None

    def __str__(self) -> str:
        """All of it but the traceback, in one line."""
        parts = [f"{self.path} failed: {self.reason}"]
        if self.actor is not None:
            parts.append(f"{self.actor}, incarnation {self.incarnation}")
        if self.message is not None:
            asker = "" if self.asker is None else f" asked by {self.asker}"
            parts.append(f"over a {self.message}{asker}")
        if self.state is not None:
            parts.append(f"state: {_SHORT.repr(self.state)}")
        return "; ".join(parts)


def report_crash(
    path: str,
    incarnation: int,
    reason: ExitReason,
    actor: Actor[Any] | None,
    message: object,
) -> CrashReport | None:
    """Describe a failed incarnation, before its actor is let go.

    Args:
        path: Which actor.
        incarnation: Which of its incarnations.
        reason: How it ended.
        actor: The actor; None if it could not even be made.
        message: What it failed over, as it was in the mailbox; None if nothing.

    Returns:
        None if there is no error behind *reason*.
    """
    if error_of(reason) is None:
        return None
    state: object = None
    if actor is not None:
        try:
            state = actor.describe()
        except Exception as error:
            # It has failed already; this must not hide how.
            state = f"describe() raised {type(error).__name__}"
    return CrashReport(
        path,
        incarnation,
        reason,
        None if actor is None else type(actor).__name__,
        state,
        _type_of(message),
        message.asker if isinstance(message, Ask) else None,
    )


def _type_of(message: object) -> str | None:
    if isinstance(message, Envelope):
        message = message.message
    return None if message is None else type(message).__name__
