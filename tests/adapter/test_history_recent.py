"""Who comes without a position, or with one that is of no use, gets the last."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import Joined
from greenroom.testing import connect_raw

from .lobby import Room, enter, frames, since

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("said", "recent", "got"),
    [(5, 3, [3, 4, 5]), (5, 5, [1, 2, 3, 4, 5]), (2, 100, [1, 2]), (0, 3, [])],
)
async def test_who_comes_gets_the_last(said: int, recent: int, got: list[int]) -> None:
    async with Room().running() as room:
        room.recent = recent
        await room.say(said)
        offsets, answer = await room.visit()
        assert offsets == got
        assert room.joined == [
            Joined(False, answer["epoch"], said, missed=0, recent=len(got))
        ]
        # It has asked for nothing that could be lost.
        statistics = room.adapter.statistics()
        assert (statistics.recovered, statistics.not_recovered) == (0, 0)


async def test_what_is_newer_comes_after_them_and_once() -> None:
    async with Room().running() as room, connect_raw(room.adapter) as peer:
        room.recent = 2
        await room.say(3)
        offsets, _ = await enter(peer, None)
        await room.say(2)
        news = [frame["offset"] for frame in await frames(peer, 2)]
        assert (offsets, news) == ([2, 3], [4, 5])


async def test_no_more_than_is_kept() -> None:
    async with Room(history_messages=2).running() as room:
        room.recent = 5
        await room.say(4)
        assert (await room.visit())[0] == [3, 4]


async def test_who_comes_back_in_time_gets_what_it_missed_instead() -> None:
    async with Room().running() as room:
        room.recent = 2
        _, position = await room.visit()
        await room.say(4)
        assert (await room.visit(position))[0] == [1, 2, 3, 4]
        assert room.joined[-1] == Joined(True, position["epoch"], 4, missed=4)
        # Nothing missed is nothing to be given.
        assert (await room.visit(since(position, 4)))[0] == []
        assert room.joined[-1] == Joined(True, position["epoch"], 4)


@pytest.mark.parametrize("wrong", [{"offset": 1}, {"offset": 9}, {"epoch": "another"}])
async def test_who_cannot_recover_gets_the_last(wrong: dict[str, Any]) -> None:
    async with Room(history_messages=3).running() as room:
        room.recent = 2
        _, position = await room.visit()
        await room.say(5)
        offsets, answer = await room.visit({**since(position, 4), **wrong})
        assert (offsets, answer["recovered"], answer["offset"]) == ([4, 5], False, 5)
        assert room.joined[-1].recent == 2
        assert room.adapter.statistics().not_recovered == 1


async def test_who_is_in_the_room_gets_them_again() -> None:
    async with Room().running() as room, connect_raw(room.adapter) as peer:
        await enter(peer, None)
        await room.say(3)
        await frames(peer, 3)
        room.recent = 2
        assert (await enter(peer, None))[0] == [2, 3]


@pytest.mark.parametrize(
    ("recent", "error"), [(-1, ValueError), (True, TypeError), (None, TypeError)]
)
async def test_so_many_must_be_a_number(recent: Any, error: type[Exception]) -> None:
    async with Room().running() as room, room.chat.client() as (_, sid):
        with pytest.raises(error, match="recent must be an int of at least 0"):
            await room.chat.clients[sid].join("lobby", recent=recent)
        assert room.adapter.statistics().rooms == 0


async def test_what_the_same_task_has_said_before_is_the_last() -> None:
    async with Room().running() as room, connect_raw(room.adapter) as peer:
        await enter(peer, None)
        (client,) = room.chat.clients.values()
        await room.say(2)
        joined = await client.join("lobby", recent=1)
        assert (joined.offset, joined.recent) == (2, 1)
