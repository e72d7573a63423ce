"""DynamicSupervisor: children on demand, each for itself, stopped all at once."""

from __future__ import annotations

import itertools
import random
from typing import Any, TypeVar, final

from ..actors import ActorRef
from ._check import check_count
from ._child import end_children
from ._errors import ChildNotFound
from ._family import Family
from ._intensity import Backoff, Intensity
from ._news import FamilyNews
from ._spec import ChildSpec
from ._strategy import AutoShutdown

M = TypeVar("M")


@final
class DynamicSupervisor(Family[FamilyNews]):
    """Starts children when told to; restarts each for itself; stops all at once.

    The object is the actor and what its orders are given to; they work while it
    runs.  A child that has ended for good leaves nothing behind.

    Args:
        max_children: How many there may be, restarting ones included; None for
            no limit.
        intensity: How many restarts are allowed in how many seconds, over all
            children; one more ends the supervisor with `GaveUp`.
        backoff: How long a child that fails in a row waits; None for not at all.
        auto_shutdown: Whether the end of significant children ends it.
        rng: Where the jitter of the backoff comes from.
    """

    _keeps_specs = False

    def __init__(
        self,
        *,
        max_children: int | None = None,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            intensity=intensity, backoff=backoff, auto_shutdown=auto_shutdown, rng=rng
        )
        if max_children is not None:
            check_count("max_children", max_children)
        self._max_children = max_children
        self._numbers = itertools.count(1)

    async def start_child(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Start a child.

        Cancelled while it starts, the child stays, and is supervised.

        Raises:
            ChildExists: Its id is taken; ``ref`` says by whom.
            TooManyChildren: There are ``max_children`` already.
            StartError: It failed to start, and was forgotten.
            ChildDeclined: It declined, and was forgotten.
            ActorNotAlive: The supervisor is not running.
        """
        return await self._start(self._add(spec))

    def next_id(self, prefix: str = "") -> str:
        """An id that this has not returned before."""
        return f"{prefix}{next(self._numbers)}"

    async def stop_child(self, ref: ActorRef[Any]) -> None:
        """Stop a child within its deadline and forget it.

        Also one that starts or waits for its restart; one that has ended is
        fine.  Cancelled, the child ends all the same.

        Raises:
            ChildNotFound: *ref* is not below this supervisor.
            AskCycle: It is the one that calls, or waits for it; it stops all the
                same.
            ActorNotAlive: The supervisor is not running.
        """
        self._require_open()
        if ref.path != f"{self.context.path.rstrip('/')}/{ref.name}":
            raise ChildNotFound(ref)
        child = self._by_id.get(ref.name)
        if child is not None and child.ref is ref:
            await self._stop(child)

    def spec(self, ref: ActorRef[M]) -> ChildSpec[M]:
        """The spec of a child.

        Raises:
            ChildNotFound: *ref* is no child of this supervisor, or no longer.
        """
        child = self._by_id.get(ref.name)
        if child is None or child.ref is not ref:
            raise ChildNotFound(ref)
        return child.spec

    # -- the actor ---------------------------------------------------------

    async def started(self) -> None:
        """Be ready, without children."""
        self._begin()

    async def _end_all(self) -> None:
        await end_children(tuple(self._by_id.values()))
