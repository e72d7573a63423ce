"""ChildSpec: how one child is started, restarted and stopped.

Checked when made, so that a wrong one is refused where it was written.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar, cast, final

from ..actors import Actor, MailboxOptions
from ._check import check, check_count, check_is, is_seconds
from ._intensity import Intensity

M = TypeVar("M")

BRUTAL_KILL: Final = "brutal_kill"
"""As a spec's ``shutdown``: cancel at once, without ``stopped``."""

WORKER_SHUTDOWN = 5.0


class Restart(enum.Enum):
    """Whether a child that has exited is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """After a failure."""
    TEMPORARY = "temporary"
    """Never; its spec goes with it."""


@final
@dataclass(frozen=True, slots=True)
class ChildSpec(Generic[M]):
    """How a supervisor starts, restarts and stops one child.

    Attributes:
        id: Unique among the supervisor's children; part of the child's path.
        start: Makes the actor; called anew for each incarnation.  May return a
            `Supervisor`.
        restart: Whether it is started again after it has exited.
        shutdown: Seconds it may take to stop, 0 or more, before it is killed;
            `BRUTAL_KILL` for none at all.  By default 5 for a worker and
            infinite for a supervisor, whose own children have deadlines.
        significant: Its end may end the supervisor; see ``auto_shutdown``.
        start_timeout: Seconds that ``started`` may take.
        mailbox: How much may wait for it.
        on_restart: Whether what waits in the mailbox is kept for the next
            incarnation, or goes to the dead letters.
        redeliver: How often a message over which the actor crashed is handled
            again, before all others, by the next incarnation; then it is a dead
            letter.  An ask keeps its deadline meanwhile.
        intensity: How many restarts it is allowed, counted by itself; by default
            its failures count with those of its siblings.
        restart_on: The exceptions that a restart is for; after any other it has
            ended for good.  A kill is no exception.  Of a group every leaf must
            be one, as ``except*`` must leave nothing over.
        escalate_on: The exceptions over which its supervisor gives up at once,
            for the one above to decide; one leaf of a group is enough.
    """

    id: str
    start: Callable[[], Actor[M]]
    restart: Restart = Restart.PERMANENT
    shutdown: float | Literal["brutal_kill"] | None = field(default=None, kw_only=True)
    significant: bool = field(default=False, kw_only=True)
    start_timeout: float = field(default=30.0, kw_only=True)
    mailbox: MailboxOptions = field(default=MailboxOptions(), kw_only=True)
    on_restart: Literal["keep", "drop"] = field(default="keep", kw_only=True)
    redeliver: int = field(default=0, kw_only=True)
    intensity: Intensity | None = field(default=None, kw_only=True)
    restart_on: tuple[type[Exception], ...] = field(default=(Exception,), kw_only=True)
    escalate_on: tuple[type[Exception], ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        check_is("id", self.id, str)
        # It is a part of a path.
        good = self.id != "" and "/" not in self.id
        check(good, "id", "a non-empty str without '/'", self.id)
        check(callable(self.start), "start", "a callable", self.start)
        check_is("restart", self.restart, Restart)
        check(
            self.shutdown is None
            or self.shutdown == BRUTAL_KILL
            or is_seconds(self.shutdown),
            "shutdown",
            "seconds of at least 0, BRUTAL_KILL or None",
            self.shutdown,
        )
        check_is("significant", self.significant, bool)
        check(
            not (self.significant and self.restart is Restart.PERMANENT),
            "significant",
            "False for a permanent child, which never ends",
            self.significant,
        )
        good = is_seconds(self.start_timeout) and self.start_timeout > 0
        check(good, "start_timeout", "seconds above 0", self.start_timeout)
        check_is("mailbox", self.mailbox, MailboxOptions)
        good = self.on_restart in ("keep", "drop")
        check(good, "on_restart", "'keep' or 'drop'", self.on_restart)
        check_count("redeliver", self.redeliver)
        if self.intensity is not None:
            check_is("intensity", self.intensity, Intensity)
        _check_exceptions("restart_on", self.restart_on)
        _check_exceptions("escalate_on", self.escalate_on)


# What most specs say; each start of an actor on demand makes one.
_COMMON: tuple[object, ...] = ((Exception,), ())


def _check_exceptions(name: str, kinds: object) -> None:
    good = kinds in _COMMON or _are_exceptions(kinds)
    check(good, name, "a tuple of Exception types", kinds)


def _are_exceptions(kinds: object) -> bool:
    # What is no Exception ends the system; a group is judged by its leaves.
    return isinstance(kinds, tuple) and all(
        isinstance(kind, type)
        and issubclass(kind, Exception)
        and not issubclass(kind, BaseExceptionGroup)
        for kind in cast("tuple[object, ...]", kinds)
    )


def _released() -> Actor[Any]:
    raise RuntimeError("what makes a temporary child is not kept: it runs once")


def without_start(spec: ChildSpec[M]) -> ChildSpec[M]:
    """*spec* without what makes the actor, and all that this holds on to."""
    copy = cast("ChildSpec[M]", object.__new__(ChildSpec))
    # Not dataclasses.replace(), which would check everything again.
    for name in ChildSpec.__slots__:
        object.__setattr__(copy, name, getattr(spec, name))
    object.__setattr__(copy, "start", _released)
    return copy
