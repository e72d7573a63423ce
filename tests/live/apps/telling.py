"""What an adapter under attack tells whoever looks on."""

from __future__ import annotations

import os
from typing import Any

from greenroom import ActorAdapter, Client

from .weighed import weighed


def have_it_tell(adapter: ActorAdapter) -> None:
    """Have *adapter* say in the log who comes and goes, and answer what it is asked."""

    @adapter.on_connect()
    async def connect(event: str, client: Client, data: Any) -> None:
        print("hello", client.sid, flush=True)
        await client.emit("welcome", {"sid": client.sid})

    @adapter.on_disconnect()
    async def disconnect(event: str, client: Client, data: Any) -> None:
        print("gone", client.sid, client.close_code, flush=True)

    @adapter.on("echo")
    async def echo(event: str, client: Client, data: Any) -> Any:
        return data

    @adapter.on("pid")
    async def pid(event: str, client: Client, data: Any) -> int:
        return os.getpid()

    @adapter.on("statistics")
    async def statistics(event: str, client: Client, data: Any) -> dict[str, Any]:
        return weighed(adapter)
