"""An app with short deadlines, that writes a line for each who comes or goes."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from greenroom import ActorAdapter, Client, Options

SEND_SECONDS = 1.0
HANDLER_GRACE = 0.2
DISCONNECT_SECONDS = 1.0
CLOSE_SECONDS = 0.5
DRAIN_SECONDS = 2.0
BLOCK_SECONDS = 0.3
# Longer than the grace, and what a handler has to end once it is cancelled.
DEAF_SECONDS = 1.5

app = adapter = ActorAdapter(
    "/ws",
    options=Options(
        inbox_messages=16,
        send_seconds=SEND_SECONDS,
        handler_grace=HANDLER_GRACE,
        disconnect_seconds=DISCONNECT_SECONDS,
        close_seconds=CLOSE_SECONDS,
        drain_seconds=DRAIN_SECONDS,
    ),
)

# What is kept of clients that have gone, if that is asked for: a leak.
hoard: list[Any] = []
hoarding = False

real_time = time.time
PAGE = os.sysconf("SC_PAGE_SIZE")


class OnPurpose(Exception):
    """What handlers raise here; the one thing whose traceback may be in the log."""


@adapter.on_connect()
async def connect(event: str, client: Client, data: Any) -> None:
    print("hello", client.sid, flush=True)
    await client.emit("welcome", {"sid": client.sid})
    if "crash" in client.query_params:
        raise OnPurpose("on_connect")


@adapter.on_disconnect()
async def disconnect(event: str, client: Client, data: Any) -> None:
    await checkpoint()
    print("gone", client.sid, client.close_code, client.close_reason, flush=True)
    if "crash" in client.query_params:
        raise OnPurpose("on_disconnect")
    if hoarding:
        hoard.append(client.session)


# -- what it says of itself ------------------------------------------------


@adapter.on("echo")
async def echo(event: str, client: Client, data: Any) -> Any:
    return data


@adapter.on("statistics")
async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
    return asdict(adapter.statistics())


@adapter.on("pid")
async def pid(event: str, client: Client, data: Any) -> int:
    return os.getpid()


def resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * PAGE


@adapter.on("memory")
async def memory(event: str, client: Client, data: Any) -> int:
    return resident()


@adapter.on("look")
def look(event: str, client: Client, data: Any) -> dict[str, Any]:
    """All that a leak would show in."""
    gc.collect()
    objects = gc.get_objects()
    kinds = Counter(f"{type(it).__module__}.{type(it).__qualname__}" for it in objects)
    return {
        "connections": adapter.statistics().connections,
        "actors": len(list(adapter.system.tree())),
        "rooms": adapter.statistics().rooms,
        "tasks": len(anyio.get_running_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "blocks": sys.getallocatedblocks(),
        "memory": resident(),
        "kinds": kinds,
    }


@adapter.on("hoard")
async def hoard_clients(event: str, client: Client, data: bool) -> None:
    """Keep something of each client that goes from now on; or let go of it."""
    global hoarding
    hoarding = data
    if not hoarding:
        hoard.clear()


# -- rooms and sending -----------------------------------------------------


@adapter.on("join")
async def join(event: str, client: Client, data: list[str]) -> None:
    client.session["rooms"] = data
    for room in data:
        await client.join(room)


@adapter.on("tell")
async def tell(event: str, client: Client, data: dict[str, Any]) -> None:
    """Send one number to everyone in a room."""
    what = [data["number"], "x" * data["pad"]]
    await adapter.emit("number", what, room=data["room"])


@adapter.on("pour")
async def pour(event: str, client: Client, data: dict[str, Any]) -> None:
    """Send numbers to everyone in a room, one at a time."""
    pad = "x" * data["pad"]
    for number in range(data["count"]):
        await adapter.emit("number", [number, pad], room=data["room"])
        await anyio.sleep(data["pause"])


@adapter.on("stream")
async def stream(event: str, client: Client, data: dict[str, Any]) -> None:
    """Send numbers to the client itself, as fast as it takes them."""
    pad = "x" * data["pad"]
    for number in range(data["count"]):
        await client.emit("number", [number, pad])


# -- what handlers should not do -------------------------------------------


@adapter.on("crash")
async def crash(event: str, client: Client, data: Any) -> None:
    raise OnPurpose("handler")


@adapter.on("block")
def block(event: str, client: Client, data: Any) -> None:
    """Keep everybody waiting."""
    time.sleep(BLOCK_SECONDS)


@adapter.on("hang")
async def hang(event: str, client: Client, data: Any) -> None:
    await client.emit("hanging")
    await anyio.sleep_forever()


@adapter.on("deaf")
async def deaf(event: str, client: Client, data: Any) -> None:
    """Take no notice of being cancelled, for a while."""
    await client.emit("deaf")
    with anyio.CancelScope(shield=True):
        await anyio.sleep(DEAF_SECONDS)


@adapter.on("jump")
async def jump(event: str, client: Client, data: float) -> None:
    """Set the clock on the wall *data* seconds ahead of what is right."""
    time.time = lambda: real_time() + data
