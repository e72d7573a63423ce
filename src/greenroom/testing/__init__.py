"""Tools for tests: ours, and yours.

Handlers are tested without a server, on either event loop:

    async with adapter.running(), connect(adapter) as client:
        await client.emit("say", "hi")
        assert await client.receive() == Event("said", "hi")
        assert await client.call("say", "hi") == {"ok": True}
"""

from ..adapter import Event, EventError, TransportClosed
from ._client import Answer, MemoryClient, connect, connect_raw, websocket_scope
from ._memory import MemoryPeer, MemoryTransport, Refused

__all__ = [
    "Answer",
    "Event",
    "EventError",
    "MemoryClient",
    "MemoryPeer",
    "MemoryTransport",
    "Refused",
    "TransportClosed",
    "connect",
    "connect_raw",
    "websocket_scope",
]
