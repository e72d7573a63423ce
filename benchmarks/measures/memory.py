"""Memory of an idle connection: the server's processes before and after many."""

from __future__ import annotations

import asyncio

from ..harness.load import Client, close, connect, join
from ..harness.server import Server

_WARM_UP_CLIENTS = 20
_SETTLE_SECONDS = 0.3


async def base(server: Server) -> int:
    """What the server holds when it has served a few clients and has none."""
    visitors = await connect(server, Client, _WARM_UP_CLIENTS)
    await join(visitors)
    await close(visitors)
    return await settled(server)


async def settled(server: Server) -> int:
    """What the server holds after a moment of rest."""
    await asyncio.sleep(_SETTLE_SECONDS)
    return server.memory()


def per_connection(before: int, after: int, connections: int) -> float:
    """What each connection added to the resident memory, in kB (1,024 bytes).

    Resident, not proportional: pages the server shares with other processes are
    in both moments and cancel out, while their proportional part would change
    with whatever else runs on the machine.
    """
    return (after - before) / connections
