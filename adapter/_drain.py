"""Drain: see all clients off, in batches, within a deadline.

The law: everyone is told before the deadline, and nobody's end is waited for
beyond it.  A batch may leave before the next one is told, so that neither the
handlers that run at the end nor the clients that come back come all at once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import anyio
from anyio.lowlevel import checkpoint

from ..actors import Gate
from ..supervision import ActorSystem
from ._checks import check_number
from ._client import check_close
from ._connection import Connection
from ._events import DRAIN_INCOMPLETE, DRAINED, DRAINING
from ._options import Options

# What is left for the hint of a close frame's 123 bytes; RFC 6455, section 5.5.
_MAX_REASON = 100


@final
@dataclass(frozen=True, slots=True)
class Farewell:
    """What clients are told when the adapter drains.

    Attributes:
        spread: Seconds over which clients are asked to come back, each at a
            random moment; 0 to ask for nothing.
        code: The close code.  By default 1012, "service restart", where they are
            asked to come back, else 1001 (RFC 6455, section 7.4.1 and its registry).
        reason: Words.
    """

    spread: float = 0.0
    code: int | None = None
    reason: str = "going away"

    def __post_init__(self) -> None:
        check_number("spread", self.spread)
        check_close(1001 if self.code is None else self.code, self.reason)
        if len(self.reason.encode()) > _MAX_REASON:
            raise ValueError(f"reason must be at most {_MAX_REASON} bytes of UTF-8")

    def words(self) -> tuple[int, str]:
        """Code and reason for one client."""
        if not self.spread:
            return self.code or 1001, self.reason
        seconds = random.uniform(0.0, self.spread)
        return self.code or 1012, f"{self.reason}; retry-after={seconds:.1f}"


@final
class Drain:
    """How one adapter sees its clients off.

    Attributes:
        farewell: What clients are told, once a drain has begun.
    """

    __slots__ = ("_connections", "_options", "_under_way", "_waiting", "farewell")

    def __init__(self, options: Options, connections: Mapping[str, Connection]) -> None:
        self._options = options
        self._connections = connections
        self.farewell: Farewell | None = None
        self._under_way = False
        # Opened for those that wait for the end of one.
        self._waiting: set[Gate] = set()

    def words(self) -> tuple[int, str]:
        """Code and reason for one client that comes too late."""
        return (self.farewell or Farewell(self._options.drain_spread)).words()

    async def run(
        self,
        system: ActorSystem | None,
        farewell: Farewell | None,
        deadline: float | None,
        batch: int | None,
    ) -> None:
        """See all clients off; what is None is as before, or as the options say."""
        options = self._options
        if farewell is None:
            farewell = self.farewell or Farewell(options.drain_spread)
        self.farewell = farewell
        # A system that is closing ends all connections, just now.
        if not self._connections or system is None or system.runtime.closing:
            return
        deadline = options.drain_seconds if deadline is None else deadline
        batch = options.drain_batch if batch is None else batch
        done = Gate(system.runtime.parker)
        self._waiting.add(done)
        # Its own task: who asks may be the handler of a client, and end with it.
        system.runtime.start_task(self._see_off, farewell, deadline, batch, done)
        await done.wait()

    def ended(self) -> None:
        """The system has ended: nothing is left, whoever was to see it off.

        A task that is cancelled before it has begun does nothing at all.
        """
        for done in tuple(self._waiting):
            self._finish(done)

    def _finish(self, done: Gate) -> None:
        self._waiting.discard(done)
        done.open()

    async def _see_off(
        self, farewell: Farewell, deadline: float, batch: int, done: Gate
    ) -> None:
        clients, began = len(self._connections), anyio.current_time()
        # Of several at a time, only the first is news.
        first, self._under_way = not self._under_way, True
        try:
            if first:
                DRAINING.log(clients=clients)
            await see_off(self._connections, farewell, deadline, batch)
        finally:
            self._finish(done)
            if first:
                self._under_way = False
        if self._connections:
            DRAIN_INCOMPLETE.log(clients=len(self._connections))
        elif first:
            DRAINED.log(clients=clients, seconds=anyio.current_time() - began)


async def see_off(
    connections: Mapping[str, Connection],
    farewell: Farewell,
    deadline: float,
    batch: int,
) -> None:
    """Close all *connections*, *batch* at a time.

    A batch is waited for as long as its share of the deadline lasts.  Returns when
    all have gone, those that came meanwhile as well, or *deadline* seconds have
    passed.
    """
    end = anyio.current_time() + deadline
    present = list(connections.values())
    batches = [present[i : i + batch] for i in range(0, len(present), batch)]
    for number, leaving in enumerate(batches):
        for connection in leaving:
            connection.close(*farewell.words())
        share = (end - anyio.current_time()) / (len(batches) - number)
        with anyio.move_on_after(share):
            for connection in leaving:
                await connection.gone.wait()
    with anyio.move_on_after(end - anyio.current_time()):
        while connections:
            await next(iter(connections.values())).gone.wait()
            await checkpoint()
