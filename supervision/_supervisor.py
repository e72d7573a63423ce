"""Supervisor: fixed children, started in order and stopped in reverse."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, final

from ..actors import ActorRef
from ._check import check_is
from ._child import Child
from ._errors import ChildNotFound, ChildRunning
from ._fixed import Fixed
from ._intensity import Backoff, Intensity
from ._news import Escalated, Failed, FamilyNews
from ._spec import ChildSpec, Restart
from ._strategy import AutoShutdown, Strategy, affected

M = TypeVar("M")


@final
class Supervisor(Fixed[FamilyNews]):
    """Starts its children in order, restarts those that fail, stops all in reverse.

    The object is the actor and what its orders are given to; they work while it
    runs.  The factory of a supervisor that is itself a child may return the same
    object each time: it begins anew, with the children it was made with.

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
        parallel: Whether its children are stopped all at once, each within its
            own deadline, and not one after the other.  For some of the children
            of a supervisor, put those under one of their own.
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
        parallel: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            children,
            parallel=parallel,
            intensity=intensity,
            backoff=backoff,
            auto_shutdown=auto_shutdown,
            rng=rng,
        )
        check_is("strategy", strategy, Strategy)
        self._strategy = strategy

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
        return await self._start(self._add(spec))

    async def stop_child(self, id: str) -> None:
        """Stop a child within its deadline; keep its spec unless it is temporary.

        Also one that starts or waits for its restart; those that went down with
        it and wait for the same restart are stopped as well.  One that is
        stopped is fine.  No restart of others brings it back.  Cancelled, the
        child ends all the same.

        Raises:
            ChildNotFound: There is no child with that id.
            AskCycle: It is the one that calls, or waits for it; it stops all the
                same.
            ActorNotAlive: The supervisor is not running.
        """
        self._require_open()
        child = self._get(id)
        if child.retry is not None:
            for other in self._group(child):
                if other.ending and other.retry is None and not other.live:
                    other.begin_end()
        child.dismissed = True
        await self._stop(child)

    async def restart_child(self, id: str) -> ActorRef[Any]:
        """Start a child of which only the spec is there.

        Cancelled while it starts, the child is supervised.

        Raises:
            ChildNotFound: There is no child with that id.
            ChildRunning: It runs, or is being restarted.
            StartError: It failed to start; its spec is kept.
            ChildDeclined: It declined; its spec is kept.
            ActorNotAlive: The supervisor is not running.
        """
        self._require_open()
        child = self._get(id)
        if child.cell is not None:
            raise ChildRunning(id)
        return await self._start_again(child)

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

    def settle(self) -> None:
        """Give up at once, if it would over what it has not come to yet.

        For who is about to stop it: a stop must not hide a failure before it.
        """
        # Who goes down with one that is allowed to fail has not failed itself.
        bystanders: list[Child] = []
        for news in tuple(self.context.mailbox.system or ()):
            if not self._open:
                break
            if isinstance(news, Escalated):
                self._give_up(news.path, news.reason)
            elif (
                isinstance(news, Failed)
                and news.is_current
                and news.child not in bystanders
            ):
                if self._allows(news):
                    bystanders += self._group(news.child)
                else:
                    self._give_up(news.cell.path, news.reason)

    def _group(self, child: Child) -> Sequence[Child]:
        return affected(self._strategy, tuple(self._by_id.values()), child)

    async def _restart(self, child: Child, delay: float) -> None:
        if self._strategy is Strategy.ONE_FOR_ONE:
            await super()._restart(child, delay)
            return
        group = self._group(child)
        others = [other for other in group if other is not child]
        # All at once, so that what they do while they wait for their turn is
        # part of this one incident.
        for other in others:
            other.mark(keep=other.spec.restart is not Restart.TEMPORARY)
        await self._end(others, keep=True)
        # If it was stopped by order meanwhile there is nothing to wait for.
        if delay > 0 and child.cell is not None:
            await super()._restart(child, delay)
        else:
            await self._start_group(group)

    async def _start_group(self, group: Sequence[Child]) -> None:
        pause = self.context.runtime.pause
        for child in group:
            if pause is not None:
                await pause("restart")
            if not self._may_start(child):
                continue
            cell = self._launch(child)
            if await cell.wait_started() is not None and child.cell is cell:
                # It will be tried again, and its group with it: its exit has
                # said so.  The rest stays down until then.
                return
