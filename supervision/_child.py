"""Child: a cell, and what its supervisor knows of it; how one is ended.

Everything a supervisor decides about a child is decided in place, in one step,
so there is no moment in which a child is half restarted.  Only what takes time,
starting and ending, is waited for.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import anyio

from ..actors import (
    KILL_GRACE,
    Actor,
    ActorRef,
    Cell,
    ExitReason,
    Runtime,
    Shutdown,
    State,
)
from ._spec import BRUTAL_KILL, WORKER_SHUTDOWN, ChildSpec


class ChildStatus(enum.Enum):
    """What a child is doing, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    """It has failed and will be started again."""
    STOPPED = "stopped"
    """Only its spec is there."""


@final
@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One child, at the moment of asking.

    Attributes:
        id: Its id.
        ref: Its ref; None if only the spec is there.
        status: What it is doing.
        incarnation: How often it was started.
        is_supervisor: Whether it has children of its own.
        reason: How it last ended, if it has.
    """

    id: str
    ref: ActorRef[Any] | None
    status: ChildStatus
    incarnation: int
    is_supervisor: bool
    reason: ExitReason | None


class Keeper(Protocol):
    """The supervisor, as its children know it."""

    def would_restart(self, child: Child, reason: ExitReason) -> bool:
        """Whether *child* would be started again after *reason*."""
        ...

    def exited(self, child: Child, reason: ExitReason) -> None:
        """*child* has exited, and nobody was waiting for that."""
        ...

    def backoff_over(self, retry: Retry) -> None:
        """A child has waited long enough for its next start."""
        ...


@final
class Child:
    """One child of one supervisor; the parent of its cell."""

    __slots__ = (
        "_keeper",
        "awaited",
        "cell",
        "ending",
        "failures",
        "is_supervisor",
        "retry",
        "spec",
        "started_at",
    )

    def __init__(self, spec: ChildSpec[Any], keeper: Keeper) -> None:
        self.spec = spec
        self._keeper = keeper
        # None when only the spec is kept.
        self.cell: Cell[Any] | None = None
        # Somebody ends it on purpose; its exit is no incident.
        self.ending = False
        # Somebody waits for its start and will judge a failure.
        self.awaited = False
        # Failures in a row, for the backoff, and when the last start was.
        self.failures = 0
        self.started_at = -math.inf
        # Its next start, while it waits for that.
        self.retry: Retry | None = None
        self.is_supervisor = False

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        """See `Parent`."""
        return not self.ending and self._keeper.would_restart(self, reason)

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        """See `Parent`.  Who ends it, or waits for its start, goes on from there."""
        if not self.ending and not self.awaited:
            self._keeper.exited(self, reason)

    def start(self, runtime: Runtime, parent_path: str) -> Cell[Any]:
        """Begin its next incarnation, with a new cell if it has none."""
        if self.retry is not None:
            self.retry.done = True
            self.retry = None
        if self.cell is None:
            self.cell = Cell(
                runtime,
                f"{parent_path.rstrip('/')}/{self.spec.id}",
                self.spec.start,
                self,
                mailbox=self.spec.mailbox,
                start_timeout=self.spec.start_timeout,
            )
        elif self.spec.on_restart == "drop":
            self.cell.drop_mailbox()
        self.ending = False
        self.started_at = runtime.now()
        self.cell.start()
        return self.cell

    @property
    def ref(self) -> ActorRef[Any] | None:
        """The ref of the child, as long as it is not gone for good."""
        return None if self.cell is None else self.cell.ref

    @property
    def live(self) -> bool:
        """Whether an incarnation of it is there, in whatever state."""
        return self.cell is not None and self.cell.state in (
            State.STARTING,
            State.RUNNING,
            State.STOPPING,
        )

    @property
    def status(self) -> ChildStatus:
        """What it is doing."""
        if self.cell is None:
            return ChildStatus.STOPPED
        if self.cell.state is State.EXITED:
            return ChildStatus.RESTARTING
        if self.cell.state is State.ENDED:
            return ChildStatus.STOPPED
        return ChildStatus(self.cell.state.value)

    def info(self) -> ChildInfo:
        """A frozen snapshot."""
        return ChildInfo(
            id=self.spec.id,
            ref=self.ref,
            status=self.status,
            incarnation=0 if self.cell is None else self.cell.incarnation,
            is_supervisor=self.is_supervisor,
            reason=None if self.cell is None else self.cell.reason,
        )

    def end(self, reason: ExitReason) -> None:
        """Forget its cell: it will not run again under this ref."""
        if self.retry is not None:
            self.retry.done = True
            self.retry = None
        cell, self.cell = self.cell, None
        if cell is not None and cell.state is not State.ENDED:
            cell.end(reason)

    @property
    def patience(self) -> float:
        """Seconds that it may take to stop."""
        if self.spec.shutdown == BRUTAL_KILL:
            return -1.0
        if self.spec.shutdown is None:
            return math.inf if self.is_supervisor else WORKER_SHUTDOWN
        assert not isinstance(self.spec.shutdown, str)
        return self.spec.shutdown


@final
class Retry:
    """The next start of a child that waits out its backoff."""

    __slots__ = ("_keeper", "child", "deadline", "done")

    def __init__(self, child: Child, deadline: float, keeper: Keeper) -> None:
        self.child = child
        self.deadline = deadline
        self.done = False
        self._keeper = keeper

    def expire(self) -> None:
        """The wait is over."""
        self.done = True
        self._keeper.backoff_over(self)


async def end_children(children: Sequence[Child], *, keep: bool = False) -> None:
    """End *children*, all at once, each within its own deadline.

    Asked first; killed at its deadline; given up for unkillable `KILL_GRACE`
    seconds later, so that one that swallows its cancellation holds up nobody.

    Args:
        children: Which; in this order they are asked.
        keep: Whether their cells stay, mailbox and all, to be started again.
    """
    cells: dict[Cell[Any], float] = {}
    for child in children:
        child.ending = True
        if child.retry is not None:
            child.retry.done = True
            child.retry = None
        if child.cell is not None and child.live:
            patience = child.patience
            if patience < 0:
                child.cell.kill()
            else:
                child.cell.request_stop(Shutdown(), final=not keep)
            cells[child.cell] = patience
    began = anyio.current_time()
    for patience in sorted({*cells.values()}):
        due = [cell for cell, limit in cells.items() if limit == patience]
        if patience >= 0:
            with anyio.move_on_at(began + patience):
                for cell in due:
                    await cell.wait_stopped()
        for cell in due:
            cell.kill()
    with anyio.move_on_after(KILL_GRACE):
        for cell in cells:
            await cell.wait_stopped()
    for child in children:
        if child.cell is None:
            continue
        if child.live:
            child.cell.abandon()
            child.cell = None
        elif not keep:
            child.end(child.cell.reason or Shutdown())
