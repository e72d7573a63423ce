"""Hypercorn's HTTP/2 in memory, between an app of the test and a client of h2's own."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.typing import ConnectionState
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Event as WebsocketEvent

from greenroom.adapter._multiplexed import mend_stream


class App:
    """One WebSocket of the app, in the hands of the test."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.path: str = scope["path"]
        self.receive = receive
        self.send = send
        # hypercorn's own.
        self.stream: Any = send.__self__
        self.leave = anyio.Event()

    async def tell(self, size: int) -> None:
        """Send so many bytes, and ten or so that frame them."""
        await self.send({"type": "websocket.send", "bytes": bytes(size)})


class Pushing:
    """A task that pushes, and whether it may go on."""

    def __init__(self, group: Any, push: Any, *arguments: Any) -> None:
        self.done = False
        group.start_soon(self._run, push, *arguments)

    async def _run(self, push: Any, *arguments: Any) -> None:
        await push(*arguments)
        self.done = True


class Server:
    """In place of hypercorn's TCP server: it takes nothing while it is `stalled`."""

    def __init__(self, backend: str) -> None:
        self.client = H2Connection(H2Configuration(client_side=True))
        self.events: list[Event] = []
        self.idle: list[bool] = []
        self.stalled = False
        self.goes_on = anyio.Event()
        self.held = 0
        self.sockets = socket.socketpair()
        if backend == "asyncio":
            self.writer = SimpleNamespace(
                get_extra_info={"socket": None}.get,
                transport=SimpleNamespace(get_write_buffer_size=lambda: self.held),
            )
        else:
            self.stream = SimpleNamespace(socket=self.sockets[0])

    def move(self) -> None:
        """More of what is written has been taken; or less, which is as good."""
        self.held += 1
        self.sockets[0].send(b"x")

    async def protocol_send(self, event: object) -> None:
        if isinstance(event, RawData):
            if self.stalled:
                await self.goes_on.wait()
            self.events += self.client.receive_data(event.data)
        elif isinstance(event, Updated):
            self.idle.append(event.idle)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of that kind that the client has had."""
        return [event for event in self.events if isinstance(event, kind)]


class Link:
    """One HTTP/2 connection, both ends of it."""

    def __init__(self, backend: str) -> None:
        self.server = Server(backend)
        self.client = self.server.client
        self.apps: dict[int, App] = {}
        self.ended: list[int] = []
        self.protocol: Any = None
        self.cut_at: float | None = None

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The app that hypercorn serves."""
        it = App(scope, receive, send)
        self.apps[it.stream.stream_id] = it
        await it.leave.wait()
        self.ended.append(it.stream.stream_id)

    def cut(self, server: object) -> None:
        """What drops the connection."""
        assert server is self.server
        assert self.cut_at is None
        self.cut_at = anyio.current_time()

    async def flush(self) -> None:
        """What the client has to say reaches the server."""
        data = self.client.data_to_send()
        await self.protocol.handle(RawData(data))

    async def open(self, *, mended: bool = True) -> App:
        """A WebSocket that has been accepted."""
        stream_id = self.client.get_next_available_stream_id()
        headers = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/"),
            ("sec-websocket-version", "13"),
        ]
        self.client.send_headers(stream_id, headers)
        await self.flush()
        await anyio.wait_all_tasks_blocked()
        app = self.apps[stream_id]
        assert (await app.receive())["type"] == "websocket.connect"
        if mended:
            mend_stream(app.stream)
        await app.send({"type": "websocket.accept"})
        return app

    async def say(self, app: App, *events: WebsocketEvent) -> None:
        """The client says all that at once."""
        websocket = Connection(ConnectionType.CLIENT)
        for event in events:
            self.client.send_data(app.stream.stream_id, websocket.send(event))
        await self.flush()

    async def grant(self, size: int, app: App | None = None) -> None:
        """Let the server send so many bytes more; to an *app*'s client, or at all."""
        stream_id = None if app is None else app.stream.stream_id
        self.client.increment_flow_control_window(size, stream_id)
        await self.flush()


@asynccontextmanager
async def linked(backend: str) -> AsyncGenerator[Link]:
    """A connection on which WebSockets can be opened."""
    group: Any = __import__(f"hypercorn.{backend}.task_group", fromlist=["TaskGroup"])
    context: Any = __import__(
        f"hypercorn.{backend}.worker_context", fromlist=["WorkerContext"]
    )
    arguments: tuple[Any, ...] = ()
    if backend == "asyncio":
        import asyncio

        arguments = (asyncio.get_running_loop(),)
    link = Link(backend)
    with link.server.sockets[0], link.server.sockets[1]:
        async with group.TaskGroup(*arguments) as tasks:
            link.protocol = H2Protocol(
                ASGIWrapper(link.app),
                Config(),
                context.WorkerContext(None),
                tasks,
                ConnectionState({}),
                False,
                None,
                None,
                link.server.protocol_send,
            )
            link.client.initiate_connection()
            await link.protocol.initiate()
            await link.flush()
            # Only the windows of streams count, unless a test has it otherwise.
            await link.grant(1 << 24)
            yield link
            await link.protocol.handle(Closed())
            for app in link.apps.values():
                app.leave.set()
            link.server.goes_on.set()
