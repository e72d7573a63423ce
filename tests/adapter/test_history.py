"""Who comes back with its position gets what it missed, or is told that it cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenroom import ActorAdapter, Joined, NotEncodable
from greenroom.adapter import JsonEnvelope, PayloadHooks
from greenroom.testing import connect_raw

from .lobby import Position, Room, enter, frames, since

pytestmark = pytest.mark.anyio


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


async def test_a_position_is_for_the_client_to_keep() -> None:
    joined = Joined(True, "epoch", 7, missed=2)
    assert joined.position == {"epoch": "epoch", "offset": 7}
