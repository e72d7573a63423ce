"""What can go wrong between actors.

    ActorError
    ├── MailboxFull       there is no room; the message is in the error
    ├── ActorNotAlive     it has ended, or is ending; the message is in the error
    ├── ActorCrashed      it crashed over this ask, or before reaching it
    ├── AskTimeout        no reply by the deadline (also a TimeoutError)
    ├── SendTimeout       no room by the deadline (also a TimeoutError)
    ├── AskCycle          waiting would never end: the path is in the error
    ├── StartError        an actor did not start; the cause is in the error
    ├── NameTaken         somebody else holds this name; the holder is in the error
    ├── NotOwner          only who holds this name may do that
    └── UnknownName       nobody holds this name; the message is in the error

`Decline` is no error: an actor raises it in `started` to say that it is not
needed.
"""

from __future__ import annotations

from collections.abc import Sequence


class ActorError(Exception):
    """Base of everything that this library raises about actors."""


class MailboxFull(ActorError):
    """The mailbox has no room and its policy is to refuse.

    Attributes:
        path: Whose mailbox.
        capacity: How many messages it holds.
        message: What was not accepted, so that the caller can do something else
            with it.
    """

    def __init__(self, path: str, capacity: int, message: object) -> None:
        super().__init__(f"mailbox of {path} is full ({capacity} messages)")
        self.path = path
        self.capacity = capacity
        self.message = message


class ActorNotAlive(ActorError):
    """The actor has ended, or is stopping and takes no more.

    Attributes:
        path: Which actor.
        reason: How it ended, as far as it is known by now.
        message: What was not accepted.
    """

    def __init__(self, path: str, reason: object, message: object = None) -> None:
        super().__init__(f"{path} is not alive: {reason}")
        self.path = path
        self.reason = reason
        self.message = message


class ActorCrashed(ActorError):
    """The actor crashed before it could reply.

    The crash itself is ``__cause__``.

    Attributes:
        path: Which actor.
    """

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} crashed: {cause!r}")
        self.path = path
        self.__cause__: BaseException | None = cause


class AskTimeout(ActorError, TimeoutError):
    """No reply came by the deadline.

    The message was skipped if the actor had not begun with it; if it had, its
    reply is dropped.
    """

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(f"no reply from {path} within {seconds:g} s")
        self.path = path
        self.seconds = seconds


class StashFull(ActorError):
    """As many messages are stashed as the mailbox may hold.

    Attributes:
        path: Whose stash.
        capacity: How many messages it holds.
    """

    def __init__(self, path: str, capacity: int) -> None:
        super().__init__(f"stash of {path} is full ({capacity} messages)")
        self.path = path
        self.capacity = capacity


class SendTimeout(ActorError, TimeoutError):
    """No room came free by the deadline; the message was not accepted."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(f"no room in the mailbox of {path} within {seconds:g} s")
        self.path = path
        self.seconds = seconds


class AskCycle(ActorError):
    """Each actor on the path waits for the next, and the last for the first.

    Attributes:
        cycle: The paths, beginning and ending with the one that asked.
    """

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__("waiting would never end: " + " -> ".join(cycle))
        self.cycle: tuple[str, ...] = tuple(cycle)


class StartError(ActorError):
    """An actor did not start.

    Its exception, or `TimeoutError` when ``started`` took too long, is
    ``__cause__``.
    """

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} did not start: {cause!r}")
        self.path = path
        self.__cause__: BaseException | None = cause


class NameTaken(ActorError):
    """Another live actor holds this name.

    Attributes:
        name: The name.
        holder: The ref of the actor that holds it.
    """

    def __init__(self, name: object, holder: object) -> None:
        super().__init__(f"{name!r} is held by {holder}")
        self.name = name
        self.holder = holder


class NotOwner(ActorError):
    """Only the actor that holds this name may do that.

    Attributes:
        name: The name.
        holder: The ref of the actor that holds it; None if nobody does.
    """

    def __init__(self, name: object, holder: object) -> None:
        by = "nobody" if holder is None else str(holder)
        super().__init__(f"{name!r} is for its holder to change: {by}")
        self.name = name
        self.holder = holder


class UnknownName(ActorError):
    """Nobody holds this name.

    Attributes:
        name: The name.
        message: What was not accepted.
    """

    def __init__(self, name: object, message: object = None) -> None:
        super().__init__(f"nobody holds the name {name!r}")
        self.name = name
        self.message = message


class Decline(Exception):
    """Raise it in `Actor.started` to say: this actor is not needed.

    The one who started it is told so and no error is reported; OTP's ``ignore``.
    """
