"""An app for ``greenroom serve``: an adapter, and HTTP that takes its time."""

from __future__ import annotations

from typing import Any

import anyio

from greenroom import ActorAdapter, Client, Options

adapter = ActorAdapter(
    "/ws", options=Options(drain_seconds=5, disconnect_seconds=20, close_seconds=0.5)
)
# One whose clients are reached by plain ASGI alone, as on a hypercorn of any other
# version: such a server can drop nobody.
plain = ActorAdapter("/plain", options=adapter.options)
# Where nothing that looks for hypercorn's own send finds it.
sends: dict[object, Any] = {}


@adapter.on_connect()
@plain.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    await client.emit("welcome", {"sid": client.sid})


@adapter.on("stream")
@plain.on("stream")
async def stream(event: str, client: Client, data: Any) -> None:
    while True:
        await client.emit("chunk", "x" * data)


@adapter.on("linger")
@plain.on("linger")
async def linger(event: str, client: Client, data: Any) -> None:
    client.session["lingers"] = True


@adapter.on_disconnect()
@plain.on_disconnect()
async def disconnect(event: str, client: Client, data: Any) -> None:
    if "lingers" in client.session:
        await anyio.sleep_forever()
    print(f"gone {client.sid} {client.close_code} {client.close_reason}", flush=True)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Both, and below them HTTP that answers when its time is over."""
    if scope["type"] == "lifespan":

        async def send_and_tell(message: Any) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                print("lifespan over", flush=True)
            await send(message)

        async with plain.running():
            await adapter(scope, receive, send_and_tell)
        return
    if scope["path"] == "/plain":
        key = object()
        sends[key] = send

        async def send_plainly(message: Any) -> None:
            await sends[key](message)

        await plain(scope, receive, send_plainly)
    elif not await adapter(scope, receive, send):
        await anyio.sleep(float(scope["query_string"] or 0))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
