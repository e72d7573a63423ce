"""Supervisor: fixed children, started in order and stopped in reverse."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, final

import anyio

from ..actors import ActorRef, Cell, Declined, ExitReason
from ._child import Child, end_children
from ._errors import ChildExists, ChildNotFound, ChildRunning
from ._family import Failed, Family, start_error
from ._intensity import Backoff, Intensity, Window
from ._spec import ChildSpec, Restart
from ._strategy import AutoShutdown, Strategy, affected

M = TypeVar("M")


@final
class Supervisor(Family):
    """Starts its children in order, restarts those that fail, stops all in reverse.

    The object is the actor and what its orders are given to; they work while it
    runs.  If a supervisor is itself a child, its factory makes the object anew
    at each restart: `supervisor_of` finds the present one.

    A failure beyond *intensity* ends the supervisor with `GaveUp`, after its
    children, and its own supervisor decides; unlike in OTP that counts as a
    failure whatever the restart type.

    Args:
        children: What to start, in this order.
        strategy: Who shares the fate of a child that fails.
        intensity: How many restarts are allowed in how many seconds.  A group
            restart is one; each attempt to start that fails is one.
        backoff: How long a child that fails in a row waits; None for not at all.
        auto_shutdown: Whether the end of significant children ends it.
        rng: Where the jitter of the backoff comes from.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec[Any]] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            intensity=intensity, backoff=backoff, auto_shutdown=auto_shutdown, rng=rng
        )
        made: object = strategy
        if not isinstance(made, Strategy):
            raise ValueError(f"strategy must be a Strategy, got {strategy!r}")
        self._strategy = strategy
        self._specs = tuple(children)
        ids: set[str] = set()
        for spec in self._specs:
            checked: object = spec
            if not isinstance(checked, ChildSpec):
                raise ValueError(f"children must be ChildSpecs, got {spec!r}")
            if spec.id in ids:
                raise ValueError(
                    f"children must have unique ids, got {spec.id!r} twice"
                )
            ids.add(spec.id)
            self._check_significant(spec)

    # -- orders ------------------------------------------------------------

    async def start_child(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Add a child and start it; it will stop first.

        Cancelled while it starts, the child stays, and is supervised.

        Raises:
            ChildExists: Its id is taken; ``ref`` says by whom.
            StartError: It failed to start, and was forgotten.
            ChildDeclined: It declined; unless temporary, its spec is kept.
            ActorNotAlive: The supervisor is not running.
        """
        checked: object = spec
        if not isinstance(checked, ChildSpec):
            raise ValueError(f"spec must be a ChildSpec, got {spec!r}")
        self._require_open()
        self._check_significant(spec)
        if spec.id in self._by_id:
            raise ChildExists(spec.id, self._by_id[spec.id].ref)
        child = Child(spec, self)
        self._by_id[spec.id] = child
        return await self._start_on_order(
            child,
            keep_failed=False,
            keep_declined=spec.restart is not Restart.TEMPORARY,
        )

    async def stop_child(self, id: str) -> None:
        """Stop a child within its deadline; its spec is kept unless temporary.

        OTP's ``terminate_child``.  Also ends a child that is starting, or waits
        for its restart.  Stopping one that is stopped is fine.  Cancelling this
        leaves the child stopping.

        Raises:
            ChildNotFound: There is no child with that id.
        """
        self._require_open()
        await self._end_on_order(self._get(id))

    async def restart_child(self, id: str) -> ActorRef[Any]:
        """Start a child that was stopped, under a new ref.

        Raises:
            ChildNotFound: There is no child with that id.
            ChildRunning: It runs, or is being restarted.
            StartError: It failed to start; its spec is kept.
            ChildDeclined: It declined; its spec is kept.
        """
        self._require_open()
        child = self._get(id)
        if child.cell is not None:
            raise ChildRunning(id)
        return await self._start_on_order(child, keep_failed=True, keep_declined=True)

    def delete_child(self, id: str) -> None:
        """Forget the spec of a child that was stopped.

        Raises:
            ChildNotFound: There is no child with that id.
            ChildRunning: It runs, or is being restarted.
        """
        child = self._get(id)
        if child.cell is not None:
            raise ChildRunning(id)
        self._remove(child)

    def child(self, id: str) -> ActorRef[Any] | None:
        """The ref of a child; None if only its spec is there.

        Raises:
            ChildNotFound: There is no child with that id.
        """
        return self._get(id).ref

    def spec(self, id: str) -> ChildSpec[Any]:
        """The spec of a child.

        Raises:
            ChildNotFound: There is no child with that id.
        """
        return self._get(id).spec

    def _get(self, id: str) -> Child:
        child = self._by_id.get(id)
        if child is None:
            raise ChildNotFound(id)
        return child

    # -- the actor ---------------------------------------------------------

    async def started(self) -> None:
        """Start the children in order; if one fails, stop those before it."""
        self._window = Window(self._intensity)
        self._by_id = {spec.id: Child(spec, self) for spec in self._specs}
        self._open = True
        try:
            for child in tuple(self._by_id.values()):
                if self._by_id.get(child.spec.id) is child:
                    await self._start_first(child)
        except BaseException:
            self._open = False
            with anyio.CancelScope(shield=True):
                await self._end_all()
            raise

    async def _start_first(self, child: Child) -> None:
        reason = await self._start(child)
        if reason is None:
            return
        path = self._path_of(child)
        child.end(reason)
        if isinstance(reason, Declined):
            if child.spec.restart is Restart.TEMPORARY:
                self._remove(child)
        elif not child.ending:
            raise start_error(path, reason)

    async def _restart(self, child: Child, delay: float) -> None:
        children = list(self._by_id.values())
        group = affected(self._strategy, children, child)
        for other in reversed(group):
            if other is not child and (other.live or other.retry is not None):
                temporary = other.spec.restart is Restart.TEMPORARY
                await end_children([other], keep=not temporary)
                if temporary:
                    self._remove(other)
        if delay > 0:
            self._retry_later(child, delay)
        elif len(group) == 1 and self._strategy is Strategy.ONE_FOR_ONE:
            # Not waited for: how it went is told by its exit, if it does not.
            self._launch(child)
        else:
            await self._start_group([c for c in group if c.spec.id in self._by_id])

    async def _start_group(self, group: Sequence[Child]) -> None:
        for child in group:
            if child.live:
                continue
            reason = await self._start(child)
            if reason is None:
                continue
            if isinstance(reason, Declined) or child.ending or child.cell is None:
                child.end(reason)
                continue
            # Once more, from this one on: its failure counts as one more.
            failed = Failed(child, child.cell.incarnation, reason)
            self.context.mailbox.put_system(failed)
            return

    async def _end_all(self) -> None:
        for child in reversed(tuple(self._by_id.values())):
            await end_children([child])
