"""A Starlette app with adapters in it, each brought in another way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom import ActorAdapter, Client


def make_adapter(path: str) -> ActorAdapter:
    """An adapter at *path* that knows a few events."""
    adapter = ActorAdapter(path)

    @adapter.on_connect()
    async def connect(event: str, client: Client, data: Any) -> None:
        if "reject" in client.query_params:
            client.reject(4001, "members only")
        else:
            await client.emit("welcome", {"sid": client.sid})

    @adapter.on_disconnect()
    async def disconnect(event: str, client: Client, data: Any) -> None:
        how = [client.sid, client.close_code, client.close_reason]
        print("gone", *how, flush=True)
        await adapter.broadcast("gone", how)

    @adapter.on("echo")
    async def echo(event: str, client: Client, data: Any) -> Any:
        return data

    @adapter.on("path")
    async def path_of(event: str, client: Client, data: Any) -> str:
        name: str = client.scope["path"]
        return name

    @adapter.on("join")
    async def join(event: str, client: Client, data: Any) -> None:
        await client.join(data)

    @adapter.on("say")
    async def say(event: str, client: Client, data: Any) -> None:
        await adapter.emit("said", data, room="lobby", skip_sid=client.sid)

    @adapter.on("leave me")
    async def leave_me(event: str, client: Client, data: Any) -> None:
        await client.disconnect(4000, "bye")

    return adapter


mounted = make_adapter("/ws")
routed = make_adapter("/routed")
below = make_adapter("/below")
in_front = make_adapter("/front")


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("a page")


async def post(request: Request) -> PlainTextResponse:
    """Tell the room, from plain HTTP."""
    await mounted.emit("said", (await request.body()).decode(), room="lobby")
    return PlainTextResponse("told")


@asynccontextmanager
async def lifespan(starlette: Starlette) -> AsyncGenerator[None]:
    async with (
        mounted.running(),
        routed.running(),
        below.running(),
        in_front.running(),
    ):
        yield


starlette = Starlette(
    routes=[
        Route("/", page),
        Route("/say", post, methods=["POST"]),
        # It returns whether a scope was its own; Starlette does not ask.
        Mount("/live", app=cast("ASGIApp", mounted)),
        WebSocketRoute("/routed", routed),
        WebSocketRoute("/routed/{rest:path}", routed),
        Mount("/deep", routes=[Mount("/er", routes=[WebSocketRoute("/below", below)])]),
    ],
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["*"])],
    lifespan=lifespan,
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The whole: an adapter, and behind it a Starlette app with adapters in it."""
    # The lifespan is Starlette's, which starts all of them.
    if scope["type"] != "websocket" or not await in_front(scope, receive, send):
        await starlette(scope, receive, send)
