"""PartitionSupervisor: as many of one kind as it takes, each with its share of keys."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, final

import anyio

from ..actors import ActorRef
from ._check import check, check_count
from ._child import Child
from ._errors import NoPartition
from ._fixed import Fixed
from ._intensity import Backoff, Intensity
from ._keys import stable_hash
from ._news import FamilyNews
from ._spec import ChildSpec, Restart
from ._strategy import AutoShutdown

M = TypeVar("M")


@final
class PartitionSupervisor(Fixed[FamilyNews], Generic[M]):
    """Divides keys among children of one kind; each is restarted for itself.

        rooms = PartitionSupervisor(lambda n: ChildSpec(f"rooms-{n}", Rooms), 8)
        ...
        rooms.ref("lobby").tell(message)

    The object is the actor and what its orders are given to; they work while it
    runs.  The same key has the same partition as long as `partitions` is the same,
    in every process.  All are stopped at once.

    Args:
        spec: Makes the spec of a partition, given its number from 0.
        partitions: How many there are, and may be.
        intensity: How many restarts are allowed in how many seconds, over all.
        backoff: How long a partition that fails in a row waits; None for not at
            all.
        rng: Where the jitter of the backoff comes from.
    """

    def __init__(
        self,
        spec: Callable[[int], ChildSpec[M]],
        partitions: int,
        *,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
    ) -> None:
        check(callable(spec), "spec", "a callable", spec)
        check_count("partitions", partitions)
        check(partitions > 0, "partitions", "at least 1", partitions)
        super().__init__(
            map(spec, range(partitions)),
            parallel=True,
            intensity=intensity,
            backoff=backoff,
            auto_shutdown=AutoShutdown.NEVER,
            rng=rng,
        )
        for each in self._specs:
            good = each.restart is not Restart.TEMPORARY
            check(good, "restart", "PERMANENT or TRANSIENT", each.restart)
        # Those that have keys.
        self._active: list[Child] = []
        # One change after the other, so that each knows what there is.
        self._resizing = anyio.Lock()

    def _begin(self) -> None:
        super()._begin()
        self._active = list(self._by_id.values())

    @property
    def partitions(self) -> int:
        """How many there are at the moment."""
        return len(self._active)

    def number(self, key: Hashable) -> int:
        """Which partition *key* belongs to, from 0.

        Raises:
            NoPartition: There are none.
            TypeError: *key* has no hash that is the same in every process: it is
                not a str, bytes, int, float, bool, None, UUID or Enum member, nor
                a tuple of those.
            ActorNotAlive: The supervisor is not running.
        """
        self._require_open()
        if not self._active:
            raise NoPartition(self.context.path, None)
        return stable_hash(key) % len(self._active)

    def ref(self, key: Hashable) -> ActorRef[M]:
        """The partition that *key* belongs to; the same ref while it restarts.

        Raises:
            NoPartition: There are none, or this one has ended for good.
            TypeError: See `number`.
            ActorNotAlive: The supervisor is not running.
        """
        number = self.number(key)
        ref = self._active[number].ref
        if ref is None:
            raise NoPartition(self.context.path, number)
        return ref

    async def resize(self, partitions: int) -> None:
        """Have that many partitions: at most as many as it was made with.

        Keys move.  Fewer: no key goes to those beyond from now on, and they are
        stopped, all at once.  More: each gets its keys when it has started.
        Cancelled, it may have come half the way; the next resize goes on.

        Raises:
            ValueError: *partitions* is more than it was made with.
            StartError: One failed to start; those before it are there.
            ChildDeclined: One declined to start; likewise.
            AskCycle: One of those that are stopped calls, or waits for who calls;
                they stop all the same.
            ActorNotAlive: The supervisor is not running.
        """
        check_count("partitions", partitions)
        most = len(self._specs)
        check(partitions <= most, "partitions", f"at most {most}", partitions)
        async with self._resizing:
            self._require_open()
            # Of this incarnation; another has its own.
            active, children = self._active, tuple(self._by_id.values())
            for child in children[len(active) : partitions]:
                if child.ending:
                    await self._end([child])
                if not child.live:
                    await self._start_again(child)
                active.append(child)
            del active[partitions:]
            refs = [child.ref for child in children[partitions:]]
            for child in children[partitions:]:
                child.dismissed = True
                child.begin_end()
            for ref in refs:
                if ref is not None:
                    # By its ref, which refuses to wait for the one who waits.
                    await ref.wait_stopped()
