"""How an actor ended, and the news of it.

A supervisor judges an ending by one question only: was it abnormal?  Unlike in
OTP, a supervisor that gave up, or a child that could not start, counts as
abnormal, so that a dead subtree is never taken for one that has finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeGuard


@dataclass(frozen=True, slots=True)
class Normal:
    """The actor had nothing more to do."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The actor was asked to end.

    Attributes:
        info: Whatever the one who asked wants to be read, for example why.
    """

    info: object = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The actor raised `Decline` while it started."""


@dataclass(frozen=True, slots=True)
class Killed:
    """The actor was cancelled: by ``kill``, at its deadline, or from outside."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """An exception left the actor's code.

    Attributes:
        error: That exception; of a group with one leaf, the leaf.
    """

    error: BaseException


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The actor's factory or its ``started`` raised, or took too long."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A supervisor's children failed more often, or worse, than it deals with.

    Attributes:
        child: Path of the child whose failure was one too many.
        error: The failure itself.
    """

    child: str
    error: BaseException | None


ExitReason: TypeAlias = (
    Normal | Shutdown | Declined | Killed | Crashed | StartFailed | GaveUp
)


# Tuples, because a union written in the call is made at each call.
_NORMAL = (Normal, Shutdown, Declined)
_WITH_ERROR = (Crashed, StartFailed, GaveUp)


def is_abnormal(reason: ExitReason) -> bool:
    """Whether *reason* is a failure, which a transient child is restarted after."""
    return not isinstance(reason, _NORMAL)


def error_of(reason: ExitReason) -> BaseException | None:
    """The exception behind *reason*, if there is one."""
    if isinstance(reason, _WITH_ERROR):
        return reason.error
    return None


def _is_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    return isinstance(error, BaseExceptionGroup)


def sole_leaf(error: BaseException) -> BaseException:
    """*error*, or its only leaf if it is a group with one.

    Task groups wrap even a single exception; a policy that asks "was it a
    ValueError?" must not have to know that.
    """
    while _is_group(error) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def judge(
    error: BaseException, cancelled: type[BaseException]
) -> tuple[Killed | Crashed, BaseException | None]:
    """What exit it is when *error* leaves the code of an actor.

    A group is judged by its leaves: what is fatal first, cancellations last.

    Args:
        error: The exception.
        cancelled: What a cancellation is on the running event loop.

    Returns:
        The reason; and what is fatal, if something is: KeyboardInterrupt,
        SystemExit and whatever else is no `Exception`.  That is no failure of
        the actor's, and not for its supervisor to deal with.
    """
    if isinstance(error, cancelled):
        return Killed(), None
    if _is_group(error):
        failures = error.split(cancelled)[1]
        if failures is None:
            return Killed(), None
        fatal = failures.split(Exception)[1]
        if fatal is None:
            return Crashed(sole_leaf(failures)), None
        error = fatal
        while _is_group(error):
            # Several at once end the system no more than one does.
            error = error.exceptions[0]
    return Crashed(error), None if isinstance(error, Exception) else error
