"""Runtime: the ground that the actors of one system stand on.

One place for all their tasks, shielded from whatever cancels the program
around it: an actor ends because its supervisor says so, in its turn, and not
because a scope far away was cancelled.  The tree of who supervises whom is kept
by the supervisors; the ground is flat, so that one task that refuses to end
keeps no other from ending.

The law: when the ground is gone, so is every actor that stood on it.  Whoever
still holds a ref is told so at once, and nobody waits for an answer.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, final

import anyio

from ._dead_letters import DeadLetters
from ._deadlines import Deadlines, Now
from ._exit import ExitReason, Killed, sole_leaf
from ._parking import Parker, running_parker
from ._tasks import Start, open_tasks

_log = logging.getLogger("greenroom.actors")


class Simulation(Protocol):
    """A world in which systems run by a schedule; see `Runtime.pause`."""

    def opened(self, runtime: Runtime) -> None:
        """A system begins; nothing runs in it yet."""
        ...


simulation: contextvars.ContextVar[Simulation | None] = contextvars.ContextVar(
    "greenroom_simulation", default=None
)
"""The world that systems opened from here on are a part of; None in real life."""


class Lasting(Protocol):
    """What has not ended yet: a cell."""

    def end(self, reason: ExitReason) -> None:
        """End it for good, in place."""
        ...


@final
class Runtime:
    """Tasks, clock, deadlines and dead letters of one system.

    Made by `run_actors`, inside a running event loop.
    """

    __slots__ = (
        "_context",
        "_start",
        "cells",
        "closing",
        "dead_letters",
        "deadlines",
        "fatal_error",
        "level_listeners",
        "now",
        "on_fatal",
        "parker",
        "pause",
        "restarts",
        "tick",
    )

    def __init__(
        self, start: Start, parker: Parker, context: contextvars.Context
    ) -> None:
        self._start = start
        # Actors start in the context that the system was opened in, never in
        # that of whoever happens to spawn them, which may be a request's.
        self._context = context
        self.parker: Parker = parker
        self.now: Now
        self.tick: Now
        self.now, self.tick = _clocks(self.parker.backend)
        self.deadlines: Deadlines = Deadlines(self.now, self.parker)
        self.dead_letters: DeadLetters = DeadLetters()
        # Those that have been started and have not ended.
        self.cells: set[Lasting] = set()
        # How often one was started again.
        self.restarts: int = 0
        # Called with (path, level) when a mailbox passes a watermark.
        self.level_listeners: list[Callable[[str, int], None]] = []
        # A simulation's: awaited, with the name of the point, wherever another
        # order of events is possible: before each dequeue, reply and restart.
        self.pause: Callable[[str], Awaitable[None]] | None = None
        # Whether all tasks are being cancelled, which then is nobody's failure.
        self.closing: bool = False
        self.fatal_error: BaseException | None = None
        # Called once, with the first fatal error.
        self.on_fatal: Callable[[], None] | None = None

    @property
    def backend(self) -> str:
        """``"asyncio"`` or ``"trio"``."""
        return self.parker.backend

    def new_context(self) -> contextvars.Context:
        """A context for a task of the system."""
        # A copy, because an eager task runs inside the call that starts it, and
        # may start others.
        return self._context.copy()

    def start_task(
        self,
        function: Callable[..., Awaitable[object]],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> None:
        """Run ``function(*args)`` as a task of the system, in a context of its own.

        It must contain its own errors: what escapes is a bug of ours, and ends
        the system.
        """
        if context is None:
            context = self.new_context()
        self._start(context, self._contained, (function, args))

    async def _contained(
        self, call: tuple[Callable[..., Awaitable[object]], tuple[Any, ...]]
    ) -> None:
        function, args = call
        try:
            running = function(*args)
            # It may last as long as a connection: keep only what is needed.
            del call, args
            await running
        except GeneratorExit:
            raise  # the event loop is being torn down under us
        except self.parker.cancelled:
            # Going on would end the group, and with it every actor, because
            # somebody has cancelled one of their tasks natively.
            if not self.closing:
                _log.warning("%r was cancelled from outside", function)
        except BaseException as error:
            _log.critical("a bug in greenroom ends the system", exc_info=error)
            self.fatal(error)

    async def sweep(self) -> None:
        """Keep the deadlines, also when somebody cancels this task natively."""
        while not self.closing:
            try:
                await self.deadlines.run()
            except self.parker.cancelled:
                self.parker.absorb()

    def fatal(self, error: BaseException, path: str | None = None) -> None:
        """End the system in order, and raise *error* at its root.

        For what is no actor's failure: KeyboardInterrupt, SystemExit, and bugs
        of ours.  The first one counts.

        Args:
            error: What is raised.
            path: The actor that it was raised in.
        """
        if self.fatal_error is None:
            self.fatal_error = sole_leaf(error)
            if path is not None:
                self.fatal_error.add_note(f"raised in {path}")
            if self.on_fatal is not None:
                self.on_fatal()


def _clocks(backend: str) -> tuple[Now, Now]:
    """The clock that deadlines are kept by, and one for measuring turns.

    Both are virtual when the loop's time is: a simulated world must not depend
    on how fast the machine is.
    """
    if backend == "trio":
        import trio

        clock = trio.lowlevel.current_clock()
        now = clock.current_time
        # trio's own clock is perf_counter plus an offset, behind three calls.
        real = type(clock).__module__.startswith("trio._core")
        real = real and type(clock).__name__ == "SystemClock"
        return now, time.perf_counter if real else now
    loop = asyncio.get_running_loop()
    if getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time:
        return time.monotonic, time.monotonic
    return loop.time, loop.time


@asynccontextmanager
async def run_actors() -> AsyncGenerator[Runtime]:
    """Open the ground; on leaving, cancel whatever task is left.

    An ordered end is the caller's business: see `ActorSystem`.

    Raises:
        BaseException: What `Runtime.fatal` was told of, whatever else happened.
    """
    context = contextvars.copy_context()
    runtime: Runtime | None = None
    error: BaseException | None = None
    ready, leave = anyio.Event(), anyio.Event()

    async def ground() -> None:
        nonlocal runtime
        try:
            with anyio.CancelScope(shield=True):
                parker = running_parker()
                async with open_tasks(parker.backend) as start:
                    runtime = Runtime(start, parker, context)
                    world = simulation.get()
                    if world is not None:
                        world.opened(runtime)
                    runtime.start_task(runtime.sweep)
                    ready.set()
                    try:
                        await leave.wait()
                    finally:
                        runtime.closing = True
        finally:
            assert runtime is not None
            if not leave.is_set():
                runtime.fatal(RuntimeError("the tasks of the system were cancelled"))
            # Those whose task came to no end of its own, or that had none.
            for cell in tuple(runtime.cells):
                cell.end(Killed())

    try:
        async with anyio.create_task_group() as host:
            # Not host.start(): cancelled, it would wait for the shielded ground,
            # which nobody would have told to leave.
            host.start_soon(ground)
            try:
                await ready.wait()
                assert runtime is not None
                yield runtime
            except BaseException as raised:
                # Kept aside so that the group does not wrap it in a group.
                error = raised
            finally:
                leave.set()
    except anyio.get_cancelled_exc_class():
        # Cancelled while the last tasks went; the body's own error, if it had
        # one, says more.
        if error is None:
            raise
    except BaseExceptionGroup as group:
        # A Ctrl-C that met the ground as it went, while it waited for a task that
        # does not end.
        if runtime is None:
            raise
        runtime.fatal(group)
    try:
        if error is not None:
            raise error
    finally:
        if runtime is not None and runtime.fatal_error is not None:
            raise runtime.fatal_error
