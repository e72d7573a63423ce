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
from ._errors import (
    InvariantBroken,
    NotRepeated,
    NotSimulated,
    SimulatedCrash,
    SimulationError,
    TrioChanged,
    WorldStuck,
)
from ._explore import Exploration, explore
from ._faults import Faults
from ._kit import ActorKit, Sent
from ._memory import MemoryPeer, MemoryTransport, Refused
from ._nestipy import running_app, running_gateways
from ._schedule import Schedule, schedules
from ._simulate import simulate
from ._world import World

__all__ = [
    "ActorKit",
    "Answer",
    "Event",
    "EventError",
    "Exploration",
    "Faults",
    "InvariantBroken",
    "MemoryClient",
    "MemoryPeer",
    "MemoryTransport",
    "NotRepeated",
    "NotSimulated",
    "Refused",
    "Schedule",
    "Sent",
    "SimulatedCrash",
    "SimulationError",
    "TransportClosed",
    "TrioChanged",
    "VirtualEventLoop",
    "World",
    "WorldStuck",
    "connect",
    "connect_raw",
    "explore",
    "running_app",
    "running_gateways",
    "schedules",
    "simulate",
    "virtual_backend",
    "wait_idle",
    "websocket_scope",
]
