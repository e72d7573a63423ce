"""DynamicSupervisor: children on demand, each for itself, stopped all at once."""

from __future__ import annotations

import itertools
import random
from typing import Any, TypeVar, final

from ..actors import ActorRef
from ._child import Child, end_children
from ._errors import ChildExists, ChildNotFound, TooManyChildren
from ._family import Family
from ._intensity import Backoff, Intensity, Window
from ._spec import ChildSpec
from ._strategy import AutoShutdown

M = TypeVar("M")


@final
class DynamicSupervisor(Family):
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
        limit: object = max_children
        if limit is not None and (
            not isinstance(limit, int) or isinstance(limit, bool) or limit < 0
        ):
            raise ValueError(
                f"max_children must be an int of at least 0 or None, got {limit!r}"
            )
        self._max_children = max_children
        self._numbers = itertools.count(1)

    async def start_child(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Start a child.

        Cancelled while it starts, the child stays, and is supervised.

        Raises:
            TooManyChildren: There are ``max_children`` already.
            ChildExists: Its id is taken; ``ref`` says by whom.
            StartError: It failed to start, and was forgotten.
            ChildDeclined: It declined, and was forgotten.
            ActorNotAlive: The supervisor is not running.
        """
        checked: object = spec
        if not isinstance(checked, ChildSpec):
            raise ValueError(f"spec must be a ChildSpec, got {spec!r}")
        self._require_open()
        self._check_significant(spec)
        if spec.id in self._by_id:
            raise ChildExists(spec.id, self._by_id[spec.id].ref)
        if self._max_children is not None and len(self._by_id) >= self._max_children:
            raise TooManyChildren(self._max_children)
        child = Child(spec, self)
        self._by_id[spec.id] = child
        return await self._start_on_order(child, keep_failed=False, keep_declined=False)

    def next_id(self, prefix: str = "") -> str:
        """An id that no child of this supervisor has had."""
        return f"{prefix}{next(self._numbers)}"

    async def stop_child(self, ref: ActorRef[Any]) -> None:
        """Stop a child within its deadline and forget it.

        Also one that starts or waits for its restart; one that has ended is
        fine.  Cancelling this leaves the child stopping.

        Raises:
            ChildNotFound: *ref* is not below this supervisor.
        """
        self._require_open()
        if ref.path != f"{self.context.path.rstrip('/')}/{ref.name}":
            raise ChildNotFound(ref)
        child = self._by_id.get(ref.name)
        if child is None or child.ref is not ref:
            return
        await self._end_on_order(child)
        self._remove(child)

    # -- the actor ---------------------------------------------------------

    async def started(self) -> None:
        """Be ready, without children."""
        self._window = Window(self._intensity)
        self._by_id = {}
        self._open = True

    async def _restart(self, child: Child, delay: float) -> None:
        if delay > 0:
            self._retry_later(child, delay)
        else:
            self._launch(child)

    async def _end_all(self) -> None:
        await end_children(tuple(self._by_id.values()))
        self._by_id.clear()
