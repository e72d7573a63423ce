"""A server for one app, in memory: what it receives and sends, to look at."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias, final

import anyio
import anyio.abc

Message: TypeAlias = dict[str, Any]


class App(Protocol):
    """An ASGI app; the types of its arguments are its own business."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> object:
        """Serve one scope."""
        ...


@final
class Session:
    """One scope of the app."""

    def __init__(self) -> None:
        self._to_app, self._at_app = anyio.create_memory_object_stream[Message](
            math.inf
        )
        self._changed = anyio.Event()
        self.sent: list[Message] = []
        self.ended = anyio.Event()

    def tell(self, kind: str, **fields: Any) -> None:
        """Put a message where the app receives."""
        self._to_app.send_nowait({"type": kind, **fields})

    async def wait_for(self, kind: str) -> Message:
        """Return the app's first message of *kind*, once it is there."""
        while True:
            for message in self.sent:
                if message["type"] == kind:
                    return message
            await self._changed.wait()

    async def receive(self) -> Message:
        return await self._at_app.receive()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self._changed.set()
        self._changed = anyio.Event()

    def close(self) -> None:
        self._to_app.close()
        self._at_app.close()


@final
class Server:
    """Runs the app's scopes as tasks."""

    tasks: anyio.abc.TaskGroup

    def __init__(self, app: App) -> None:
        self._app = app
        self._sessions: list[Session] = []

    def open(self, scope: Message) -> Session:
        """Hand the app *scope*."""
        session = Session()
        self._sessions.append(session)
        self.tasks.start_soon(self._serve, scope, session)
        return session

    async def _serve(self, scope: Message, session: Session) -> None:
        await self._app(scope, session.receive, session.send)
        session.ended.set()

    async def start(self) -> Session:
        """Start the app by its lifespan."""
        lifespan = self.open({"type": "lifespan", "state": {}})
        lifespan.tell("lifespan.startup")
        await lifespan.wait_for("lifespan.startup.complete")
        return lifespan

    async def connect(self, path: str = "/ws") -> Session:
        """Open a WebSocket."""
        scope = {"type": "websocket", "path": path, "raw_path": path.encode()}
        websocket = self.open({**scope, "query_string": b"", "headers": []})
        websocket.tell("websocket.connect")
        await websocket.wait_for("websocket.accept")
        return websocket

    def close(self) -> None:
        for session in self._sessions:
            session.close()


@asynccontextmanager
async def server(app: App) -> AsyncGenerator[Server]:
    """Serve *app*; every scope must have ended when the block is left."""
    serving = Server(app)
    try:
        async with anyio.create_task_group() as serving.tasks:
            yield serving
    finally:
        serving.close()
