"""Couriers: tasks that write for many clients, where asyncio runs and there is no wire.

Most writes end without waiting.  Waking a task of each client's own for them costs as
much as they do, so one courier goes from client to client, as many as a turn allows.

The law: nobody waits for the client of another.  A courier that has to wait in the
midst of a write stays with that client, as long as that goes on; another goes on with
the rest, in the next pass of the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, final

import anyio
from anyio.lowlevel import checkpoint

from ..actors import Runtime

# Clients between checkpoints: writing may never yield by itself.
_PER_TURN = 64


class Writes(Protocol):
    """Who has something to write."""

    async def write(self, scope: anyio.CancelScope) -> None:
        """Write it, in a task that *scope* is around; contain what fails.

        Once *scope* was cancelled, that is the end of the task too.
        """
        ...

    def held_up(self) -> None:
        """It has to wait in the midst of what it writes, if it writes."""
        ...


@final
class _Courier:
    __slots__ = ("at", "parked")

    def __init__(self) -> None:
        # With whom it is.
        self.at: Writes | None = None
        # Set while it rests.
        self.parked: asyncio.Future[None] | None = None


@final
class Couriers:
    """The couriers of one system; where there is nothing to write, one that rests."""

    __slots__ = ("_at_rest", "_call_soon", "_ready", "_runtime", "_under_way")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._call_soon = asyncio.get_running_loop().call_soon
        # In the order in which they came.
        self._ready: deque[Writes] = deque()
        # The one that goes from one to the next of them.
        self._under_way: _Courier | None = None
        self._at_rest: _Courier | None = None
        self._send_one()

    def write_for(self, writes: Writes) -> None:
        """Have `Writes.write` called soon, after those that came before."""
        self._ready.append(writes)
        if self._under_way is None:
            self._send_one()

    def look_after(self, writes: Writes) -> None:
        """Call `Writes.held_up` once this task, which goes on to write, has yielded."""
        self._call_soon(writes.held_up)

    def _send_one(self) -> None:
        courier, self._at_rest = self._at_rest, None
        if courier is not None:
            self._under_way = courier
            self._runtime.parker.unpark(courier)
        else:
            self._under_way = courier = _Courier()
            self._runtime.start_task(self._run, courier)

    async def _run(self, courier: _Courier) -> None:
        parker = self._runtime.parker
        try:
            with anyio.CancelScope() as scope:
                while not scope.cancel_called:
                    await self._go_round(courier, scope)
                    if self._at_rest is not None or scope.cancel_called:
                        break
                    await self._rest(courier)
        except parker.cancelled:
            # Not by our scope: a native Task.cancel(), or the end of the world.
            if self._runtime.closing:
                raise
            parker.absorb()
        if self._under_way is courier:
            self._under_way = None
        if self._under_way is None and (self._ready or self._at_rest is None):
            self._send_one()

    async def _go_round(self, courier: _Courier, scope: anyio.CancelScope) -> None:
        """Write for all who are ready; or for some, if held up by the last of them."""
        ready = self._ready
        while ready:
            # It comes when this task has yielded, wherever that is.
            self._call_soon(self._look_for, courier)
            for _ in range(min(len(ready), _PER_TURN)):
                courier.at = ready.popleft()
                await courier.at.write(scope)
                courier.at = None
                if scope.cancel_called or self._under_way is not courier:
                    return
            if ready:
                await checkpoint()

    def _look_for(self, courier: _Courier) -> None:
        """See whether *courier* has been held up since it went on."""
        if courier.at is not None and self._under_way is courier:
            courier.at.held_up()
            self._under_way = None
            if self._ready:
                self._send_one()

    async def _rest(self, courier: _Courier) -> None:
        """Wait until it is sent again."""
        if self._under_way is courier:
            self._under_way = None
        self._at_rest = courier
        try:
            await self._runtime.parker.park(courier)
        finally:
            if self._at_rest is courier:
                self._at_rest = None


def couriers_of(runtime: Runtime) -> Couriers | None:
    """Those of a system on asyncio.

    On Trio no server's write ends without a checkpoint: each would hold its courier up.
    """
    return Couriers(runtime) if runtime.backend == "asyncio" else None
