"""Service: one run of hypercorn, from its start to an end in bounded time."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, cast, final
from weakref import WeakSet

import anyio
from anyio.abc import TaskStatus

from ._listeners import Listeners

_log = logging.getLogger("greenroom.serve")

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[object]]
"""An ASGI app."""

Drain: TypeAlias = Callable[[], Awaitable[object]]
"""Sees clients off."""

# Seconds in which a signal that comes again is the same one: `timeout`, and a
# wrapper that hands on Ctrl-C, deliver it twice.
SAME_SIGNAL = 0.5

# Seconds that hypercorn may take for what it does by itself: beyond its graceful
# timeout, and again when its connections have been cut.
MORE = 1.0
MOMENT = 0.1


class AppNotStarted(Exception):
    """The lifespan of the app has failed to start; the message is the app's."""


class Hypercorn(Protocol):
    """``hypercorn.asyncio.serve`` or ``hypercorn.trio.serve``."""

    async def __call__(
        self,
        app: Any,
        config: Any,
        *,
        shutdown_trigger: Callable[..., Awaitable[None]],
        mode: Literal["asgi"],
    ) -> None: ...


@final
class Service:
    """An app that hypercorn serves.

    Args:
        hypercorn: The one for the running loop.
        app: What it serves.
        listeners: Where.
        drains: Called side by side when it is told to stop.
        drain_seconds: How long they may take.
    """

    def __init__(
        self,
        hypercorn: Hypercorn,
        app: App,
        listeners: Listeners,
        drains: Sequence[Drain],
        drain_seconds: float,
    ) -> None:
        self._hypercorn = hypercorn
        self._app = _App(app)
        self._listeners = listeners
        self._drains = drains
        self._drain_seconds = drain_seconds
        # Clients can come, or all is over before they could.
        self._settled = anyio.Event()
        self._told = anyio.Event()
        self._drained = anyio.Event()
        self._ended = anyio.Event()
        self._running = anyio.CancelScope(shield=True)
        self._failure: Exception | None = None

    async def run(
        self,
        signals: Sequence[signal.Signals],
        received: AsyncIterator[signal.Signals] | None,
        task_status: TaskStatus[list[str]],
    ) -> None:
        """Serve until cancelled, or until one of *signals* has been *received*."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve)
            if received is not None:
                tasks.start_soon(self._listen, signals, received)
            try:
                await self._settled.wait()
                if not self._ended.is_set():
                    task_status.started(self._listeners.urls)
                await self._told.wait()
            except anyio.get_cancelled_exc_class():
                await self._stop()
                if self._failure is not None:
                    _log.error("the server has failed", exc_info=self._failure)
                raise
            await self._stop()
            tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    # -- hypercorn ---------------------------------------------------------

    async def _serve(self) -> None:
        """Run hypercorn, until it ends by itself; cancelling `run` does not end it."""
        config = self._listeners.config
        try:
            with self._running:
                await self._hypercorn(
                    self._app, config, shutdown_trigger=self._trigger, mode="asgi"
                )
        except Exception as error:
            self._failure = self._app.reason_of(error)
        finally:
            with anyio.CancelScope(shield=True):
                # On asyncio it leaves the lifespan behind when it fails.
                await self._app.end_lifespan(config.shutdown_timeout)
            if self._app.is_started:
                # It has made its own of them, and closes those.
                self._listeners.hand_over()
            self._ended.set()
            self._settled.set()
            self._told.set()

    async def _trigger(self) -> None:
        """What hypercorn calls when it listens; when this returns, it stops."""
        self._listeners.hand_over()
        self._settled.set()
        await self._drained.wait()

    # -- the end -----------------------------------------------------------

    async def _listen(
        self,
        signals: Sequence[signal.Signals],
        received: AsyncIterator[signal.Signals],
    ) -> None:
        first = await anext(received)
        _log.info("told to stop by %s", signal.Signals(first).name)
        self._told.set()
        with anyio.move_on_after(SAME_SIGNAL):
            while True:
                await anext(received)
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    async def _stop(self) -> None:
        """See everybody off, and return when hypercorn has ended."""
        try:
            with anyio.CancelScope(shield=True):
                if not self._ended.is_set():
                    await self._drain()
                    self._drained.set()
                    await self._outlast_hypercorn()
                # What it has left behind with something to write would stay, and
                # uvloop would wait for that when the process ends.
                if self._listeners.cut_connections():
                    await anyio.sleep(MOMENT)
        finally:
            # A native Task.cancel() gets past the shield.
            if not self._ended.is_set():
                self._running.cancel()

    async def _drain(self) -> None:
        if not self._app.is_started:
            self._app.stop_starting()
            return
        with anyio.move_on_after(self._drain_seconds) as patience:
            async with anyio.create_task_group() as tasks:
                for drain in self._drains:
                    tasks.start_soon(_drain_one, drain)
        if patience.cancelled_caught:
            _log.warning("draining was not over in %g s", self._drain_seconds)

    async def _outlast_hypercorn(self) -> None:
        config = self._listeners.config
        # A moment more, for it to be the first.
        if await self._ends_in(config.graceful_timeout + MOMENT):
            return
        # From CPython 3.12.1 on its asyncio worker waits until everybody has left,
        # and only then begins to be patient.
        self._app.cancel_calls()
        config.graceful_timeout = 0
        if await self._ends_in(MORE - MOMENT):
            return
        # On asyncio it waits for whoever has stopped reading.
        self._listeners.cut_connections()
        if not await self._ends_in(MORE) and not self._app.is_stopping:
            self._running.cancel()
        await self._ended.wait()

    async def _ends_in(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set()


async def _drain_one(drain: Drain) -> None:
    try:
        await drain()
    except Exception:
        # Whoever wants to stop must not be kept from it.
        _log.exception("%r has failed", drain)


def _alone(error: Exception) -> Exception:
    """*error* without the groups that have nothing else in them."""
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return _alone(group.exceptions[0]) if len(group.exceptions) == 1 else group


@final
class _App:
    """The app as hypercorn gets it: itself, but its lifespan is looked at.

    Attributes:
        is_started: The lifespan's startup is complete, or there is no lifespan.
        is_stopping: The lifespan's shutdown has begun.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.is_started = False
        self.is_stopping = False
        self._is_unwanted = False
        self._refusal: str | None = None
        self._lifespan = anyio.CancelScope()
        self._lifespan_over: anyio.Event | None = None
        # On asyncio, the tasks that call the app for a client.
        self._calls: WeakSet[asyncio.Task[Any]] | None = None
        if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
            self._calls = WeakSet()

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[object]:
        # No coroutine around the app's own: each connection would hold one.
        if scope["type"] == "lifespan":
            return self._run_lifespan(scope, receive, send)
        if self._calls is not None:
            self._calls.add(cast("asyncio.Task[Any]", asyncio.current_task()))
        return self._app(scope, receive, send)

    def cancel_calls(self) -> None:
        """Cancel what hypercorn has not cancelled by itself."""
        for call in self._calls or ():
            if not call.cancelling():
                call.cancel()

    async def _run_lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        self._lifespan_over = anyio.Event()

        async def receive_and_look() -> Any:
            message = await receive()
            self.is_stopping |= message["type"] == "lifespan.shutdown"
            return message

        async def look_and_send(message: Any) -> None:
            self.is_started |= message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                self._refusal = str(message.get("message", ""))
            await send(message)

        try:
            with self._lifespan:
                await self._app(scope, receive_and_look, look_and_send)
            if self._is_unwanted and not self.is_started:
                await send({"type": "lifespan.startup.failed", "message": "stopped"})
        finally:
            # Without a lifespan hypercorn goes on.
            self.is_started |= self._refusal is None and not self._is_unwanted
            self._lifespan_over.set()

    def stop_starting(self) -> None:
        """Have the app, and so hypercorn, give up its start."""
        self._is_unwanted = True
        self._lifespan.cancel()

    async def end_lifespan(self, seconds: float) -> None:
        """Return when the lifespan is over, or has had so many seconds for it."""
        self._lifespan.cancel()
        if self._lifespan_over is not None:
            with anyio.move_on_after(seconds):
                await self._lifespan_over.wait()

    def reason_of(self, error: Exception) -> Exception | None:
        """Why hypercorn has ended with *error*; None if it was to."""
        if self._is_unwanted:
            return None
        if self._refusal is not None:
            refused = AppNotStarted(self._refusal)
            refused.__cause__ = error
            return refused
        return _alone(error)
