"""Family: what every supervisor does for its children, whatever its strategy.

It is an actor of which only the system lane is used: a failed child, a backoff
that is over.  Its orders (start, stop, look) are plain methods, which act in the
caller's task in one step, so they are answered also while children start or
stop for a long time.
"""

from __future__ import annotations

import logging
import random
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar, final

from anyio.lowlevel import checkpoint

from ..actors import (
    ActorNotAlive,
    ActorRef,
    Cell,
    Declined,
    ExitReason,
    GaveUp,
    Killed,
    Shutdown,
    StartError,
    error_of,
    is_abnormal,
)
from ._check import check_is
from ._child import Child, ChildInfo, Keeper, Retry
from ._errors import ChildDeclined, ChildExists, SupervisorError, TooManyChildren
from ._intensity import Backoff, Intensity, Window
from ._news import FAMILY_NEWS, Escalated, Failed, FamilyNews, Finished
from ._spec import BRUTAL_KILL, ChildSpec, Restart
from ._strategy import AutoShutdown, escalates_on, restarts, restarts_on

M = TypeVar("M")

_log = logging.getLogger("greenroom.supervision")

STARTS_PER_TURN = 64


@final
@dataclass(frozen=True, slots=True)
class ChildCounts:
    """How many children there are; OTP's ``count_children``."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Family(Keeper[M]):
    """Base of all supervisors; not for use by itself."""

    # Whether the spec of a child that has ended stays.
    _keeps_specs = True

    # None for as many as there may be.
    _max_children: int | None = None

    # A stop is an order to stop the children, whatever is being done for them.
    stop_grace: float = 0.0

    def __init__(
        self,
        *,
        intensity: Intensity,
        backoff: Backoff | None,
        auto_shutdown: AutoShutdown,
        rng: random.Random | None,
    ) -> None:
        check_is("intensity", intensity, Intensity)
        check_is("backoff", backoff, Backoff | None)
        check_is("auto_shutdown", auto_shutdown, AutoShutdown)
        check_is("rng", rng, random.Random | None)
        self._intensity = intensity
        self._backoff = backoff
        self._auto_shutdown = auto_shutdown
        # Jitter is no secret; injectable so that a simulation can decide it.
        # From the common one, which a simulation seeds.
        self._rng = rng or random.Random(random.getrandbits(64))
        self._window = Window(intensity)
        # All children, in the order of their start.
        self._by_id: dict[str, Child] = {}
        # Whether children may be started and restarted.
        self._open = False
        self._starts = 0

    def _begin(self) -> None:
        """Be as new: the same object may be started again."""
        self._window = Window(self._intensity)
        self._by_id = {}
        self._open = True

    @abstractmethod
    async def _end_all(self) -> None:
        """End all children, in the order that is the subclass's promise."""

    # -- looking: answers at once ------------------------------------------

    def children(self) -> tuple[ChildInfo, ...]:
        """All children, in the order of their start."""
        return tuple(child.info() for child in self._by_id.values())

    def count_children(self) -> ChildCounts:
        """How many there are."""
        children = self._by_id.values()
        supervisors = sum(child.family is not None for child in children)
        return ChildCounts(
            specs=len(children),
            active=sum(child.live for child in children),
            supervisors=supervisors,
            workers=len(children) - supervisors,
        )

    # -- starting ----------------------------------------------------------

    def _check_significant(self, spec: ChildSpec[Any]) -> None:
        if spec.significant and self._auto_shutdown is AutoShutdown.NEVER:
            raise ValueError(
                f"child {spec.id!r} must not be significant: auto_shutdown is NEVER"
            )

    def _require_open(self) -> None:
        if not self._open:
            raise ActorNotAlive(self._path, "it takes orders only while it runs")

    @property
    def _path(self) -> str:
        # Without a context it was never started.
        return self.context.path if hasattr(self, "context") else "supervisor"

    def _add(self, spec: ChildSpec[Any]) -> Child:
        """A new child, to be started."""
        check_is("spec", spec, ChildSpec)
        self._require_open()
        self._check_significant(spec)
        if spec.id in self._by_id:
            raise ChildExists(spec.id, self._by_id[spec.id].ref)
        limit = self._max_children
        if limit is not None and len(self._by_id) >= limit:
            raise TooManyChildren(limit)
        child = self._by_id[spec.id] = Child(spec, self, fresh=True)
        return child

    async def _start(self, child: Child) -> ActorRef[Any]:
        """Start *child* for somebody who waits until it runs.

        Cancelled, the child goes on, supervised as if nobody had waited.

        Raises:
            ChildDeclined: It declined.
            StartError: It failed.
        """
        cell = self._launch(child, ordered=True)
        try:
            # Most run at once, and waiting for them lets nobody else have a turn.
            self._starts += 1
            if self._starts % STARTS_PER_TURN == 0:
                await checkpoint()
            reason = await cell.wait_started()
        finally:
            # Ended and started again meanwhile, it is another's order.
            if child.ordered is cell:
                child.ordered = None
        if reason is None:
            return cell.ref
        if isinstance(reason, Declined):
            raise ChildDeclined(cell.path)
        error = error_of(reason)
        if error is None:
            error = SupervisorError(f"it ended as it started: {reason}")
        raise StartError(cell.path, error)

    def _launch(self, child: Child, *, ordered: bool = False) -> Cell[Any]:
        """Start *child*; its exit tells if that fails."""
        context = self.context
        path = f"{context.path.rstrip('/')}/{child.spec.id}"
        return child.start(context.runtime, path, ordered=ordered)

    # -- what the children report, see Keeper ------------------------------

    def would_restart(self, child: Child, reason: ExitReason) -> bool:
        """Whether *child* would be started again after *reason*."""
        return (
            self._open
            and restarts(child.spec.restart, reason)
            and not escalates_on(child.spec.escalate_on, reason)
            and restarts_on(child.spec.restart_on, reason)
            # One that declines is not needed: no failure, whatever its type.
            and not isinstance(reason, Declined)
            # The system ends, and the one who ended it must not come back.
            and self.context.runtime.fatal_error is None
        )

    def exited(self, child: Child, cell: Cell[Any], reason: ExitReason) -> None:
        """Decide what an exit means.  Runs in the dying task."""
        if child.ordered is cell and not cell.ran:
            # It did not start, and the one who waits for that is told.
            child.end(reason)
            if child.fresh and not isinstance(reason, Declined):
                self._remove(child)
            return
        ordered = child.ending and child.spec.shutdown == BRUTAL_KILL
        if is_abnormal(reason) and not (ordered and isinstance(reason, Killed)):
            self._report(cell, reason)
        if child.ending:
            child.drop()
        elif self.would_restart(child, reason):
            now = self.context.runtime.now()
            failed = Failed(child, cell, cell.incarnation, reason, now)
            self.context.mailbox.put_system(failed)
        else:
            child.end(reason)
            # Not at once: it may still be starting its other children.
            if escalates_on(child.spec.escalate_on, reason):
                self.context.mailbox.put_system(Escalated(cell.path, reason))
            elif self._significant_are_gone(child):
                self.context.mailbox.put_system(Finished())

    def ended(self, child: Child) -> None:
        """Forget *child*, spec and all, unless that is what stays."""
        if child.spec.restart is Restart.TEMPORARY or not self._keeps_specs:
            self._remove(child)

    def backoff_over(self, retry: Retry) -> None:
        """A child has waited long enough for its next start."""
        self.context.mailbox.put_system(retry)

    def _remove(self, child: Child) -> None:
        # Unless it is gone already, and its id another's.
        if self._by_id.get(child.spec.id) is child:
            del self._by_id[child.spec.id]

    def _report(self, cell: Cell[Any], reason: ExitReason) -> None:
        # Each error is shown once, by the supervisor next to it.
        error = None if isinstance(reason, GaveUp) else error_of(reason)
        report = cell.report or f"{cell.path} failed: {reason}"
        extra = {"crash": cell.report}
        _log.error("%s", report, exc_info=error, extra=extra)

    def _significant_are_gone(self, ended: Child) -> bool:
        if not ended.spec.significant:
            return False
        return self._auto_shutdown is AutoShutdown.ANY_SIGNIFICANT or not any(
            child.spec.significant and child.cell is not None
            for child in self._by_id.values()
        )

    # -- restarting --------------------------------------------------------

    def receive(self, message: M | FamilyNews) -> object:
        """See to a child that has failed, or whose backoff is over."""
        if not isinstance(message, FAMILY_NEWS):
            _log.warning("%s takes no messages", self.context.path)
            return None
        return self._tend(message)

    async def _tend(self, message: FamilyNews) -> None:
        match message:
            case _ if not self._open:
                pass  # it gave up over a message before this one
            case Failed():
                if not message.is_current:
                    pass
                elif self._allows(message):
                    await self._restart(message.child, self._delay(message))
                else:
                    self._give_up(message.cell.path, message.reason)
            case Retry(child=child):
                if child.retry is message:
                    child.retry = None
                    await self._restart(child, 0.0)
            case Finished():
                self._finish()
            case _:
                self._give_up(message.path, message.reason)

    def _allows(self, failed: Failed) -> bool:
        window = failed.child.window or self._window
        return window.allows(failed.at)

    def _give_up(self, path: str, reason: ExitReason) -> None:
        self._open = False
        if isinstance(reason, GaveUp):
            # The path is that of the failure with which it began.
            path = reason.child
        self.context.stop(GaveUp(path, error_of(reason)))

    def _finish(self) -> None:
        self.context.stop(Shutdown("auto_shutdown"))

    def _delay(self, failed: Failed) -> float:
        child, backoff = failed.child, self._backoff
        if backoff is None:
            return 0.0
        life, lasted = failed.cell.life, failed.at - child.started_at
        assert life is not None
        # A start that fails after a long time has not lasted.
        if life.ran and lasted >= backoff.stable_seconds:
            child.failures = 0
        child.failures += 1
        return backoff.delay(child.failures, self._rng)

    async def _restart(self, child: Child, delay: float) -> None:
        """Start *child* again, and whoever shares its fate, after *delay*."""
        if delay > 0:
            child.start_later(self.context.runtime, delay)
        else:
            # Not waited for: how it went is told by its exit, if it does not.
            self._launch(child)

    # -- ending ------------------------------------------------------------

    async def _stop(self, child: Child) -> None:
        """End *child* for somebody who waits until it has ended."""
        ref = child.ref
        child.begin_end()
        if ref is not None:
            # By its ref, which refuses to wait for the one who waits.
            await ref.wait_stopped()

    async def stopped(self, reason: ExitReason) -> None:
        """End all children; how long that takes is up to their deadlines."""
        await self._end_family()

    async def _end_family(self) -> None:
        self._open = False
        children = tuple(self._by_id.values())
        # Those that are down first: who waits for an answer of theirs shall not
        # wait for the end of the others.
        for child in children:
            if not child.live:
                child.begin_end()
        try:
            await self._end_all()
        except BaseException:
            self.killed()
            raise

    def killed(self) -> None:
        """End all children at once: there is no time, or nobody will be left."""
        self._open = False
        for child in tuple(self._by_id.values()):
            child.kill()
