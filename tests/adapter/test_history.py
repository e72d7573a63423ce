from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorAdapter,
    ActorSystem,
    Client,
    ClientGone,
    EventError,
    Joined,
    NotEncodable,
    Options,
    Overflow,
)
from greenroom.adapter import JsonEnvelope, PayloadHooks
from greenroom.adapter._history import Histories
from greenroom.adapter._rooms import Rooms
from greenroom.testing import MemoryPeer, connect_raw, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio

Position = dict[str, Any]


class Room:
    """An adapter whose clients join the lobby with the position they name."""

    def __init__(self, **options: Any) -> None:
        self.chat = Chat(**options)
        self.adapter = self.chat.adapter
        self.said = 0
        # What each join returned, in order.
        self.joined: list[Joined] = []

        @self.adapter.on("join")
        async def join(event: str, client: Client, data: Any) -> dict[str, Any]:
            try:
                joined = await client.join("lobby", since=data)
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


# -- the wire --------------------------------------------------------------


async def test_what_is_kept_says_its_room_and_its_offset() -> None:
    async with Room().running() as room, connect_raw(room.adapter) as peer:
        assert await enter(peer, None) == ([], {**room.joined[0].position, **NEW})
        await room.say(2)
        assert await frames(peer, 2) == [
            {
                "event": "said",
                "data": 1,
                "namespace": "/",
                "room": "lobby",
                "offset": 1,
            },
            {
                "event": "said",
                "data": 2,
                "namespace": "/",
                "room": "lobby",
                "offset": 2,
            },
        ]


NEW = {"recovered": False, "offset": 0}


@pytest.mark.parametrize("room", ["lobby", 'quo"te', "ünï", "{}\n"])
async def test_an_offset_is_written_behind_the_rest(room: str) -> None:
    frame_at = JsonEnvelope().kept("said", {"a": [1]}, "/chat", room)
    assert json.loads(frame_at(7)) == {
        "event": "said",
        "data": {"a": [1]},
        "namespace": "/chat",
        "room": room,
        "offset": 7,
    }
    assert json.loads(frame_at(8))["offset"] == 8


async def test_what_cannot_be_encoded_is_refused_where_it_is_emitted() -> None:
    async with Room().running() as room:
        with pytest.raises(NotEncodable, match="said"):
            await room.adapter.emit("said", object(), room="lobby", history=True)
        assert room.adapter.statistics().histories == 0


async def test_history_needs_the_envelope() -> None:
    hooks = PayloadHooks(None, None, "ws")
    with pytest.raises(NotEncodable, match="history needs the JSON envelope"):
        hooks.kept("said", 1, "/", "lobby")
    adapter = ActorAdapter(post_process_payload=dict)
    async with adapter.running():
        with pytest.raises(NotEncodable, match="history needs the JSON envelope"):
            await adapter.emit("said", 1, room="lobby", history=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"room": []},
        {"room": ["lobby", "bar"]},
        {"room": "lobby", "to": "~somebody"},
        {"room": "lobby", "callback": print},
        {"room": "lobby", "volatile": True},
        {"room": ""},
        {"room": "~somebody"},
    ],
)
async def test_what_is_kept_goes_to_exactly_one_room(arguments: Any) -> None:
    async with Room().running() as room:
        with pytest.raises(ValueError, match="room"):
            await room.adapter.emit("said", 1, history=True, **arguments)


@pytest.mark.parametrize(
    "since",
    [
        5,
        "x",
        [],
        {},
        {"epoch": "x"},
        {"epoch": "x", "offset": -1},
        {"epoch": "x", "offset": True},
        {"epoch": "x", "offset": 1.0},
        {"epoch": 5, "offset": 1},
        {"epoch": None, "offset": 0},
        {"epoch": "x" * 65, "offset": 0},
    ],
)
async def test_a_position_that_is_none_is_refused(since: Any) -> None:
    async with Room().running() as room:
        _, answer = await room.visit(since)
        assert answer["code"] == "bad_position"
        assert "since must be None or a position such as" in answer["message"]
        assert room.adapter.statistics().rooms == 0


# -- coming back -----------------------------------------------------------


async def test_who_comes_back_gets_what_it_missed() -> None:
    async with Room().running() as room:
        _, position = await room.visit()
        # Nothing was said, and nothing missed.
        assert await room.visit(position) == ([], {**position, "recovered": True})
        await room.say(3)
        offsets, answer = await room.visit(position)
        assert offsets == [1, 2, 3]
        assert answer == {**position, "recovered": True, "offset": 3}
        assert room.joined[-1] == Joined(True, position["epoch"], 3, missed=3)

        # From where it says it was, and not from where it left.
        assert (await room.visit(since(position, 2)))[0] == [3]
        assert await room.visit(since(position, 3)) == ([], answer)
        statistics = room.adapter.statistics()
        assert (statistics.recovered, statistics.not_recovered) == (4, 0)


async def test_who_says_nothing_gets_nothing_of_it() -> None:
    async with Room().running() as room:
        await room.say(3)
        offsets, answer = await room.visit()
        assert (offsets, answer["recovered"], answer["offset"]) == ([], False, 3)
        statistics = room.adapter.statistics()
        assert (statistics.recovered, statistics.not_recovered) == (0, 0)


async def test_rooms_count_apart() -> None:
    async with Room().running() as room:
        _, position = await room.visit()
        await room.say(2, room="bar")
        await room.say(2, namespace="/other")
        await room.adapter.emit("said", room="lobby")
        await room.say(1)
        assert (await room.visit(position))[0] == [1]


@pytest.mark.parametrize(
    "wrong", [{"offset": 4}, {"offset": 2**60}, {"epoch": "x"}, {"epoch": ""}]
)
async def test_a_position_that_never_was_is_not_recovered(wrong: Position) -> None:
    async with Room().running() as room:
        _, position = await room.visit()
        await room.say(3)
        wrong = {"epoch": position["epoch"], "offset": 1, **wrong}
        offsets, answer = await room.visit(wrong)
        assert (offsets, answer["recovered"]) == ([], False)
        assert room.adapter.statistics().not_recovered == 1


async def test_another_start_of_the_adapter_is_another_epoch() -> None:
    room = Room()
    async with room.running():
        _, position = await room.visit()
        await room.say()
    async with room.running():
        await room.say()
        offsets, answer = await room.visit(position)
        assert (offsets, answer["recovered"]) == ([], False)
        assert answer["epoch"] != position["epoch"]


async def test_who_is_skipped_misses_it_in_the_room_and_not_in_the_history() -> None:
    async with Room().running() as room, connect_raw(room.adapter) as peer:
        _, position = await enter(peer, None)
        (sid,) = room.chat.clients
        await room.say(1, skip_sid=sid)
        await room.say(1)
        assert [frame["offset"] for frame in await frames(peer, 1)] == [2]
        assert (await room.visit(position))[0] == [1, 2]


async def test_who_is_in_the_room_may_ask_again_for_what_it_missed() -> None:
    """With a policy that drops, a gap in the offsets says so."""
    async with Room().running() as room, connect_raw(room.adapter) as peer:
        _, position = await enter(peer, None)
        await room.say(3)
        assert [frame["offset"] for frame in await frames(peer, 3)] == [1, 2, 3]
        offsets, answer = await enter(peer, since(position, 1))
        assert (offsets, answer["recovered"], answer["offset"]) == ([2, 3], True, 3)
        # Without a position it only hears where it is.
        offsets, answer = await enter(peer, None)
        assert (offsets, answer["recovered"], answer["offset"]) == ([], False, 3)
        await room.say()
        assert [frame["offset"] for frame in await frames(peer, 1)] == [4]


# -- bounds ----------------------------------------------------------------


async def test_so_many_messages_are_kept() -> None:
    async with Room(history_messages=3).running() as room:
        _, position = await room.visit()
        await room.say(5)
        assert (await room.visit(since(position, 2)))[0] == [3, 4, 5]
        offsets, answer = await room.visit(since(position, 1))
        assert (offsets, answer["recovered"], answer["offset"]) == ([], False, 5)
        assert room.adapter.statistics().history_messages == 3


async def test_so_many_bytes_are_kept() -> None:
    frame = '{"event":"said","data":1,"namespace":"/","room":"lobby","offset":1}'
    async with Room(history_bytes=2 * len(frame)).running() as room:
        _, position = await room.visit()
        await room.say(3)
        assert (await room.visit(since(position, 1)))[0] == [2, 3]
        assert room.adapter.statistics().history_bytes == 2 * len(frame)
        # One that is longer than all that may be kept takes the others along.
        await room.adapter.emit("said", "x" * 500, room="lobby", history=True)
        assert (await room.visit(since(position, 4)))[1]["recovered"]
        assert not (await room.visit(since(position, 3)))[1]["recovered"]
        assert room.adapter.statistics().history_bytes == 0


async def test_so_long_a_message_is_kept() -> None:
    async with Room(history_seconds=10).running() as room:
        _, position = await room.visit()
        await room.say(1)
        await anyio.sleep(6)
        await room.say(1)
        await anyio.sleep(5)
        assert (await room.visit(since(position, 1)))[0] == [2]
        assert not (await room.visit(position))[1]["recovered"]
        await anyio.sleep(5)
        assert not (await room.visit(since(position, 1)))[1]["recovered"]
        # Who had them all has missed nothing, however long ago that was.
        assert (await room.visit(since(position, 2)))[1]["recovered"]


async def test_rooms_in_which_nothing_is_said_hold_no_messages() -> None:
    async with Room(history_seconds=10).running() as room:
        for name in ("a", "b", "c"):
            await room.say(2, room=name)
        await anyio.sleep(9)
        await room.say(1, room="b")
        await anyio.sleep(2)
        assert room.adapter.statistics().history_messages == 7
        # Looked after whenever something is said.
        await room.say(1, room="lobby")
        await wait_idle()
        statistics = room.adapter.statistics()
        # Those of b: the two old ones go when b itself is looked at.
        assert (statistics.history_messages, statistics.histories) == (4, 4)
        await room.say(1, room="b")
        await wait_idle()
        assert room.adapter.statistics().history_messages == 3


async def test_the_room_that_was_silent_for_longest_is_forgotten() -> None:
    async with Room(max_histories=2).running() as room:
        _, position = await room.visit()
        await room.say(1)
        await room.say(1, room="a")
        await room.say(1)
        await room.say(1, room="b")  # instead of a
        assert (await room.visit(position))[0] == [1, 2]
        await room.say(1, room="a")  # instead of the lobby
        assert room.adapter.statistics().histories == 2
        offsets, answer = await room.visit(since(position, 2))
        assert (offsets, answer["recovered"], answer["offset"]) == ([], False, 0)
        # It begins anew: the same offsets, and not the same messages.
        await room.say(2)
        assert not (await room.visit(since(position, 1)))[1]["recovered"]
        # Who came in between has missed those, and nothing else.
        assert (await room.visit(since(answer, 0)))[0] == [1, 2]


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
            await rooms.join("/", "lobby", Histories(Options()), None, None)


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


async def test_a_position_is_for_the_client_to_keep() -> None:
    joined = Joined(True, "epoch", 7, missed=2)
    assert joined.position == {"epoch": "epoch", "offset": 7}
