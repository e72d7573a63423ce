"""What was missed comes before what is new, however slowly it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenroom import Actor, ActorSystem, Client, ClientGone, Options, Overflow
from greenroom.adapter._history import Histories
from greenroom.adapter._rooms import Rooms
from greenroom.testing import MemoryPeer, connect_raw, wait_idle

from .lobby import Position, Room, enter, frames
from .support import until

pytestmark = pytest.mark.anyio


async def test_what_was_missed_may_be_more_than_an_outbox_holds() -> None:
    """The client that reads it slowly gets all of it, and then what is new."""
    options: dict[str, Any] = {"outbox_messages": 4, "history_messages": 4}
    async with Room(**options).running() as room:
        _, position = await room.visit()
        await room.say(4)
        async with connect_raw(room.adapter, max_frames=1) as peer:
            await wait_idle()
            handler = next(reversed(room.chat.clients))
            for number in range(3):
                await room.chat.clients[handler].emit("filling", number)
            await peer.send(json.dumps({"event": "join", "data": position, "id": 1}))
            await wait_idle()
            assert len(room.joined) == 1  # it waits for room
            await room.say(1)
            seen: list[object] = []
            while not seen or seen[-1] != "ack":
                frame = json.loads(await peer.receive())
                seen.append("ack" if "ack" in frame else frame["data"])
            assert seen == [0, 1, 2, 1, 2, 3, 4, 5, "ack"]
            assert room.joined[1].missed == 5


LITTLE: dict[str, Any] = {"outbox_messages": 4, "history_messages": 4}


class Slow:
    """A client whose outbox is full when it asks to join."""

    def __init__(self, room: Room, peer: MemoryPeer) -> None:
        self.room = room
        self.peer = peer
        self.seen: list[object] = []

    async def fill_and_join(self, position: Position | None) -> None:
        await wait_idle()
        sid = next(reversed(self.room.chat.clients))
        # The first of them are on their way already.
        for number in range(4):
            await self.room.chat.clients[sid].emit("filling", number)
        await self.peer.send(json.dumps({"event": "join", "data": position, "id": 1}))
        await wait_idle()

    async def read_one(self) -> None:
        frame = json.loads(await self.peer.receive())
        self.seen.append("ack" if "ack" in frame else frame["data"])
        await wait_idle()

    async def read_on(self) -> list[object]:
        """Everything up to the ack."""
        while not self.seen or self.seen[-1] != "ack":
            await self.read_one()
        return self.seen


async def test_the_last_messages_wait_for_room_as_well() -> None:
    async with Room(**LITTLE).running() as room:
        room.recent = 3
        await room.say(4)
        async with connect_raw(room.adapter, max_frames=1) as peer:
            slow = Slow(room, peer)
            await slow.fill_and_join(None)
            assert room.joined == []  # it waits for room
            await room.say(1)
            assert await slow.read_on() == [0, 1, 2, 3, 2, 3, 4, 5, "ack"]
            # With what was said meanwhile, so that it has no gap.
            (joined,) = room.joined
            assert (joined.recovered, joined.missed, joined.recent) == (False, 0, 4)


async def test_who_is_too_slow_for_what_it_missed_gets_the_last() -> None:
    async with Room(**LITTLE).running() as room:
        room.recent = 2
        _, position = await room.visit()
        await room.say(4)
        async with connect_raw(room.adapter, max_frames=1) as peer:
            slow = Slow(room, peer)
            await slow.fill_and_join(position)
            assert len(room.joined) == 1
            await room.say(8)
            assert await slow.read_on() == [0, 1, 2, 3, 1, 2, 3, 11, 12, "ack"]
            joined = room.joined[1]
            assert (joined.recovered, joined.missed, joined.recent) == (False, 3, 2)


async def test_who_is_too_slow_for_the_last_goes_without_what_is_lost() -> None:
    async with Room(**LITTLE).running() as room:
        room.recent = 4
        await room.say(4)
        async with connect_raw(room.adapter, max_frames=1) as peer:
            slow = Slow(room, peer)
            await slow.fill_and_join(None)
            await room.say(8)
            assert await slow.read_on() == [0, 1, 2, 3, 1, 2, 3, "ack"]
            (joined,) = room.joined
            assert (joined.recovered, joined.offset, joined.recent) == (False, 12, 3)
            # It is in the room, and gets what is newer.
            await room.say(1)
            assert [frame["offset"] for frame in await frames(peer, 1)] == [13]


async def test_who_leaves_while_it_waits_for_what_it_missed_is_gone() -> None:
    options: dict[str, Any] = {"outbox_messages": 4, "history_messages": 4}
    async with Room(**options).running() as room:
        errors: list[Exception] = []

        @room.adapter.on("try")
        async def join(event: str, client: Client, data: Any) -> None:
            for number in range(4):
                await client.emit("filling", number)
            try:
                await client.join("lobby", since=data)
            except ClientGone as error:
                errors.append(error)

        _, position = await room.visit()
        await room.say(4)
        async with connect_raw(room.adapter, max_frames=1) as peer:
            await peer.send(json.dumps({"event": "try", "data": position}))
            await wait_idle()
            assert errors == []
        await until(lambda: errors)
        assert room.adapter.statistics().rooms == 0


async def test_an_actor_that_has_ended_joins_nothing() -> None:
    class Idle(Actor[None]):
        async def receive(self, message: None) -> None: ...

    async with ActorSystem() as system:
        ref = await system.spawn(Idle())
        outbox: Any = None
        rooms = Rooms(system.registry, ref, outbox, 5)
        await ref.stop()
        with pytest.raises(ClientGone):
            await rooms.join("/", "lobby", Histories(Options()), None, 0, None)


async def test_who_is_in_the_room_already_does_not_wait() -> None:
    """For the news would come before what it missed."""
    async with (
        Room(outbox_messages=4, history_messages=4).running() as room,
        connect_raw(room.adapter, max_frames=1) as peer,
    ):
        _, position = await enter(peer, None)
        await room.say(4)
        await wait_idle()
        await peer.send(json.dumps({"event": "join", "data": position, "id": 1}))
        await wait_idle()
        assert [code for _, code, _ in room.chat.gone] == [1013]
        # Then its connection is closed, and it comes back as somebody new.
        assert (await room.visit(position))[0] == [1, 2, 3, 4]


async def test_a_policy_that_drops_leaves_a_gap() -> None:
    options: dict[str, Any] = {
        "outbox_messages": 2,
        "namespace_overflow": {"/": Overflow.DROP_OLD},
    }
    async with (
        Room(**options).running() as room,
        connect_raw(room.adapter, max_frames=1) as peer,
    ):
        await enter(peer, None)
        await room.say(8)
        await wait_idle()
        offsets = [frame["offset"] for frame in await frames(peer, 4)]
        assert offsets[-2:] == [7, 8]
        assert offsets != list(range(5, 9))
