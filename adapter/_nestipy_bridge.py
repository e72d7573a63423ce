"""TrioAsyncioBridge: applications whose own code is asyncio's, served on Trio.

trio-asyncio runs asyncio's tasks on Trio's loop.  Crossing from one kind of task
to the other for each event costs more than handling it, so each client has one
asyncio task for as long as it is connected, which its handlers are called in.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, final

import anyio

from ._adapter import ActorAdapter, host_of
from ._asgi import Message, Receive, Scope, Send
from ._calling import call
from ._client import Client
from ._dispatcher import Handler

if TYPE_CHECKING:
    import trio

_log = logging.getLogger("greenroom.adapter")

_LAST_PYTHON = (3, 13)
_AGAIN_SECONDS = 0.1
"""Between two attempts at a handler that goes on although it was cancelled."""

App: TypeAlias = Callable[..., Awaitable[object]]
"""An ASGI app; each framework has types of its own for what it is given."""


@final
class TrioAsyncioBridge:
    """An ASGI app of asyncio's, served on Trio; on asyncio, that app.

        app.use_io_adapter(adapter)
        bridge = TrioAsyncioBridge(app, adapter)

    Serve the bridge instead of the app.  Everything of the application's then
    runs as asyncio code: handlers, controllers, background tasks.  What it awaits
    must be asyncio's or AnyIO's, and not Trio's.  Sockets, the adapter's actors,
    and those that are spawned in its system stay Trio's.

    Needs the extra ``trio-asyncio``, which is imported on Trio alone, because it
    slows asyncio down; it runs on Python 3.13 at most.

    Args:
        app: The Nestipy app, or another one; the adapter itself, if it is all.
        adapter: The adapter that it uses.
    """

    def __init__(self, app: App, adapter: ActorAdapter) -> None:
        self._app = app
        self._adapter = adapter
        # trio_asyncio, and its loop, while they are there.
        self._library: Any = None
        self._loop: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve *scope*, on whichever loop this is.

        Raises:
            RuntimeError: The lifespan has not come, and this is Trio.
        """
        if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
            await self._app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif self._loop is None:
            raise RuntimeError("TrioAsyncioBridge needs the lifespan, on Trio")
        else:
            # The server's tasks are no children of the lifespan's.
            self._library.current_loop.set(self._loop)
            kind = scope["type"]
            # A client is native as far as its handlers.
            if kind != "websocket" or not await self._adapter(scope, receive, send):
                await self._cross(self._app)(scope, receive, send)

    def _cross(self, app: App) -> App:
        """*app*, a thing of asyncio's, as a thing of Trio's."""
        library = self._library
        crossed = library.aio_as_trio(app)

        async def serve(scope: Scope, receive: Receive, send: Send) -> object:
            outward = library.trio_as_aio(receive), library.trio_as_aio(send)
            return await crossed(scope, *outward)

        return serve

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_answered = False

        async def noting(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            self._library = _library()
            async with self._library.open_loop() as loop:
                self._loop = loop
                await self._run(scope, receive, noting)
        except Exception as error:
            if has_answered:
                raise
            _log.exception("TrioAsyncioBridge has failed to start")
            # To raise it would mean to servers that there is no lifespan.
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        finally:
            self._loop = None

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        host, loop = host_of(self._adapter), self._loop
        ready = getattr(self._app, "ready", None)
        if ready is not None:
            await self._library.aio_as_trio(ready)()
        http = await host.find()
        host.bridge(lambda: AsyncioCaller(loop))
        await host.run(http, scope, receive, send, self._serve_lifespan)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await self._cross(self._app)(scope, receive, send) is False:
            # It is an adapter, and leaves the lifespan to whoever runs it.
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})


def _library() -> Any:
    if sys.version_info[:2] > _LAST_PYTHON:
        raise RuntimeError(
            "TrioAsyncioBridge runs on Python 3.13 at most, because trio-asyncio "
            "does; serve the app with --worker-class asyncio"
        )
    try:
        return import_module("trio_asyncio")
    except ImportError as error:
        raise RuntimeError(
            "TrioAsyncioBridge needs trio-asyncio: pip install "
            f"'greenroom[trio-asyncio]' ({error})"
        ) from error


@final
class _Call:
    """One handler to be called, and what came of it."""

    __slots__ = ("arguments", "done", "error", "handler", "result", "waiting")

    def __init__(self, handler: Handler, arguments: tuple[str, Client, Any]) -> None:
        self.handler = handler
        self.arguments = arguments
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        # The task of Trio's that waits for it.
        self.waiting: trio.lowlevel.Task | None = None


@final
class _Bell:
    """What a task of asyncio's sleeps on, and is woken by in the call of `ring`.

    A future of asyncio's would wake it by way of the loop, which here is a task
    of Trio's with a queue: twice as dear as a handler that only emits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, flavour: Any) -> None:
        self._loop = loop
        self._flavour = flavour
        self._wake: Callable[[_Bell], object] | None = None
        self._context: Context | None = None
        self._is_cancelled = False

    def ring(self) -> None:
        """Let the task go on, here and now, until it waits for something."""
        wake, self._wake = self._wake, None
        if wake is None:
            return
        assert self._context is not None
        native = self._flavour.name
        self._flavour.name = "asyncio"
        try:
            self._context.run(wake, self)
        finally:
            self._flavour.name = native

    # What asyncio asks of a future.

    _asyncio_future_blocking = False

    def __await__(self) -> Generator[_Bell, None, None]:
        """Sleep until it rings."""
        self._asyncio_future_blocking = True
        yield self
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def add_done_callback(
        self, wake: Callable[[_Bell], object], *, context: Context
    ) -> None:
        """Keep what wakes the task."""
        self._wake, self._context = wake, context

    def result(self) -> None:
        """Nothing.

        Raises:
            CancelledError: The task is cancelled.
        """
        if self._is_cancelled:
            raise asyncio.CancelledError

    def cancel(self, msg: object = None) -> bool:
        """Cancel the task, as it is done for one that waits: by the loop."""
        self._is_cancelled = True
        self._loop.call_soon(self.ring)
        return True


@final
class AsyncioCaller:
    """Calls the handlers of one client, in one task of asyncio's.

    Args:
        loop: The loop of trio-asyncio.
    """

    __slots__ = ("_bell", "_call", "_flavour", "_loop", "_task", "_trio")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._trio: Any = import_module("trio").lowlevel
        # Which kind of task runs, for AnyIO; trio-asyncio keeps it the same way.
        self._flavour: Any = import_module("sniffio").thread_local
        self._task: asyncio.Task[None] | None = None
        self._bell = _Bell(loop, self._flavour)
        # What the task is to do next.
        self._call: _Call | None = None

    async def call(
        self, handler: Handler, event: str, client: Client, data: Any
    ) -> Any:
        """Have *handler* called, and wait for what comes of it.

        Cancelled, it cancels the handler and waits for its end.
        """
        made = self._call = _Call(handler, (event, client, data))
        if self._task is None or self._task.done():
            self._bell = _Bell(self._loop, self._flavour)
            # Without the context of whoever came first.
            self._task = self._loop.create_task(
                self._run(self._bell), context=Context()
            )
        else:
            self._bell.ring()
        try:
            while not made.done:
                made.waiting = self._trio.current_task()
                await self._trio.wait_task_rescheduled(self._abort)
        except BaseException:
            await self._give_up()
            raise
        if made.error is not None:
            raise made.error
        return made.result

    def _abort(self, _: object) -> Any:
        if self._call is not None:
            self._call.waiting = None
        return self._trio.Abort.SUCCEEDED

    async def _give_up(self) -> None:
        """Cancel the task, and see it to its end; the next call gets another."""
        task, self._task, self._call = self._task, None, None
        assert task is not None
        ended = anyio.Event()
        task.add_done_callback(lambda _: ended.set())
        with anyio.CancelScope(shield=True):
            while not task.done():
                task.cancel()
                with anyio.move_on_after(_AGAIN_SECONDS):
                    await ended.wait()

    def close(self) -> None:
        """End the task; it sleeps, or will not be heard any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, bell: _Bell) -> None:
        made: _Call | None = None
        try:
            while True:
                made = self._call
                if made is None or made.done:
                    await bell
                    continue
                try:
                    made.result = await call(made.handler, *made.arguments)
                except Exception as error:
                    made.error = error
                self._wake(made)
        finally:
            # Cancelled: by us, who do not wait for it, or by whoever ends the
            # loop, and then the handler's client is told that it failed.
            if made is not None and not made.done:
                made.error = RuntimeError("the task of the handler was cancelled")
                self._wake(made)

    def _wake(self, made: _Call) -> None:
        made.done = True
        if made.waiting is not None:
            self._trio.reschedule(made.waiting)
            made.waiting = None
