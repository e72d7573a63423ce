"""A room whose messages are kept, and clients that come back to it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from greenroom import Client, EventError, Joined
from greenroom.testing import MemoryPeer, connect_raw

from .support import Chat

Position = dict[str, Any]


class Room:
    """An adapter whose clients join the lobby with the position they name."""

    def __init__(self, **options: Any) -> None:
        self.chat = Chat(**options)
        self.adapter = self.chat.adapter
        self.said = 0
        # How many of the last messages each join asks for.
        self.recent = 0
        # What each join returned, in order.
        self.joined: list[Joined] = []

        @self.adapter.on("join")
        async def join(event: str, client: Client, data: Any) -> dict[str, Any]:
            try:
                joined = await client.join("lobby", since=data, recent=self.recent)
            except ValueError as error:
                raise EventError("bad_position", str(error)) from None
            self.joined.append(joined)
            return {"recovered": joined.recovered, **joined.position}

    async def say(self, count: int = 1, room: str = "lobby", **arguments: Any) -> None:
        """Emit the next *count* numbers."""
        for _ in range(count):
            self.said += 1
            await self.adapter.emit(
                "said", self.said, room=room, history=True, **arguments
            )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Room]:
        async with self.chat.running():
            yield self

    async def visit(self, since: Position | None = None) -> tuple[list[int], Position]:
        """Join as a new client, and leave; what it was told, and the ack."""
        async with connect_raw(self.adapter) as peer:
            return await enter(peer, since)


async def enter(
    peer: MemoryPeer, since: Position | None
) -> tuple[list[int], dict[str, Any]]:
    """Join the lobby; the offsets that came before the ack, and the ack."""
    await peer.send(json.dumps({"event": "join", "data": since, "id": 1}))
    offsets: list[int] = []
    while True:
        frame = json.loads(await peer.receive())
        if "ack" in frame:
            return offsets, frame.get("data") or frame["error"]
        assert frame["room"] == "lobby"
        offsets.append(frame["offset"])


async def frames(peer: MemoryPeer, count: int) -> list[dict[str, Any]]:
    return [json.loads(await peer.receive()) for _ in range(count)]


def since(position: Position, offset: int) -> Position:
    return {"epoch": position["epoch"], "offset": offset}
