"""What becomes of a message that will not be handled.

The law: whoever waits for an answer is told, with an error that says why; and
the message is a dead letter, so that nothing is lost in silence.
"""

from __future__ import annotations

from typing import Any, Protocol

from ._ask import Ask, Timed
from ._dead_letters import DeadLetter, Undelivered
from ._errors import ActorCrashed, ActorNotAlive
from ._exit import ExitReason, error_of
from ._mailbox import Envelope, Mailbox
from ._runtime import Runtime


class Addressee(Protocol):
    """Whom the messages were for."""

    @property
    def path(self) -> str:
        """Where it stands in the tree."""
        ...

    @property
    def mailbox(self) -> Mailbox[Any]:
        """Its mailbox."""
        ...

    @property
    def runtime(self) -> Runtime:
        """Where its dead letters go."""
        ...


def bury(
    addressee: Addressee,
    message: object,
    why: Undelivered,
    reason: ExitReason | None = None,
    *,
    answer: BaseException | None = None,
) -> None:
    """Let it be known that *message* will not be handled.

    Args:
        addressee: Whom it was for.
        message: The message, as it was in the mailbox.
        why: In a word.
        reason: How the actor ended, if that is what is behind it.
        answer: What the ask raises; by default what follows from *reason*.
    """
    sender: str | None = None
    error = None if reason is None else error_of(reason)
    if isinstance(message, Ask):
        sender = message.asker
        if message.done:
            why, error = Undelivered.EXPIRED, None
        else:
            message.fail(answer or asks_fail_with(addressee.path, reason))
    elif isinstance(message, Timed):
        message.settled = True
    if isinstance(message, Envelope):
        message = message.message
    addressee.runtime.dead_letters.publish(
        DeadLetter(message, addressee.path, why, sender, error)
    )


def asks_fail_with(
    path: str, reason: ExitReason | None
) -> ActorCrashed | ActorNotAlive:
    """What an ask raises that the end of its actor leaves without an answer."""
    error = None if reason is None else error_of(reason)
    if error is None:
        return ActorNotAlive(path, reason)
    return ActorCrashed(path, error)


def refuse_inspections(addressee: Addressee, reason: ExitReason) -> None:
    """Tell those who wanted to look at the actor that it is gone."""
    for message in addressee.mailbox.system or ():
        if isinstance(message, Ask):
            message.fail(asks_fail_with(addressee.path, reason))


def drain(addressee: Addressee, why: Undelivered, reason: ExitReason | None) -> None:
    """Bury all that waits in the mailbox."""
    for message in addressee.mailbox.drain():
        bury(addressee, message, why, reason)


def close(addressee: Addressee, reason: ExitReason) -> None:
    """Accept nothing more, and bury all that waits."""
    mailbox = addressee.mailbox
    if not mailbox.closed:
        mailbox.close()
    drain(addressee, Undelivered.STOPPED, reason)
