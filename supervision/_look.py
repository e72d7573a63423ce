"""Look: a tree of what is there now.

Plain reads, in place: no actor is asked, so none can keep the answer waiting, and
nothing is changed by looking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Any, final

from ..actors import NOTHING, Ask, Cell, Mailbox, Runtime, State
from ._child import Child, ChildStatus, Keeper, status_of
from ._failure import Failure, GivenUp
from ._tree import NodeFlag, Ring, Tree, TreeNode, TreeOptions, WaitsFor
from ._where import is_cell, standpoints

# How many of the messages that wait in one mailbox are looked at.
_ASKS_LOOKED_AT = 64

_NEAR_FULL = 2

_SOUND: frozenset[NodeFlag] = frozenset()


@final
class Look:
    """One look at all actors of a system.

    Args:
        runtime: Where they run.
        options: From when on what is flagged.
        in_loop: Whether this is the thread of the event loop, so that its tasks
            can be looked at as well.
    """

    def __init__(
        self, runtime: Runtime, options: TreeOptions, *, in_loop: bool
    ) -> None:
        self._runtime = runtime
        self._options = options
        self._now = runtime.now()
        self._tick = runtime.tick()
        # Where everybody stands, once somebody wants to know; None if unknown.
        self._standpoints: dict[int, str | None] | None = None
        self._may_stand = in_loop and not runtime.closing
        self._ringed: frozenset[str] = frozenset()

    def tree(self, root: Cell[Any], supervisor: Keeper[Any], began: float) -> Tree:
        """What is there.

        Args:
            root: The cell of the root.
            supervisor: The actor in it.
            began: When it was started.
        """
        rings = self._rings()
        self._ringed = frozenset(path for ring in rings for path in ring.paths)
        kind = type(supervisor).__name__
        node = self._node(root.path, kind, root, began, supervisor)
        letters = self._runtime.dead_letters.total
        return Tree(node, self._now, rings, letters, self._options)

    # -- one actor ---------------------------------------------------------

    def _child(self, parent: str, child: Child) -> TreeNode:
        path = f"{parent.rstrip('/')}/{child.spec.id}"
        retry, began = child.retry, child.started_at
        starts_in = None if retry is None else max(0.0, retry.deadline - self._now)
        if child.cell is None:
            status = status_of(None)
            return TreeNode(path, child.kind, status, failure=child.failure)
        return self._node(
            path, child.kind, child.cell, began, child.family, child.failure, starts_in
        )

    def _node(
        self,
        path: str,
        kind: str,
        cell: Cell[Any],
        began: float,
        family: Keeper[Any] | None,
        failure: Failure | None = None,
        starts_in: float | None = None,
    ) -> TreeNode:
        mailbox = cell.mailbox
        state = cell.state
        # Most are asleep, and in a large system each look-up counts.
        asleep = state is State.RUNNING and mailbox.parked is not None
        busy = None if asleep else self._busy(cell, state, began)
        waiting = len(mailbox.queue)
        lag = mailbox.lag(self._tick) if waiting else 0.0
        status = ChildStatus.RUNNING if asleep else status_of(cell)
        flags = _SOUND
        where = None
        if (
            lag > self._options.lag_seconds
            or (busy is not None and busy > self._options.slow_seconds)
            or mailbox.level >= _NEAR_FULL
            or status is ChildStatus.RESTARTING
            or path in self._ringed
        ):
            flags = frozenset(self._flags(path, status, busy, lag, mailbox.level))
            if busy:
                where = self._standpoint(cell)
        return TreeNode(
            path,
            kind,
            status,
            cell.incarnation,
            flags,
            mailbox.suspended,
            busy,
            where,
            () if asleep else tuple(self._open_waits(cell)),
            waiting,
            lag,
            mailbox.aside,
            mailbox.statistics(),
            failure,
            None if family is None else family.failed_child,
            starts_in,
            family is not None,
            () if family is None else tuple(self._below(path, family)),
        )

    def _below(self, path: str, family: Keeper[Any]) -> Iterator[TreeNode]:
        for child in family.all_children():
            yield self._child(path, child)
        for lost in family.given_up:
            if self._is_there(lost):
                yield TreeNode(
                    lost.cell.path,
                    lost.kind,
                    ChildStatus.STOPPED,
                    lost.cell.incarnation,
                    frozenset([NodeFlag.UNKILLABLE]),
                    busy=self._now - lost.at,
                    where=self._standpoint(lost.cell),
                )

    def _busy(self, cell: Cell[Any], state: State, began: float) -> float | None:
        """For how long it is at what it does; None if it sleeps."""
        mailbox = cell.mailbox
        if state is State.STARTING:
            return self._now - began
        if state is State.EXITED or state is State.ENDED or mailbox.parked is not None:
            return None
        if mailbox.turn_at == math.inf and not cell.waits:
            return 0.0  # woken, and about to take a message
        # The last turn may have been an earlier incarnation's.
        return max(0.0, min(self._tick - mailbox.turn_at, self._now - began))

    def _open_waits(self, cell: Cell[Any]) -> Iterator[WaitsFor]:
        for pending, other in cell.waits:
            if pending.done:
                continue
            if isinstance(pending, Ask):
                yield WaitsFor("answer", other.path, pending.deadline - self._now)
            elif is_cell(other) and pending is other.life:
                yield WaitsFor("end", other.path, math.inf)
            else:
                deadline: float = getattr(pending, "deadline", math.inf)
                yield WaitsFor("room", other.path, deadline - self._now)

    # -- what is the matter ------------------------------------------------

    def _flags(
        self,
        path: str,
        status: ChildStatus,
        busy: float | None,
        lag: float,
        level: int,
    ) -> Iterator[NodeFlag]:
        options = self._options
        seconds = busy or 0.0
        near_full = level >= _NEAR_FULL
        slow = seconds > options.slow_seconds
        if path in self._ringed:
            yield NodeFlag.DEADLOCKED
        if seconds > options.stuck_seconds or (slow and near_full):
            yield NodeFlag.STUCK
        elif slow or lag > options.lag_seconds:
            yield NodeFlag.SLOW
        if status is ChildStatus.RESTARTING:
            yield NodeFlag.RESTARTING
        if near_full:
            yield NodeFlag.NEAR_FULL

    def _standpoint(self, cell: Cell[Any]) -> str | None:
        return self._all_standpoints().get(id(cell))

    def _is_there(self, lost: GivenUp) -> bool:
        return not self._may_stand or id(lost.cell) in self._all_standpoints()

    def _all_standpoints(self) -> dict[int, str | None]:
        if self._standpoints is None:
            backend = self._runtime.backend
            self._standpoints = standpoints(backend) if self._may_stand else {}
        return self._standpoints

    # -- who waits for each other ------------------------------------------

    def _rings(self) -> tuple[Ring, ...]:
        slow: dict[str, Cell[Any]] = {}
        graph: dict[str, set[str]] = {}
        known: set[int] = set()
        for cell in tuple(self._runtime.cells):
            assert isinstance(cell, Cell)
            if cell.mailbox.parked is not None:
                continue  # asleep
            waits = [wait for wait in cell.waits if not wait[0].done]
            if waits:
                graph[cell.path] = {other.path for _, other in waits}
                known.update(id(pending) for pending, _ in waits)
            if waits or self._is_slow(cell.mailbox):
                slow[cell.path] = cell
        by_task: set[str] = set()
        for path, cell in slow.items():
            for asker in self._asked_by_tasks(cell, known):
                # Not if its handler waits for an actor: that decides.
                if asker in slow and (asker not in graph or asker in by_task):
                    by_task.add(asker)
                    graph.setdefault(asker, set()).add(path)
        return tuple(_rings(graph, by_task))

    def _is_slow(self, mailbox: Mailbox[Any]) -> bool:
        """Whether a handler has been at the message in flight for long."""
        seconds = self._tick - mailbox.turn_at
        return mailbox.current is not NOTHING and seconds > self._options.slow_seconds

    def _asked_by_tasks(self, cell: Cell[Any], known: set[int]) -> Iterator[str]:
        """Who waits for its answer, and does not do so in its handler."""
        mailbox = cell.mailbox
        for message in (mailbox.current, *islice(mailbox.queue, _ASKS_LOOKED_AT)):
            if isinstance(message, Ask) and not message.done:
                asker = message.asker
                if asker is not None and id(message) not in known:
                    yield asker


def _rings(graph: dict[str, set[str]], by_task: Iterable[str]) -> Iterator[Ring]:
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # Each is waited for by the next, and the first is the last again.
            paths = tuple(reversed(error.args[1][1:]))
            yield Ring(paths, frozenset(paths).intersection(by_task))
            for path in paths:
                del graph[path]
        else:
            return
