"""Fixed: the supervisors whose children are known when they are made."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import anyio

from ..actors import ActorRef, StartError
from ._check import check, check_is
from ._child import Child, end_children
from ._errors import ChildDeclined
from ._family import Family
from ._intensity import Backoff, Intensity
from ._spec import ChildSpec
from ._strategy import AutoShutdown

M = TypeVar("M")


class Fixed(Family[M]):
    """Starts what it was made with, in order; stops it in reverse, or all at once."""

    def __init__(
        self,
        children: Iterable[ChildSpec[Any]],
        *,
        parallel: bool,
        intensity: Intensity,
        backoff: Backoff | None,
        auto_shutdown: AutoShutdown,
        rng: random.Random | None,
    ) -> None:
        super().__init__(
            intensity=intensity, backoff=backoff, auto_shutdown=auto_shutdown, rng=rng
        )
        check_is("parallel", parallel, bool)
        self._parallel = parallel
        self._specs = tuple(children)
        ids: set[str] = set()
        for spec in self._specs:
            check_is("a child", spec, ChildSpec)
            check(spec.id not in ids, "children", "of unique ids", spec.id)
            ids.add(spec.id)
            self._check_significant(spec)

    def _begin(self) -> None:
        super()._begin()
        self._by_id = {spec.id: Child(spec, self) for spec in self._specs}

    async def started(self) -> None:
        """Start the children in order; if one fails, stop those before it."""
        self._begin()
        try:
            for child in tuple(self._by_id.values()):
                await self._start_first(child)
        except BaseException:
            # Also when that is a cancellation: they end in order or not at all.
            with anyio.CancelScope(shield=True):
                await self._end_family()
            raise

    async def _start_first(self, child: Child) -> None:
        if not self._may_start(child):
            return
        try:
            await self._start(child)
        except ChildDeclined:
            pass
        except StartError:
            # If it was stopped by order, that is no failure.
            if not child.dismissed:
                raise

    async def _start_again(self, child: Child) -> ActorRef[Any]:
        """Start *child*, which has ended, by somebody's order; see `_start`."""
        child.fresh = False
        child.failures = 0
        return await self._start(child)

    def _may_start(self, child: Child) -> bool:
        """Whether nobody has started, stopped or deleted *child* meanwhile.

        Nor told this supervisor to end: one that is woken and killed in one moment
        still gets here.
        """
        there = self._by_id.get(child.spec.id) is child
        return self._open and there and not child.live and not child.dismissed

    async def _end(self, children: Sequence[Child], *, keep: bool = False) -> None:
        """End *children*, the last one first; see `end_children`."""
        backwards = children[::-1]
        if self._parallel:
            await end_children(backwards, keep=keep)
            return
        for child in backwards:
            await end_children([child], keep=keep)

    async def _end_all(self) -> None:
        await self._end(tuple(self._by_id.values()))
