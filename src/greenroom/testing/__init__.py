"""Tools for tests: ours, and yours.

Handlers are tested without a server, on either event loop:

    async with adapter.running(), connect(adapter) as client:
        await client.emit("say", "hi")
        assert await client.receive() == Event("said", "hi")
        assert await client.call("say", "hi") == {"ok": True}

What takes time takes none on `virtual_backend`, and `wait_idle` is for "nothing
more happens now".
"""

from ..adapter import Event, EventError, TransportClosed
from ._client import Answer, MemoryClient, connect, connect_raw, websocket_scope
from ._clock import VirtualEventLoop, virtual_backend, wait_idle
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
    "VirtualEventLoop",
    "connect",
    "connect_raw",
    "virtual_backend",
    "wait_idle",
    "websocket_scope",
]
