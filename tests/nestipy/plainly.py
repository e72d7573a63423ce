"""Handlers that are asyncio's, on an adapter without Nestipy, behind the bridge."""

from __future__ import annotations

import asyncio
from typing import Any

from greenroom import ActorAdapter, Client, TrioAsyncioBridge

adapter = ActorAdapter()


@adapter.on("echo")
async def echo(event: str, client: Client, data: Any) -> Any:
    async with asyncio.timeout(5):
        await asyncio.sleep(0)
    return data


@adapter.on("stop")
async def stop(event: str, client: Client, data: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    # As a library might, to itself.
    task.cancel()
    await asyncio.sleep(10)


@adapter.on("swallow")
async def swallow(event: str, client: Client, data: Any) -> None:
    await client.emit("swallowing")
    for _ in range(2):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            print("cancelled", flush=True)


app = TrioAsyncioBridge(adapter, adapter)
