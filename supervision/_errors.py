"""What can go wrong between a supervisor and those who give it orders."""

from __future__ import annotations

from typing import Any

from ..actors import ActorError, ActorRef


class SupervisorError(ActorError):
    """Base of what a supervisor refuses."""


class ChildExists(SupervisorError):
    """A child with this id is there already.

    Attributes:
        id: The id.
        ref: The child if it runs or restarts (OTP's ``already_started``); None
            if only its spec is kept (``already_present``).
    """

    def __init__(self, id: str, ref: ActorRef[Any] | None) -> None:
        state = "is not running" if ref is None else "runs"
        super().__init__(f"child {id!r} exists and {state}")
        self.id = id
        self.ref = ref


class ChildNotFound(SupervisorError):
    """There is no such child."""

    def __init__(self, child: object) -> None:
        super().__init__(f"no such child: {child!r}")
        self.child = child


class ChildRunning(SupervisorError):
    """The child runs, or is being restarted; stop it first."""

    def __init__(self, id: str) -> None:
        super().__init__(f"child {id!r} runs, or is being restarted")
        self.id = id


class TooManyChildren(SupervisorError):
    """The supervisor has as many children as it may have."""

    def __init__(self, max_children: int) -> None:
        super().__init__(f"there are {max_children} children already")
        self.max_children = max_children


class ChildDeclined(SupervisorError):
    """The child raised `Decline`: it is not needed, and nothing failed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} declined to start")
        self.path = path


class NoPartition(SupervisorError):
    """There is no actor for this key.

    Attributes:
        path: The supervisor.
        number: The partition, which has ended for good; None if there are none.
    """

    def __init__(self, path: str, number: int | None) -> None:
        which = "no partitions" if number is None else f"no partition {number} any more"
        super().__init__(f"{path} has {which}")
        self.path = path
        self.number = number


class SupervisionFailed(SupervisorError):
    """The root of a system gave up, and the system has ended.

    The exception behind the failure that was one too many is ``__cause__``; there
    is none behind a kill or a normal exit.

    Attributes:
        path: The actor whose failure it was.
    """

    def __init__(self, path: str, cause: BaseException | None) -> None:
        what = "" if cause is None else f": {cause!r}"
        super().__init__(f"{path} failed, and who supervises it gave up{what}")
        self.path = path
        self.__cause__: BaseException | None = cause
