"""Family: what every supervisor does for its children, whatever its strategy.

It is an actor of which only the system lane is used: a failed child, a backoff
that is over.  Its orders (start, stop, look) are plain methods, which act in the
caller's task in one step, so they are answered also while children start or
stop for a long time.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import anyio

from ..actors import (
    Actor,
    ActorNotAlive,
    ActorRef,
    Cell,
    Declined,
    ExitReason,
    GaveUp,
    Shutdown,
    StartError,
    error_of,
    is_abnormal,
)
from ._child import Child, ChildInfo, Retry, end_children
from ._errors import ChildDeclined, SupervisorError
from ._intensity import Backoff, Intensity, Window
from ._spec import ChildSpec, Restart
from ._strategy import AutoShutdown, restarts

_log = logging.getLogger("greenroom.supervision")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """System message: a child has exited and is to be started again."""

    child: Child
    incarnation: int
    reason: ExitReason


FamilyMessage: TypeAlias = Failed | Retry


@final
@dataclass(frozen=True, slots=True)
class ChildCounts:
    """How many children there are; OTP's ``count_children``."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Family(Actor[FamilyMessage]):
    """Base of `Supervisor` and `DynamicSupervisor`; not for use by itself."""

    # Whether the spec of a child that has ended stays.
    _keeps_specs = True

    # A stop is an order to stop the children, whatever is being done for them.
    stop_grace = 0.0

    def __init__(
        self,
        *,
        intensity: Intensity,
        backoff: Backoff | None,
        auto_shutdown: AutoShutdown,
        rng: random.Random | None,
    ) -> None:
        for name, value, kind in (
            ("intensity", intensity, Intensity),
            ("backoff", backoff, Backoff | None),
            ("auto_shutdown", auto_shutdown, AutoShutdown),
            ("rng", rng, random.Random | None),
        ):
            if not isinstance(value, kind):
                raise ValueError(f"{name} must be {kind}, got {value!r}")
        self._intensity = intensity
        self._backoff = backoff
        self._auto_shutdown = auto_shutdown
        # Jitter is no secret; injectable so that a simulation can decide it.
        self._rng = rng or random.Random()
        self._window = Window(intensity)
        # All children, in the order of their start.
        self._by_id: dict[str, Child] = {}
        # Whether children may be started and restarted.
        self._open = False

    # -- what a subclass says ----------------------------------------------

    async def _restart(self, child: Child, delay: float) -> None:
        """Start *child* again, and whoever shares its fate, after *delay*."""
        raise NotImplementedError

    async def _end_all(self) -> None:
        """End all children, in the order that is the subclass's promise."""
        raise NotImplementedError

    # -- looking: answers at once ------------------------------------------

    def children(self) -> tuple[ChildInfo, ...]:
        """All children, in the order of their start."""
        return tuple(child.info() for child in self._by_id.values())

    def count_children(self) -> ChildCounts:
        """How many there are."""
        children = self._by_id.values()
        supervisors = sum(child.is_supervisor for child in children)
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
            raise ActorNotAlive(type(self).__name__, "it is not running")

    def _launch(self, child: Child) -> Cell[Any]:
        return child.start(self.context.runtime, self.context.path)

    async def _start(self, child: Child) -> ExitReason | None:
        """Start *child* and wait until it runs; return why not, if it does not.

        Cancelled, the child goes on, supervised as if nobody had waited.
        """
        cell = self._launch(child)
        child.awaited = True
        try:
            reason = await cell.wait_started()
        finally:
            child.awaited = False
        if reason is None:
            child.is_supervisor = isinstance(cell.actor, Family)
        return reason

    async def _start_on_order(
        self, child: Child, *, keep_failed: bool, keep_declined: bool
    ) -> ActorRef[Any]:
        """Start *child* for somebody, who is told how it went.

        Raises:
            StartError: It failed.
            ChildDeclined: It declined.
        """
        reason = await self._start(child)
        cell = child.cell
        if reason is None and cell is not None:
            return cell.ref
        path = self._path_of(child)
        reason = Shutdown() if reason is None else reason
        child.end(reason)
        if isinstance(reason, Declined):
            if not keep_declined:
                self._remove(child)
            raise ChildDeclined(path)
        if not keep_failed:
            self._remove(child)
        raise start_error(path, reason)

    def _remove(self, child: Child) -> None:
        """Forget *child*, spec and all, unless its id is another's by now."""
        if self._by_id.get(child.spec.id) is child:
            del self._by_id[child.spec.id]

    def _path_of(self, child: Child) -> str:
        return f"{self.context.path.rstrip('/')}/{child.spec.id}"

    # -- what the children report, see Keeper ------------------------------

    def would_restart(self, child: Child, reason: ExitReason) -> bool:
        """Whether *child* would be started again after *reason*."""
        # One that declines is not needed: no failure, whatever its type.
        declined = isinstance(reason, Declined)
        return self._open and not declined and restarts(child.spec.restart, reason)

    def exited(self, child: Child, reason: ExitReason) -> None:
        """Decide what the exit of *child* means.  Runs in the dying task."""
        assert child.cell is not None
        if is_abnormal(reason):
            # Once for each failure; ends that were asked for are nobody's news.
            path = self._path_of(child)
            _log.error("%s failed: %s", path, reason, exc_info=error_of(reason))
        if self.would_restart(child, reason):
            failed = Failed(child, child.cell.incarnation, reason)
            self.context.mailbox.put_system(failed)
            return
        child.end(reason)
        if child.spec.restart is Restart.TEMPORARY or not self._keeps_specs:
            self._remove(child)
        self._consider_auto_shutdown(child)

    def backoff_over(self, retry: Retry) -> None:
        """A child has waited long enough for its next start."""
        self.context.mailbox.put_system(retry)

    def _consider_auto_shutdown(self, ended: Child) -> None:
        if not self._open or not ended.spec.significant:
            return
        if self._auto_shutdown is AutoShutdown.ALL_SIGNIFICANT and any(
            child.spec.significant and child.cell is not None
            for child in self._by_id.values()
        ):
            return
        self.context.stop(Shutdown("auto_shutdown"))

    # -- restarting --------------------------------------------------------

    async def receive(self, message: FamilyMessage) -> None:
        """See to a child that has failed, or whose backoff is over."""
        match message:
            case Failed(child, incarnation, reason):
                cell = child.cell
                # Else it was ended, or started again, by somebody's order.
                if (
                    cell is not None
                    and cell.incarnation == incarnation
                    and not child.ending
                ):
                    await self._failed(child, reason)
            case Retry(child=child):
                if child.retry is message:
                    child.retry = None
                    await self._restart(child, 0.0)
            case _:
                _log.warning("%s takes no messages", self.context.path)

    async def _failed(self, child: Child, reason: ExitReason) -> None:
        now = self.context.runtime.now()
        if self._window.allows(now):
            await self._restart(child, self._delay(child, now))
            return
        # The path is that of the failure with which it began.
        path = reason.child if isinstance(reason, GaveUp) else self._path_of(child)
        self.context.stop(GaveUp(path, error_of(reason)))

    def _delay(self, child: Child, now: float) -> float:
        if self._backoff is None:
            return 0.0
        if now - child.started_at >= self._backoff.stable_seconds:
            child.failures = 0
        child.failures += 1
        return self._backoff.delay(child.failures, self._rng)

    def _retry_later(self, child: Child, delay: float) -> None:
        runtime = self.context.runtime
        child.retry = Retry(child, runtime.now() + delay, self)
        runtime.deadlines.add(child.retry)

    # -- ending ------------------------------------------------------------

    async def stopped(self, reason: ExitReason) -> None:
        """End all children; how long that takes is up to their deadlines."""
        self._open = False
        await self._end_all()

    def killed(self) -> None:
        """Kill all children: nobody will be left to stop them."""
        self._open = False
        for child in tuple(self._by_id.values()):
            if child.live:
                assert child.cell is not None
                child.cell.kill()
            else:
                child.end(Shutdown())

    async def _end_on_order(self, child: Child) -> None:
        """End *child*, for a caller who may be cancelled meanwhile.

        Done by a task of the supervisor's, so that the deadline holds and the
        child is gone in the end whatever becomes of the caller.
        """
        done = anyio.Event()

        async def end() -> None:
            try:
                await end_children([child])
                if child.spec.restart is Restart.TEMPORARY:
                    self._remove(child)
            finally:
                done.set()

        self.context.start_soon(end)
        await done.wait()


def start_error(path: str, reason: ExitReason) -> StartError:
    """The error for somebody who waited for a start."""
    error = error_of(reason)
    if error is None:
        error = SupervisorError(f"it ended as it started: {reason}")
    return StartError(path, error)
