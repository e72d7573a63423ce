"""Tree: all actors of a system at one moment, and what is the matter with them.

Values only: they hold paths, names and numbers, no refs, no messages and no
exceptions, so that one may be kept, compared or sent away.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, final

from ..actors import MailboxStatistics
from ._check import check, check_count, is_seconds
from ._child import ChildStatus
from ._failure import Failure
from ._table import Row, counted, draw, seconds


class NodeFlag(enum.Enum):
    """What is the matter with an actor, the worst first."""

    DEADLOCKED = "deadlocked"
    """It is in a ring of actors of which each waits for the next; see `Ring`."""
    STUCK = "stuck"
    """It is at one message, or at its start or stop, for longer than
    ``stuck_seconds``; or for longer than ``slow_seconds`` while its mailbox has
    filled up beyond 80 %."""
    SLOW = "slow"
    """The same, for longer than ``slow_seconds``; or the oldest message has waited
    for longer than ``lag_seconds``."""
    UNKILLABLE = "unkillable"
    """It was killed and swallows it: its supervisor has gone on without it, and its
    task still runs."""
    RESTARTING = "restarting"
    """It is down and will be started again."""
    NEAR_FULL = "near_full"
    """Its mailbox has passed 80 %, and not yet gone back below 40 %."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOptions:
    """From when on an actor is flagged.

    Attributes:
        slow_seconds: For how long one message may be handled.
        lag_seconds: For how long a message may wait.
        stuck_seconds: For how long one message may be handled before it is taken
            for one that never ends; at least *slow_seconds*.
    """

    slow_seconds: float = 1.0
    lag_seconds: float = 1.0
    stuck_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("slow_seconds", "lag_seconds", "stuck_seconds"):
            seconds: object = getattr(self, name)
            good = is_seconds(seconds) and seconds != 0
            check(good, name, "seconds above 0", seconds)
        good = self.stuck_seconds >= self.slow_seconds
        check(good, "stuck_seconds", "at least slow_seconds", self.stuck_seconds)


@final
@dataclass(frozen=True, slots=True)
class WaitsFor:
    """What a handler waits for, of another actor.

    Attributes:
        what: An answer, room in a mailbox, or the end of it.
        path: The other actor.
        seconds_left: Until it gives up; infinite if it does not.
    """

    what: Literal["answer", "room", "end"]
    path: str
    seconds_left: float


@final
@dataclass(frozen=True, slots=True)
class Ring:
    """Actors of which each waits for the next, and the last for the first.

    A handler that would close a ring gets `AskCycle` instead.  What is left are
    rings that go through a task beside a handler: what such a task asks is seen
    at the actor that it asks, and its actor is taken to wait for it if it has
    been at a message for ``slow_seconds`` and waits for no other actor.  So a ring
    is a suspicion; it is over when the deadline of one of the asks is.

    Not seen are waits for anything but an answer, room or an end, such as a start,
    a `Monitor`, a lock or a socket; room that a task waits for; asks that have been
    put off by ``defer_reply`` or stashed; and of the asks that wait in one mailbox
    all but the first 64.

    Attributes:
        paths: The actors, in order.
        by_task: Those of them that wait by a task and not by their handler.
    """

    paths: tuple[str, ...]
    by_task: frozenset[str]

    def __str__(self) -> str:
        steps = (
            f"{path} (by a task)" if path in self.by_task else path
            for path in self.paths
        )
        return " -> ".join([*steps, self.paths[0]])


@final
@dataclass(frozen=True, slots=True)
class TreeNode:
    """One actor, at the moment of looking.

    Attributes:
        path: Where it stands.
        actor: The name of its class; empty as long as it was never made.
        state: What it is doing, as its supervisor sees it.
        incarnation: How often this ref was started.
        flags: What is the matter.
        suspended: Whether it takes no messages for now.
        busy: For how many seconds it is at its message, start or stop; None when
            it sleeps or is not there.
        where: The line of the program that it waits at, if it is slow.
        waits: What its handler waits for of other actors.
        waiting: How many messages wait for it.
        lag: For how many seconds the oldest of them has waited, about.
        aside: How many more are stashed, or handled beside the others.
        mailbox: What went through the mailbox; None if only the spec is there.
        failure: How it last failed, under this supervisor.
        failed_child: Of a supervisor: the latest failure among its children,
            those included that are gone.
        starts_in: Seconds until it is started again, if that is set.
        is_supervisor: Whether it has children of its own.
        children: Those, in the order of their start.
    """

    path: str
    actor: str
    state: ChildStatus
    incarnation: int = 0
    flags: frozenset[NodeFlag] = frozenset()
    suspended: bool = False
    busy: float | None = None
    where: str | None = None
    waits: tuple[WaitsFor, ...] = ()
    waiting: int = 0
    lag: float = 0.0
    aside: int = 0
    mailbox: MailboxStatistics | None = None
    failure: Failure | None = None
    failed_child: Failure | None = None
    starts_in: float | None = None
    is_supervisor: bool = False
    # Not in its repr, which would be that of the whole tree.
    children: tuple[TreeNode, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The last part of the path; ``"/"`` of the root."""
        return self.path.rpartition("/")[2] or self.path

    @property
    def restarts(self) -> int:
        """How often this ref was started again."""
        return max(0, self.incarnation - 1)

    def walk(self) -> Iterator[TreeNode]:
        """This node and all below it, each before its children."""
        nodes: list[TreeNode] = [self]
        while nodes:
            node = nodes.pop()
            yield node
            nodes.extend(reversed(node.children))


@final
@dataclass(frozen=True, slots=True)
class Tree:
    """All actors of a system, at the moment of looking.

    Attributes:
        root: The root supervisor, and below it all others.
        at: When, on the clock of the runtime.
        rings: Who waits for each other.
        dead_letters: How many messages were accepted and never handled.
        options: From when on an actor was flagged.
    """

    root: TreeNode
    at: float
    rings: tuple[Ring, ...]
    dead_letters: int
    options: TreeOptions

    def __iter__(self) -> Iterator[TreeNode]:
        """All nodes, each before its children."""
        return self.root.walk()

    def find(self, path: str) -> TreeNode | None:
        """The node at *path*; of an actor that cannot be killed and the one that
        took its place, the latter."""
        nodes = [node for node in self if node.path == path]
        return min(nodes, key=lambda n: NodeFlag.UNKILLABLE in n.flags, default=None)

    def flagged(self) -> tuple[TreeNode, ...]:
        """All that something is the matter with."""
        return tuple(node for node in self if node.flags)

    @property
    def counts(self) -> Mapping[NodeFlag, int]:
        """How many actors have each flag; flags that none has are left out."""
        return count_flags(self)

    def format(self, *, width: int = 100, children: int = 20) -> str:
        """As a table for people: one line for each actor, more if there is more to
        say.  Holds no message, and nothing of one.

        Args:
            width: Columns, at least 80.
            children: How many to show of one supervisor's; flagged ones first.
        """
        check_count("children", children)
        check_count("width", width)
        check(width >= 80, "width", "at least 80", width)
        title = [counted(sum(1 for _ in self), "actor", "actors")]
        waiting = sum(node.waiting for node in self)
        if waiting:
            title.append(counted(waiting, "message waits", "messages wait"))
        if self.dead_letters:
            title.append(counted(self.dead_letters, "dead letter", "dead letters"))
        title += _flags(count_flags(self))
        lines = [", ".join(title), draw(_HEAD, _row(self.root, self, children), width)]
        lines += [f"ring of waits: {ring}" for ring in self.rings]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.format()


def count_flags(nodes: Iterable[TreeNode]) -> dict[NodeFlag, int]:
    """How many of *nodes* have each flag, the worst first."""
    counts = Counter(flag for node in nodes for flag in node.flags)
    return {flag: counts[flag] for flag in NodeFlag if counts[flag]}


# -- as text ---------------------------------------------------------------

_HEAD = Row("path", ("class", "state", "restarts", "mail", "lag", "now"))


def _flags(counts: Mapping[NodeFlag, int]) -> list[str]:
    return [f"{count:,} {flag.name}" for flag, count in counts.items()]


def _row(node: TreeNode, tree: Tree, limit: int) -> Row:
    shown = _chosen(node.children, limit)
    below, rest = list[Row](), list[TreeNode]()
    for index, child in enumerate(node.children):
        if index in shown:
            below.append(_row(child, tree, limit))
        else:
            rest.append(child)
    notes = tuple(_notes(node, tree))
    return Row(node.name, _cells(node), notes, tuple(below), _more(rest))


def _chosen(children: tuple[TreeNode, ...], limit: int) -> Container[int]:
    """Which to show: first of all where something is the matter."""
    everybody = range(len(children))
    if len(children) <= limit:
        return everybody

    def is_sound(index: int) -> bool:
        return not any(node.flags for node in children[index].walk())

    return set(sorted(everybody, key=is_sound)[:limit])


def _more(rest: list[TreeNode]) -> str:
    if not rest:
        return ""
    below = [node for child in rest for node in child.walk()]
    words = [f"… {len(rest):,} more"]
    if len(below) > len(rest):
        words.append(counted(len(below), "actor in all", "actors in all"))
    waiting = sum(node.waiting for node in below)
    if waiting:
        words.append(counted(waiting, "message waits", "messages wait"))
    return ", ".join([*words, *_flags(count_flags(below))])


def _cells(node: TreeNode) -> tuple[str, ...]:
    mailbox = node.mailbox
    depth = "" if mailbox is None else str(node.waiting)
    if mailbox is not None and node.waiting:
        depth += f"/{mailbox.capacity}"
    if node.aside:
        depth += f" +{node.aside}"
    return (
        node.actor,
        "suspended" if node.suspended else node.state.value,
        str(node.restarts) if node.restarts else "",
        depth,
        seconds(node.lag) if node.lag >= 0.05 else "",
        _doing(node),
    )


def _doing(node: TreeNode) -> str:
    if node.starts_in is not None:
        return f"starts in {seconds(node.starts_in)}"
    if node.state in (ChildStatus.RESTARTING, ChildStatus.STOPPED):
        return ""
    if node.busy is None:
        return "idle"
    if node.state is ChildStatus.RUNNING:
        return f"handling {seconds(node.busy)}"
    return f"for {seconds(node.busy)}"


def _notes(node: TreeNode, tree: Tree) -> Iterator[str]:
    if node.flags:
        flags = " ".join(flag.name for flag in NodeFlag if flag in node.flags)
        yield f"! {flags}" if node.where is None else f"! {flags} at {node.where}"
    for wait in node.waits:
        left = seconds(wait.seconds_left) if wait.seconds_left < math.inf else ""
        yield f"waits for {_WHAT[wait.what]} {wait.path}" + (left and f", {left} left")
    for failure in _failures(node):
        who = "" if failure.path == node.path else f"{failure.path} "
        yield f"{who}failed {seconds(tree.at - failure.at)} ago: {failure}"


_WHAT = {"answer": "an answer of", "room": "room at", "end": "the end of"}


def _failures(node: TreeNode) -> Iterator[Failure]:
    if node.failure is not None:
        yield node.failure
    # Unless it stands at the child itself.
    failed = node.failed_child
    if failed is not None and all(c.failure is not failed for c in node.children):
        yield failed
