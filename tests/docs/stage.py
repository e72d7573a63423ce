"""Where the dialogues of the docs are played: one app, and clients in memory.

connect /ws?name=Ann        a new connection; at /ws if nothing is said
> {"event": "say"}          the client sends
< {"event": "said"}         the server's next frame
closed 1008 too much        the server's goodbye
refused /ws?n=5 403 banned  a connection that is not accepted, its status, and why
GET /online 200 0 online    a request, its status and its answer
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, final

import anyio
from anyio.abc import TaskGroup

Message: TypeAlias = dict[str, Any]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[object]]

WAIT_SECONDS = 10.0


@final
class Scope:
    """One scope of the app, seen from the server's side."""

    def __init__(self) -> None:
        self._to_app, self._at_app = anyio.create_memory_object_stream[Message](
            math.inf
        )
        self._to_us, self._at_us = anyio.create_memory_object_stream[Message](math.inf)

    async def run(self, app: App, scope: Message) -> None:
        await app(scope, self._at_app.receive, self._to_us.send)

    def close(self) -> None:
        for stream in (self._to_app, self._at_app, self._to_us, self._at_us):
            stream.close()

    def put(self, kind: str, **fields: object) -> None:
        self._to_app.send_nowait({"type": kind, **fields})

    async def get(self, kind: str) -> Message:
        with anyio.fail_after(WAIT_SECONDS):
            message = await self._at_us.receive()
        assert message["type"] == kind, message
        return message


@final
class Stage:
    """A running app, and its latest client."""

    def __init__(self, app: App, tasks: TaskGroup, scopes: list[Scope]) -> None:
        self._app = app
        self._tasks = tasks
        self._scopes = scopes
        self._client: Scope | None = None

    def open(self, kind: str, **fields: object) -> Scope:
        scope = Scope()
        self._scopes.append(scope)
        self._tasks.start_soon(scope.run, self._app, {"type": kind, **fields})
        return scope

    async def play(self, line: str) -> None:
        """Do what *line* of a dialogue says, or check it."""
        word, _, rest = line.partition(" ")
        if word == "GET":
            await self._get(*rest.split(" ", 2))
        elif word == "connect":
            await self._connect(rest)
        elif word == "refused":
            await self._be_refused(*rest.split(" ", 2))
        elif word == ">":
            client = self._client or await self._connect("/ws")
            client.put("websocket.receive", text=rest)
        elif word == "<":
            assert self._client is not None
            frame = await self._client.get("websocket.send")
            assert _meaning(frame["text"]) == _meaning(rest), frame["text"]
        else:
            assert word == "closed", line
            assert self._client is not None
            closed = await self._client.get("websocket.close")
            assert f"{closed['code']} {closed['reason']}" == rest
            self.leave()

    async def _connect(self, target: str) -> Scope:
        self.leave()
        self._client = client = self.open("websocket", **_address(target))
        client.put("websocket.connect")
        await client.get("websocket.accept")
        return client

    async def _be_refused(self, target: str, status: str, reason: str) -> None:
        self.leave()
        extensions: Message = {"websocket.http.response": {}}
        asked = self.open("websocket", extensions=extensions, **_address(target))
        asked.put("websocket.connect")
        answer = await asked.get("websocket.http.response.start")
        assert answer["status"] == int(status)
        body = (await asked.get("websocket.http.response.body"))["body"]
        assert body.decode() == reason
        asked.put("websocket.disconnect", code=1006)

    def leave(self) -> None:
        if self._client is not None:
            self._client.put("websocket.disconnect", code=1000)
            self._client = None

    async def _get(self, target: str, status: str, body: str) -> None:
        request = self.open("http", method="GET", **_address(target))
        request.put("http.request", body=b"", more_body=False)
        assert (await request.get("http.response.start"))["status"] == int(status)
        answer = (await request.get("http.response.body"))["body"]
        assert answer.decode().strip() == body


def _address(target: str) -> Message:
    path, _, query = target.partition("?")
    raw = {"raw_path": path.encode(), "query_string": query.encode()}
    return {"path": path, "headers": [], **raw}


def _meaning(frame: str) -> object:
    """What *frame* says; keys have no order."""
    return json.loads(frame) if frame.startswith("{") else frame


@asynccontextmanager
async def stage(app: App) -> AsyncGenerator[Stage]:
    """Start *app* by its lifespan; see its last client off, and stop it."""
    scopes: list[Scope] = []
    error: AssertionError | None = None
    async with anyio.create_task_group() as tasks:
        running = Stage(app, tasks, scopes)
        lifespan = running.open("lifespan", state={})
        lifespan.put("lifespan.startup")
        await lifespan.get("lifespan.startup.complete")
        try:
            yield running
        except AssertionError as failed:
            # Kept aside so that the group does not wrap it.
            error = failed
        running.leave()
        lifespan.put("lifespan.shutdown")
        await lifespan.get("lifespan.shutdown.complete")
    for scope in scopes:
        scope.close()
    if error is not None:
        raise error
