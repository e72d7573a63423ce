"""Putting a task to sleep and waking it: the one backend-specific thing here.

An `anyio.Event` per wake-up costs more than everything else a mailbox does, so
there is one native pair of functions for each event loop.  Both obey one law:

    `parked` is set by the task that goes to sleep and cleared by whoever wakes
    it, or by the sleeper itself when it is cancelled.  A wake-up carries no
    value: what was waited for lies where the sleeper looks next, so a wake-up
    that meets a cancelled sleeper loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, final


class Parkable(Protocol):
    """Something one task at a time sleeps on."""

    parked: object | None


@final
@dataclass(frozen=True, slots=True)
class Parker:
    """How tasks sleep on the running event loop."""

    park: Callable[[Parkable], Awaitable[None]]
    """Sleep until woken.  A checkpoint; cancelled, *slot* is free again."""
    unpark: Callable[[Parkable], None]
    """Wake the task that sleeps on *slot*; there must be one."""


async def _park_asyncio(slot: Parkable) -> None:
    future = asyncio.get_running_loop().create_future()
    slot.parked = future
    try:
        await future
    finally:
        # By identity: woken and parked again, the slot holds another future.
        if slot.parked is future:
            slot.parked = None


def _unpark_asyncio(slot: Parkable) -> None:
    future = slot.parked
    slot.parked = None
    assert isinstance(future, asyncio.Future)
    # A native Task.cancel() may have come first, in this same tick.
    if not future.done():
        future.set_result(None)


def _trio_parker() -> Parker:
    from trio.lowlevel import (
        Abort,
        RaiseCancelT,
        Task,
        current_task,
        reschedule,
        wait_task_rescheduled,
    )

    async def park(slot: Parkable) -> None:
        def abort(_: RaiseCancelT) -> Abort:
            # Commutes with every other abort, so the order in which trio calls
            # them cannot be seen.
            slot.parked = None
            return Abort.SUCCEEDED

        slot.parked = current_task()
        await wait_task_rescheduled(abort)

    def unpark(slot: Parkable) -> None:
        task = slot.parked
        slot.parked = None
        assert isinstance(task, Task)
        reschedule(task)

    return Parker(park, unpark)


def parker_for(backend: str) -> Parker:
    """The parker for *backend*, as `sniffio` names it."""
    if backend == "trio":
        return _trio_parker()
    return Parker(_park_asyncio, _unpark_asyncio)


@final
class _Sleeper:
    __slots__ = ("parked",)

    def __init__(self) -> None:
        self.parked: object | None = None


@final
class Gate:
    """Something that happens once and that any number of tasks may wait for."""

    __slots__ = ("_parker", "_sleepers", "opened")

    def __init__(self, parker: Parker) -> None:
        self._parker = parker
        self._sleepers: list[_Sleeper] = []
        self.opened = False

    async def wait(self) -> None:
        """Sleep until it is open; returns without a checkpoint if it is."""
        if self.opened:
            return
        sleeper = _Sleeper()
        self._sleepers.append(sleeper)
        try:
            while not self.opened:
                await self._parker.park(sleeper)
        finally:
            if not self.opened:
                self._sleepers.remove(sleeper)

    def open(self) -> None:
        """Wake all, in the order in which they came."""
        self.opened = True
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if sleeper.parked is not None:
                self._parker.unpark(sleeper)
