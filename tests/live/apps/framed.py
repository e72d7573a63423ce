"""Adapters side by side, for all that becomes of who sends too many frames."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import anyio

from greenroom import ActorAdapter, Client, Excess, Handshake, Identity, Options

RATE, BURST = 400.0, 50
STRIKES = 3
PING_SECONDS = 0.8
HANDSHAKE_SECONDS = 0.2

adapters = {
    "throttle": ActorAdapter(
        "/throttle", options=Options(message_rate=RATE, message_burst=BURST)
    ),
    "strike": ActorAdapter(
        "/strike",
        options=Options(
            message_rate=10.0,
            message_burst=BURST,
            excess=Excess.STRIKE,
            max_strikes=STRIKES,
        ),
    ),
    "close": ActorAdapter(
        "/close",
        options=Options(message_rate=10.0, message_burst=BURST, excess=Excess.CLOSE),
    ),
    # All that a client says at once lasts for minutes.
    "slow": ActorAdapter(
        "/slow",
        options=Options(
            message_rate=0.5,
            message_burst=5,
            inbox_messages=2,
            ping_seconds=PING_SECONDS,
            pong_seconds=PING_SECONDS,
            handler_grace=0.1,
            close_seconds=0.3,
        ),
    ),
    "free": ActorAdapter(
        "/free", options=Options(max_message_bytes=65_536, close_seconds=0.3)
    ),
    "slowly": ActorAdapter("/slowly"),
}


@adapters["slowly"].authenticate()
async def who(handshake: Handshake) -> Identity:
    await anyio.sleep(HANDSHAKE_SECONDS)
    return Identity("somebody")


async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


async def echo(event: str, client: Client, data: Any) -> Any:
    return data


async def wait(event: str, client: Client, data: Any) -> None:
    await anyio.sleep_forever()


async def statistics(event: str, client: Client, data: str) -> dict[str, Any]:
    return asdict(adapters[data].statistics())


for each in adapters.values():
    each.on_connect()(connect)
    for handler in (echo, wait, statistics):
        each.on(handler.__name__)(handler)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "lifespan":
        for adapter in adapters.values():
            if await adapter(scope, receive, send):
                return
        raise AssertionError(scope["path"])
    await receive()
    async with AsyncExitStack() as stack:
        for adapter in adapters.values():
            await stack.enter_async_context(adapter.running())
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
