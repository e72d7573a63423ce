"""ChildSpec: how one child is started, restarted and stopped.

Checked when made, so that a wrong one is refused where it was written.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar, final

from ..actors import Actor, MailboxOptions

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
    """

    id: str
    start: Callable[[], Actor[M]]
    restart: Restart = Restart.PERMANENT
    shutdown: float | Literal["brutal_kill"] | None = field(default=None, kw_only=True)
    significant: bool = field(default=False, kw_only=True)
    start_timeout: float = field(default=30.0, kw_only=True)
    mailbox: MailboxOptions = field(default=MailboxOptions(), kw_only=True)
    on_restart: Literal["keep", "drop"] = field(default="keep", kw_only=True)

    def __post_init__(self) -> None:
        _check(isinstance(self.id, str) and self.id, "id", "a non-empty str", self.id)
        _check("/" not in self.id, "id", "a str without '/'", self.id)
        _check(callable(self.start), "start", "a callable", self.start)
        _check(isinstance(self.restart, Restart), "restart", "a Restart", self.restart)
        _check(
            self.shutdown is None
            or self.shutdown == BRUTAL_KILL
            or _is_seconds(self.shutdown),
            "shutdown",
            "seconds of at least 0, BRUTAL_KILL or None",
            self.shutdown,
        )
        _check(
            isinstance(self.significant, bool),
            "significant",
            "a bool",
            self.significant,
        )
        _check(
            not (self.significant and self.restart is Restart.PERMANENT),
            "significant",
            "False for a permanent child, which never ends",
            self.significant,
        )
        _check(
            _is_seconds(self.start_timeout) and self.start_timeout > 0,
            "start_timeout",
            "seconds above 0",
            self.start_timeout,
        )
        _check(
            isinstance(self.mailbox, MailboxOptions),
            "mailbox",
            "MailboxOptions",
            self.mailbox,
        )
        _check(
            self.on_restart in ("keep", "drop"),
            "on_restart",
            "'keep' or 'drop'",
            self.on_restart,
        )


def _is_seconds(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not math.isnan(value)
        and value >= 0
    )


def _check(holds: object, name: str, expected: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {value!r}")
