"""Runtime: the ground that the actors of one system stand on.

One task group for all their tasks, shielded from whatever cancels the program
around it: an actor ends because its supervisor says so, in its turn, and not
because a scope far away was cancelled.  The tree of who supervises whom is kept
by the supervisors; the group is flat, so that one task that refuses to end
keeps no other from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, final

import anyio
import anyio.abc
import sniffio

from ._dead_letters import DeadLetters
from ._deadlines import Deadlines
from ._exit import sole_leaf
from ._parking import Gate, Parker, parker_for

_log = logging.getLogger("greenroom.actors")


@final
class Runtime:
    """Tasks, clock, deadlines and dead letters of one system.

    Made by `run_actors`, inside a running event loop.
    """

    __slots__ = (
        "_context",
        "_group",
        "backend",
        "closing",
        "dead_letters",
        "deadlines",
        "fatal_error",
        "level_listeners",
        "now",
        "on_fatal",
        "parker",
        "tick",
    )

    def __init__(
        self, group: anyio.abc.TaskGroup, context: contextvars.Context
    ) -> None:
        self._group = group
        # Actors start in the context that the system was opened in, never in
        # that of whoever happens to spawn them, which may be a request's.
        self._context = context
        self.backend = sniffio.current_async_library()
        self.parker: Parker = parker_for(self.backend)
        self.now, self.tick = _clocks(self.backend)
        self.deadlines = Deadlines(self.now, self.parker)
        self.dead_letters = DeadLetters()
        # Called with (path, level) when a mailbox passes a watermark.
        self.level_listeners: list[Callable[[str, int], None]] = []
        # Set once the group itself is cancelled: from then on a cancellation is
        # nobody's failure.
        self.closing = False
        self.fatal_error: BaseException | None = None
        # Called once, with the first fatal error.
        self.on_fatal: Callable[[], None] | None = None

    def start_task(
        self, function: Callable[..., Awaitable[object]], *args: Any
    ) -> None:
        """Run ``function(*args)`` as a task of the system.

        It must contain its own errors: what escapes is a bug of ours, and ends
        the system.
        """
        self._context.run(self._group.start_soon, self._contained, function, args)

    async def _contained(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        try:
            await function(*args)
        except Exception as error:
            _log.critical("a bug in greenroom ends the system", exc_info=error)
            self.fatal(error)

    def fatal(self, error: BaseException) -> None:
        """End the system in order, and raise *error* at its root.

        For what is no actor's failure: KeyboardInterrupt, SystemExit, and bugs
        of ours.  The first one counts.
        """
        if self.fatal_error is None:
            self.fatal_error = sole_leaf(error)
            if self.on_fatal is not None:
                self.on_fatal()


def _clocks(backend: str) -> tuple[Callable[[], float], Callable[[], float]]:
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
async def run_actors() -> AsyncIterator[Runtime]:
    """Open the ground; on leaving, cancel whatever task is left.

    An ordered end is the caller's business: see `ActorSystem`.
    """
    context = contextvars.copy_context()
    runtime: Runtime | None = None
    error: BaseException | None = None

    async def ground(task_status: anyio.abc.TaskStatus[None]) -> None:
        nonlocal runtime
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                runtime = Runtime(group, context)
                leave = Gate(runtime.parker)
                exits.append(leave)
                group.start_soon(runtime.deadlines.run)
                task_status.started()
                await leave.wait()
                runtime.closing = True
                group.cancel_scope.cancel()

    exits: list[Gate] = []
    try:
        async with anyio.create_task_group() as host:
            await host.start(ground)
            assert runtime is not None
            try:
                yield runtime
            except BaseException as raised:
                # Kept aside so that the group does not wrap it in a group.
                error = raised
            finally:
                exits[0].open()
    except anyio.get_cancelled_exc_class():
        # Cancelled while the last tasks went; the body's own error, if it had
        # one, says more.
        if error is None:
            raise
    if error is not None:
        raise error
