"""An app that operators look at: a health probe, and metrics beside the adapter."""

from __future__ import annotations

import logging
from typing import Any, cast

import anyio
import prometheus_client

from greenroom import ActorAdapter, Client, Options
from greenroom.metrics import register

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(levelname)s %(event)s %(message)s"))
logger = logging.getLogger("greenroom.adapter")
logger.addHandler(handler)
logger.setLevel(logging.INFO)

adapter = ActorAdapter(
    options=Options(health_path="/health", disconnect_seconds=30.0, drain_seconds=60.0)
)
registry = prometheus_client.CollectorRegistry()
register(adapter, registry=registry)
metrics: Any = cast("Any", prometheus_client).make_asgi_app(registry)
leave = anyio.Event()


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


@adapter.on_disconnect()
async def linger(event: str, client: Client, data: Any) -> None:
    """A drain lasts until somebody has seen it."""
    await leave.wait()


@adapter.on("drain")
async def drain(event: str, client: Client, data: Any) -> None:
    await adapter.drain()


@adapter.on("echo")
async def echo(event: str, client: Client, data: Any) -> Any:
    return data


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The adapter, the metrics, and a door for the test."""
    if await adapter(scope, receive, send):
        return
    if scope["path"] == "/leave":
        leave.set()
    await metrics(scope, receive, send)
