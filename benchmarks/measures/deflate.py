"""Memory of a connection that has agreed to compress, and does.

Clients that offer permessage-deflate as every browser does, and say and hear a few
messages long enough to be compressed.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..harness.raw import Raw
from ..harness.server import Server
from . import memory

_MESSAGES = 4
_TEXT = "".join(
    f"line {number}: what {number * number} people say, over and over; "
    for number in range(50)
)


@dataclass(frozen=True, slots=True)
class Weight:
    """What a connection weighs, in kB, and what came of the offer."""

    kilobytes: float
    agreed: bool
    #: Messages that came compressed, of each client's `_MESSAGES`.
    inflated: float


async def measure(server: Server, connections: int) -> Weight:
    """Weigh so many connections.

    Raises:
        AssertionError: The server did not give the text back.
    """
    before = await memory.base(server)
    clients = [Raw(server, offer=True) for _ in range(connections)]
    frame = clients[0].say("echo", _TEXT)
    for _ in range(_MESSAGES):
        for client in clients:
            assert _TEXT in client.ask(frame)
    after = await memory.settled(server)
    for client in clients:
        client.close()
    return Weight(
        memory.per_connection(before, after, connections),
        all("permessage-deflate" in client.agreed for client in clients),
        sum(client.inflated for client in clients) / connections,
    )
