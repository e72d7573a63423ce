"""So many messages, bytes, seconds and rooms are kept; the oldest go first."""

from __future__ import annotations

import anyio
import pytest

from greenroom.testing import wait_idle

from .lobby import Room, since

pytestmark = pytest.mark.anyio


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
