"""Child: a cell, and what its supervisor knows of it; how one is ended.

Everything that is decided about a child is decided in place, in one step, so
there is no moment in which a child is half restarted or half ended.  What takes
time, starting and ending, goes on by itself: the deadlines of an end are kept
by the clock and not by whoever waits for it, who may be cancelled.
"""

from __future__ import annotations

import enum
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final

from ..actors import (
    KILL_GRACE,
    Actor,
    ActorRef,
    Cell,
    ExitReason,
    Killed,
    Runtime,
    Shutdown,
    State,
    is_abnormal,
)
from ._failure import Failure, GivenUp, failure_of
from ._intensity import Window
from ._spec import BRUTAL_KILL, WORKER_SHUTDOWN, ChildSpec, Restart, without_start

M = TypeVar("M")


class ChildStatus(enum.Enum):
    """What a child is doing, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    """It is down and will be started again."""
    STOPPED = "stopped"
    """Only its spec is there."""


_LIVE = (State.STARTING, State.RUNNING, State.STOPPING)
_STATUSES = {
    State.STARTING: ChildStatus.STARTING,
    State.RUNNING: ChildStatus.RUNNING,
    State.STOPPING: ChildStatus.STOPPING,
    State.EXITED: ChildStatus.RESTARTING,
    State.ENDED: ChildStatus.STOPPED,
}


@final
@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One child, at the moment of asking.

    Attributes:
        id: Its id.
        ref: Its ref; None if only the spec is there.
        status: What it is doing.
        incarnation: How often this ref was started.
        is_supervisor: Whether it has children of its own.
        reason: How it last ended, if it has.
    """

    id: str
    ref: ActorRef[Any] | None
    status: ChildStatus
    incarnation: int
    is_supervisor: bool
    reason: ExitReason | None


def status_of(cell: Cell[Any] | None) -> ChildStatus:
    """What a child is doing; it has no *cell* if only its spec is there."""
    return _STATUSES[State.ENDED if cell is None else cell.state]


class Keeper(Actor[M]):
    """A supervisor, as its children know it."""

    _by_id: dict[str, Child]
    # To be looked at: the latest failure below it, and who was given up.
    failed_child: Failure | None = None
    given_up: tuple[GivenUp, ...] = ()

    def all_children(self) -> tuple[Child, ...]:
        """All children, in the order of their start."""
        return tuple(self._by_id.values())

    @abstractmethod
    def would_restart(self, child: Child, reason: ExitReason) -> bool:
        """Whether *child* would be started again after *reason*."""

    @abstractmethod
    def exited(self, child: Child, cell: Cell[Any], reason: ExitReason) -> None:
        """An incarnation of *child* is over; decide what that means."""

    @abstractmethod
    def ended(self, child: Child) -> None:
        """*child* will not come back by itself."""

    @abstractmethod
    def backoff_over(self, retry: Retry) -> None:
        """A child has waited long enough for its next start."""


@final
class Child:
    """One child of one supervisor; the parent of its cell."""

    __slots__ = (
        "_alarm",
        "_keeper",
        "cell",
        "dismissed",
        "ending",
        "failure",
        "failures",
        "family",
        "fresh",
        "keeps",
        "kind",
        "last_reason",
        "ordered",
        "retry",
        "spec",
        "started_at",
        "window",
    )

    def __init__(
        self, spec: ChildSpec[Any], keeper: Keeper[Any], *, fresh: bool = False
    ) -> None:
        self.spec: ChildSpec[Any] = spec
        self._keeper = keeper
        # None when only the spec is kept.
        self.cell: Cell[Any] | None = None
        # How the cell before this one ended.
        self.last_reason: ExitReason | None = None
        # The present or last actor, if that is a supervisor.
        self.family: Keeper[Any] | None = None
        # The name of its actor's class, and how it last failed.
        self.kind: str = ""
        self.failure: Failure | None = None
        # The cell that somebody has ordered to start; as long as it has not run,
        # its failure is their news and no incident.
        self.ordered: Cell[Any] | None = None
        # That order brought the spec with it.
        self.fresh: bool = fresh
        # It is being ended on purpose: its exit is no incident either.  Its cell
        # stays, mailbox and all, if it `keeps` it to be started again.
        self.ending: bool = False
        self.keeps: bool = False
        # Stopped by order; only an order starts it again.
        self.dismissed: bool = False
        # When the patience with its end is over.
        self._alarm: Alarm | None = None
        # Its next start, while it waits for that.
        self.retry: Retry | None = None
        # Failures in a row, for the backoff, and when the last start was.
        self.failures: int = 0
        self.started_at: float = -math.inf
        # Its own restarts, if they are counted by themselves.
        own = spec.intensity
        self.window: Window | None = None if own is None else Window(own)

    # -- looking -----------------------------------------------------------

    @property
    def ref(self) -> ActorRef[Any] | None:
        """Its ref; None if only the spec is there."""
        return None if self.cell is None else self.cell.ref

    @property
    def live(self) -> bool:
        """Whether an incarnation of it is there, in whatever state."""
        return self.cell is not None and self.cell.state in _LIVE

    def info(self) -> ChildInfo:
        """A frozen snapshot."""
        cell = self.cell
        return ChildInfo(
            id=self.spec.id,
            ref=self.ref,
            status=status_of(cell),
            incarnation=0 if cell is None else cell.incarnation,
            is_supervisor=self.family is not None,
            reason=self.last_reason if cell is None else cell.reason,
        )

    # -- the parent of the cell, see actors.Parent -------------------------

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        """See `Parent`."""
        if self.ending:
            return self.keeps
        return self._keeper.would_restart(self, reason)

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        """See `Parent`."""
        self._disarm()
        brutal = self.ending and self.spec.shutdown == BRUTAL_KILL
        if is_abnormal(reason) and not (brutal and isinstance(reason, Killed)):
            self.failure = failure_of(cell.path, reason, cell.runtime.now())
            self._keeper.failed_child = self.failure
        self._keeper.exited(self, cell, reason)

    # -- starting ----------------------------------------------------------

    def start(self, runtime: Runtime, path: str, *, ordered: bool) -> Cell[Any]:
        """Begin its next incarnation, with a new cell if it has none.

        Args:
            runtime: Where it runs.
            path: Where it stands in the tree.
            ordered: Whether somebody waits for it and will hear of a failure.
        """
        self._cancel_retry()
        cell = self.cell
        if cell is None:
            self.cell = cell = Cell(
                runtime,
                path,
                self._make,
                self,
                mailbox=self.spec.mailbox,
                start_timeout=self.spec.start_timeout,
                redeliver=self.spec.redeliver,
            )
        elif self.spec.on_restart == "drop":
            cell.drop_mailbox()
        self.ending = self.dismissed = False
        # Before it starts: with eager tasks it may have failed when that returns.
        self.ordered = cell if ordered else None
        self.started_at = runtime.now()
        cell.start()
        return cell

    def _make(self) -> Actor[Any]:
        make = self.spec.start
        if self.spec.restart is Restart.TEMPORARY:
            # It runs once: let go of what it was made from.
            self.spec = without_start(self.spec)
        actor = make()
        self.family = actor if isinstance(actor, Keeper) else None
        self.kind = type(actor).__name__
        return actor

    def start_later(self, runtime: Runtime, delay: float) -> None:
        """Tell the supervisor when *delay* seconds are over."""
        self.retry = Retry(self, runtime.now() + delay, self._keeper)
        runtime.deadlines.add(self.retry)

    def _cancel_retry(self) -> None:
        if self.retry is not None:
            self.retry.done = True
            self.retry = None

    # -- ending ------------------------------------------------------------

    def mark(self, *, keep: bool) -> None:
        """From now on its exit is no incident; begin to end it later.

        Who wants it gone for good overrules who wants to keep its cell.
        """
        self.keeps = keep and (self.keeps or not self.ending)
        self.ending = True
        self._cancel_retry()

    def begin_end(self, *, keep: bool = False) -> None:
        """Ask it to stop, and see to it that it is gone within its deadline."""
        self.mark(keep=keep)
        if not self.live:
            self.drop()
            return
        assert self.cell is not None
        if self.spec.shutdown == BRUTAL_KILL:
            self._kill()
            return
        self.cell.request_stop(Shutdown(), final=not self.keeps)
        if self._alarm is None:
            self._arm(self._patience, self._kill)

    def kill(self) -> None:
        """End it for good and at once; it has `KILL_GRACE` left."""
        self.mark(keep=False)
        if self.live:
            self._kill()
        else:
            self.drop()

    def drop(self) -> None:
        """If it is down, and not kept, that is its end."""
        if self.cell is not None and not self.keeps and not self.live:
            self.end(self.cell.reason or Shutdown())

    def end(self, reason: ExitReason) -> None:
        """Forget its cell: it will not run again under this ref."""
        cell, self.cell = self.cell, None
        assert cell is not None
        self.last_reason = reason
        cell.end(reason)
        self._keeper.ended(self)

    @property
    def _patience(self) -> float:
        if self.spec.shutdown is None:
            return WORKER_SHUTDOWN if self.family is None else math.inf
        assert not isinstance(self.spec.shutdown, str)
        return self.spec.shutdown

    def _kill(self) -> None:
        assert self.cell is not None
        if self.family is None:
            self.cell.kill()
            self._arm(KILL_GRACE, self._give_up)
        else:
            # A supervisor ends by itself, and last, when its children are gone.
            self.family.killed()
            self.cell.request_stop(Shutdown(), final=not self.keeps)

    def _give_up(self) -> None:
        # Its task goes on and uses the cell: another start needs a new one.
        self.keeps = False
        assert self.cell is not None
        lost = GivenUp(self.cell, self.kind, self.cell.runtime.now())
        self._keeper.given_up = (*self._keeper.given_up[-15:], lost)
        self.cell.abandon()

    def _arm(self, seconds: float, ring: Callable[[], None]) -> None:
        assert self.cell is not None
        self._disarm()
        runtime = self.cell.runtime
        self._alarm = Alarm(runtime.now() + seconds, ring)
        runtime.deadlines.add(self._alarm)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.done = True
            self._alarm = None


@final
class Alarm:
    """Calls something at a deadline, unless it is done before."""

    __slots__ = ("_ring", "deadline", "done")

    def __init__(self, deadline: float, ring: Callable[[], None]) -> None:
        self.deadline = deadline
        self.done = False
        self._ring = ring

    def expire(self) -> None:
        """The deadline has come."""
        self.done = True
        self._ring()


@final
class Retry:
    """The next start of a child that waits out its backoff."""

    __slots__ = ("_keeper", "child", "deadline", "done")

    def __init__(self, child: Child, deadline: float, keeper: Keeper[Any]) -> None:
        self.child: Child = child
        self.deadline: float = deadline
        self.done: bool = False
        self._keeper = keeper

    def expire(self) -> None:
        """The wait is over."""
        self.done = True
        self._keeper.backoff_over(self)


async def end_children(children: Sequence[Child], *, keep: bool = False) -> None:
    """End *children*, all at once, each within its own deadline; wait for it.

    Cancelled, it has begun with all of them, and they end all the same.

    Args:
        children: Which; in this order they are asked.
        keep: Whether their cells stay, to be started again.
    """
    cells = [child.cell for child in children if child.cell is not None]
    for child in children:
        child.begin_end(keep=keep)
    for cell in cells:
        await cell.wait_stopped()
