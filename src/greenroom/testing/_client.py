"""A client in memory: handlers are tested through it without a server."""

from __future__ import annotations

import inspect
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, final

import anyio
from anyio.abc import TaskGroup
from orjson import JSONDecodeError, loads

from ..adapter import (
    ActorAdapter,
    Event,
    EventError,
    Frame,
    JsonEnvelope,
    TransportClosed,
)
from ._memory import DEFAULT_MAX_FRAMES, MemoryPeer, MemoryTransport

DEFAULT_TIMEOUT = 5.0

Answer: TypeAlias = Callable[[Any], object]
"""Makes the answer to a call from its data; async or plain."""

# Events that may wait for `receive`; a test that lets more pile up reads as
# slowly as a client that has stopped.
_MAX_EVENTS = 1000


def websocket_scope(
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    address: str = "127.0.0.1",
) -> dict[str, Any]:
    """The ASGI scope of a WebSocket handshake."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ],
        "client": (address, 50000),
        "server": ("127.0.0.1", 8000),
        "subprotocols": list(subprotocols),
        "extensions": {},
    }


@asynccontextmanager
async def connect_raw(
    adapter: ActorAdapter,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    address: str = "127.0.0.1",
    max_frames: int = DEFAULT_MAX_FRAMES,
) -> AsyncGenerator[MemoryPeer]:
    """Connect to *adapter*, which must be running, and speak in frames.

    For adapters with payload hooks, for frames that are no envelopes, and for
    clients that behave badly.  Leaving the block closes the connection and
    waits until the adapter is done with it.

    Args:
        adapter: Where to connect.
        query: The query string of the handshake.
        headers: The headers of the handshake.
        subprotocols: Those the client offers.
        address: Where it comes from.
        max_frames: How many frames may be on their way, each way.

    Raises:
        Refused: The adapter does not let it in.
    """
    transport = MemoryTransport(max_frames)
    scope = websocket_scope(
        adapter.path,
        query=query,
        headers=headers,
        subprotocols=subprotocols,
        address=address,
    )
    async with bare_task_group() as tasks:
        tasks.start_soon(adapter.serve, transport, scope)
        await transport.peer.wait_opened()
        try:
            yield transport.peer
        finally:
            transport.peer.close()


@asynccontextmanager
async def connect(
    adapter: ActorAdapter,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    address: str = "127.0.0.1",
    timeout: float = DEFAULT_TIMEOUT,
    max_frames: int = DEFAULT_MAX_FRAMES,
) -> AsyncGenerator[MemoryClient]:
    """Connect a client to *adapter*, which must be running.

        async with adapter.running(), connect(adapter) as client:
            await client.emit("say", "hi")
            assert await client.receive() == Event("said", "hi")
            assert await client.call("say", "hi") == {"ok": True}

    Leaving the block closes the connection and waits until the adapter is done
    with it, ``on_disconnect`` included.

    Args:
        adapter: Where to connect.
        query: The query string of the handshake.
        headers: The headers of the handshake.
        subprotocols: Those the client offers.
        address: Where it comes from.
        timeout: How long each wait of the client may last, in seconds.
        max_frames: How many frames may be on their way, each way.

    Raises:
        Refused: The adapter does not let it in.
    """
    async with (
        connect_raw(
            adapter,
            query=query,
            headers=headers,
            subprotocols=subprotocols,
            address=address,
            max_frames=max_frames,
        ) as peer,
        bare_task_group() as tasks,
    ):
        client = MemoryClient(peer, tasks, timeout)
        tasks.start_soon(client.read)
        try:
            yield client
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def bare_task_group() -> AsyncGenerator[TaskGroup]:
    """A task group that raises what was raised, not in a group of its own."""
    error: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            except Exception as raised:
                # A failing assertion shall look like one.
                error = raised
    except BaseExceptionGroup as group:
        if error is None and len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
    if error is not None:
        raise error


@final
class MemoryClient:
    """A client of an adapter that speaks the JSON envelope.

    It reads all the time, as a browser does: answers go to who waits for them,
    calls of the server to what `on_call` has registered, events to `receive`.
    Pings of the adapter it answers by itself, unless `on_call` says otherwise.

    Attributes:
        peer: Its end of the connection, for raw frames and for faults.
        close_code: The code the connection was closed with; None while it is
            open.
        close_reason: The words that came with it.
    """

    def __init__(self, peer: MemoryPeer, tasks: TaskGroup, timeout: float) -> None:
        self.peer = peer
        self.close_code: int | None = None
        self.close_reason: str = ""
        self._tasks = tasks
        self._timeout = timeout
        self._codec = JsonEnvelope()
        self._ids = itertools.count(1)
        self._events: deque[Event | EventError] = deque()
        self._calls: dict[int, _Call] = {}
        self._answers: dict[tuple[str, str], Answer] = {("/", "ping"): _pong}
        self._changed = anyio.Event()
        self._reading = anyio.Event()
        self._reading.set()

    # -- talking -----------------------------------------------------------

    async def emit(self, event: str, data: object = None, namespace: str = "/") -> None:
        """Send an event.

        Raises:
            TransportClosed: The connection is closed.
            TimeoutError: The server reads nothing.
        """
        with anyio.fail_after(self._timeout):
            await self.peer.send(self._codec.event(event, data, namespace, None))

    async def call(self, event: str, data: object = None, namespace: str = "/") -> Any:
        """Send an event and return what its handler returned.

        Raises:
            EventError: It was answered by an error.
            TransportClosed: The connection was closed before the answer.
            TimeoutError: No answer came.
        """
        id = next(self._ids)
        call = self._calls[id] = _Call()
        try:
            with anyio.fail_after(self._timeout):
                await self.peer.send(self._codec.event(event, data, namespace, id))
                await self._wait_until(lambda: call.settled)
        finally:
            del self._calls[id]
        if call.error is not None:
            raise call.error
        return call.data

    async def receive(self) -> Event:
        """Wait for the next event, in the order sent.

        A call of the server that `on_call` does not answer comes here as well;
        its ``id`` says so, see `answer`.

        Raises:
            EventError: Instead of an event the server sent an error.
            TransportClosed: The connection is closed, and all was received.
            TimeoutError: Nothing came.
        """
        with anyio.fail_after(self._timeout):
            await self._wait_until(lambda: bool(self._events))
        event = self._events.popleft()
        self._notify()
        if isinstance(event, EventError):
            raise event
        return event

    def received(self) -> list[Event | EventError]:
        """Take all that has come and was not received, without waiting."""
        events = list(self._events)
        self._events.clear()
        self._notify()
        return events

    def on_call(self, event: str, answer: Answer, namespace: str = "/") -> None:
        """Answer each call of *event* with ``answer(data)``.

        An `EventError` it raises is sent back as the call's error.
        """
        self._answers[namespace, event] = answer

    async def answer(self, event: Event, data: object = None) -> None:
        """Answer a call that came by `receive`."""
        await self.peer.send(self._codec.ack(_id_of(event), data))

    async def fail(self, event: Event, code: str, message: str = "") -> None:
        """Answer a call that came by `receive` with an error."""
        await self.peer.send(self._codec.ack_failure(_id_of(event), code, message))

    # -- ending, and behaving badly ----------------------------------------

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        self.peer.close(code, reason)

    def drop(self) -> None:
        """Be gone without a word."""
        self.peer.drop()

    def pause(self) -> None:
        """Stop reading; the server's frames pile up until `resume`."""
        if self._reading.is_set():
            self._reading = anyio.Event()

    def resume(self) -> None:
        """Read again."""
        self._reading.set()

    async def wait_closed(self) -> int:
        """Wait until the connection is closed, and return with which code.

        Raises:
            TimeoutError: It stays open.
        """
        with anyio.fail_after(self._timeout):
            while self.close_code is None:
                await self._changed.wait()
        return self.close_code

    # -- reading -----------------------------------------------------------

    async def read(self) -> None:
        """Read until the connection is closed."""
        try:
            while True:
                await self._reading.wait()
                await self._take(await self.peer.receive())
        except TransportClosed as closed:
            self.close_code, self.close_reason = closed.code, closed.reason
            self._notify()

    async def _take(self, frame: Frame) -> None:
        try:
            fields: dict[str, Any] = loads(frame)
        except JSONDecodeError:
            fields = {}
        if not fields.keys() & {"event", "ack"}:
            raise ValueError(f"expected an envelope, got {frame!r}; use connect_raw")
        error = fields.get("error")
        failure = None if error is None else EventError(error["code"], error["message"])
        if "ack" in fields:
            # One that nobody waits for any longer is ignored.
            call = self._calls.get(fields["ack"], _Call())
            call.settled, call.data, call.error = True, fields.get("data"), failure
            self._notify()
            return
        namespace = fields.get("namespace", "/")
        event = Event(fields["event"], fields.get("data"), namespace, fields.get("id"))
        answer = self._answers.get((event.namespace, event.event))
        if event.id is not None and answer is not None:
            # Beside the reader: what it waits for may have to be read first.
            self._tasks.start_soon(self._answer, event, answer)
            return
        while len(self._events) >= _MAX_EVENTS:
            await self._changed.wait()
        self._events.append(event if failure is None else failure)
        self._notify()

    async def _answer(self, event: Event, answer: Answer) -> None:
        try:
            data = answer(event.data)
            if inspect.isawaitable(data):
                data = await data
        except EventError as error:
            await self.fail(event, error.code, error.message)
        else:
            await self.answer(event, data)

    async def _wait_until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            if self.close_code is not None:
                raise TransportClosed(self.close_code, self.close_reason)
            await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


@final
class _Call:
    """A call to the server that is not answered yet."""

    def __init__(self) -> None:
        self.settled = False
        self.data: object = None
        self.error: EventError | None = None


def _pong(data: object) -> None:
    """The answer to the adapter's ``ping``."""


def _id_of(event: Event) -> int:
    if event.id is None:
        raise ValueError(f"event must be one that wants an answer, got {event!r}")
    return event.id
