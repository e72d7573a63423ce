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
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, final

import anyio


class Parkable(Protocol):
    """Something one task at a time sleeps on."""

    parked: Any
    """None, or what the event loop in use wakes the sleeper by."""


@final
@dataclass(frozen=True, slots=True)
class Parker:
    """How tasks sleep on the running event loop, and how it cancels them."""

    backend: str
    """``"asyncio"`` or ``"trio"``."""
    cancelled: type[BaseException]
    """What a cancelled task is hit by."""
    park: Callable[[Parkable], Coroutine[Any, Any, None]]
    """Sleep until woken.  A checkpoint; cancelled, *slot* is free again."""
    unpark: Callable[[Parkable], None]
    """Wake the task that sleeps on *slot*; there must be one."""
    checkpoint: Callable[[], Awaitable[None]]
    """Let others have a turn."""
    absorb: Callable[[], None]
    """Go on after a cancellation that no cancel scope asked for."""


def _asyncio_parker(loop: asyncio.AbstractEventLoop) -> Parker:
    # Bound once: looking the loop up costs as much as making the future.
    create_future = loop.create_future

    async def park(slot: Parkable) -> None:
        slot.parked = future = create_future()
        try:
            await future
        finally:
            # By identity: woken and parked again, the slot holds another future.
            if slot.parked is future:
                slot.parked = None

    def unpark(slot: Parkable) -> None:
        future: asyncio.Future[None] = slot.parked
        slot.parked = None
        # A native Task.cancel() may have come first, in this same tick.
        if not future.done():
            future.set_result(None)

    async def checkpoint() -> None:
        await asyncio.sleep(0)

    def absorb() -> None:
        # A native Task.cancel() is counted until somebody says that it was
        # dealt with; asyncio's own timeouts and task groups go by that count.
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()

    return Parker("asyncio", asyncio.CancelledError, park, unpark, checkpoint, absorb)


def _trio_parker() -> Parker:
    from trio import Cancelled
    from trio.lowlevel import (
        Abort,
        RaiseCancelT,
        Task,
        checkpoint,
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
        task: Task = slot.parked
        slot.parked = None
        reschedule(task)

    def absorb() -> None:
        """Nothing to do: on Trio every cancellation belongs to a scope."""

    return Parker("trio", Cancelled, park, unpark, checkpoint, absorb)


def _bridged_parker(loop: asyncio.AbstractEventLoop, flavour: Any) -> Parker:
    """That of a Trio which runs asyncio's tasks too, by way of trio-asyncio.

    Each task sleeps as its own kind does, and any can wake it.
    """
    of_asyncio, trio = _asyncio_parker(loop), _trio_parker()

    def own() -> Parker:
        return of_asyncio if flavour.name == "asyncio" else trio

    async def park(slot: Parkable) -> None:
        await own().park(slot)

    def unpark(slot: Parkable) -> None:
        parked: object = slot.parked
        sleeps_there = isinstance(parked, asyncio.Future)
        (of_asyncio if sleeps_there else trio).unpark(slot)

    async def checkpoint() -> None:
        await own().checkpoint()

    return replace(trio, park=park, unpark=unpark, checkpoint=checkpoint)


def running_parker() -> Parker:
    """The parker of the event loop that runs now."""
    # By what it cancels with: AnyIO 4.12 no longer brings sniffio along.
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return _asyncio_parker(asyncio.get_running_loop())
    # Never imported here: it changes asyncio itself.
    bridge: Any = sys.modules.get("trio_asyncio")
    loop = None if bridge is None else bridge.current_loop.get()
    if loop is None:
        return _trio_parker()
    return _bridged_parker(loop, import_module("sniffio").thread_local)


@final
class _Sleeper:
    __slots__ = ("parked",)

    def __init__(self) -> None:
        self.parked: Any = None


@final
class Gate:
    """Something that happens once and that any number of tasks may wait for."""

    __slots__ = ("_parker", "_sleepers", "opened")

    def __init__(self, parker: Parker) -> None:
        self._parker = parker
        # Made for the first that waits; most gates open unseen.
        self._sleepers: list[_Sleeper] | None = None
        self.opened: bool = False

    async def wait(self) -> None:
        """Sleep until it is open; returns without a checkpoint if it is."""
        if self.opened:
            return
        sleeper = _Sleeper()
        sleepers = self._sleepers
        if sleepers is None:
            self._sleepers = sleepers = []
        sleepers.append(sleeper)
        try:
            await self._parker.park(sleeper)
        finally:
            if not self.opened:
                sleepers.remove(sleeper)

    def open(self) -> None:
        """Wake all, in the order in which they came."""
        self.opened = True
        sleepers, self._sleepers = self._sleepers, None
        for sleeper in sleepers or ():
            # One that was cancelled in this tick is awake already.
            if sleeper.parked is not None:
                self._parker.unpark(sleeper)
