"""The gateway: what comes from the clients of the chat."""

# Nestipy's decorators say nothing of what they return.
# mypy: disable-error-code="untyped-decorator,no-untyped-call"
# pyright: basic

from typing import Annotated

from nestipy.common import UseGuards
from nestipy.ioc import Inject, SocketData, WebSocketClient
from nestipy.websocket import (
    Gateway,
    IoAdapter,
    OnConnect,
    OnDisConnect,
    SubscribeMessage,
)

from greenroom import ActorAdapter, Client, EventError

from .archive import Archive
from .dto import Line, Place
from .guard import Named

NAMESPACE = "/chat"

Peer = Annotated[Client, WebSocketClient()]


@Gateway(NAMESPACE)
class ChatGateway:
    """Rooms, and what is said in them."""

    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]
    archive: Annotated[Archive, Inject()]

    @UseGuards(Named)
    @OnConnect()
    async def hello(self, client: Peer) -> None:
        """Tell a client who it is."""
        await client.emit("hello", {"name": client.session["name"]})

    @SubscribeMessage("join")
    async def join(
        self, client: Peer, place: Annotated[Place, SocketData()]
    ) -> dict[str, object]:
        """Enter a room; the answer comes as an event, and as the ack."""
        await client.join(place.room)
        name = client.session["name"]
        await self.tell(place.room, "came", {"name": name, "room": place.room})
        return {"room": place.room, "rooms": sorted(client.rooms)}

    @SubscribeMessage("say")
    async def say(self, client: Peer, line: Annotated[Line, SocketData()]) -> None:
        """Say something to everyone in a room."""
        if line.room not in client.rooms:
            raise EventError("not_here", f"you are not in {line.room}")
        said = {**line.model_dump(), "name": client.session["name"]}
        await self.tell(line.room, "said", said)

    @SubscribeMessage("export")
    async def export(self, client: Peer, place: Annotated[Place, SocketData()]) -> int:
        """Send the whole archive of a room, no faster than the client reads.

        Each emit waits while the client's outbox is full, so that a slow one
        costs as much memory as a fast one: a few hundred lines.  When it leaves,
        this ends.
        """
        count = 0
        async for line in self.archive.lines(place.room):
            await client.emit("archived", line)
            count += 1
        return count

    @OnDisConnect()
    async def bye(self, client: Peer) -> None:
        """Tell the rooms that it was in."""
        for room in client.rooms:
            name = client.session["name"]
            await self.tell(room, "left", {"name": name, "room": room})

    async def tell(self, room: str, event: str, data: object) -> None:
        """Send something to everyone in *room*."""
        await self.adapter.emit(event, data, room=room, namespace=NAMESPACE)
