"""What is kept of a room can be read, and forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Kept, NotEncodable, NotRunning, RoomHistory
from greenroom.adapter import JsonEnvelope, PayloadHooks

from .lobby import Room, since

pytestmark = pytest.mark.anyio


async def test_what_is_kept_is_read_the_oldest_first() -> None:
    async with Room().running() as room:
        _, position = await room.visit()
        # Read in the same breath: what this task has said is among it.
        await room.say(3)
        history = await room.adapter.history("lobby")
        said = (Kept(1, "said", 1), Kept(2, "said", 2), Kept(3, "said", 3))
        assert history == RoomHistory(said, position["epoch"], 3)
        # It is where a client is that knows these.
        assert history.position == since(position, 3)
        await room.say(1)
        assert (await room.visit(history.position))[0] == [4]


@pytest.mark.parametrize(
    ("limit", "offsets"), [(2, [2, 3]), (3, [1, 2, 3]), (9, [1, 2, 3]), (0, [])]
)
async def test_the_newest_are_read_where_not_all_are_wanted(
    limit: int, offsets: list[int]
) -> None:
    async with Room().running() as room:
        await room.say(3)
        history = await room.adapter.history("lobby", limit=limit)
        assert [each.offset for each in history.messages] == offsets
        assert history.offset == 3


async def test_what_is_not_kept_any_more_is_not_read() -> None:
    async with Room(history_messages=2, history_seconds=10).running() as room:
        await room.say(3)
        history = await room.adapter.history("lobby")
        assert [each.offset for each in history.messages] == [2, 3]
        await anyio.sleep(11)
        late = await room.adapter.history("lobby")
        assert late == RoomHistory((), history.epoch, 3)


async def test_a_room_in_which_nothing_was_said_has_a_position() -> None:
    async with Room().running() as room:
        await room.say(1, namespace="/other")
        _, position = await room.visit()
        history = await room.adapter.history("lobby")
        assert history == RoomHistory((), position["epoch"], 0)
        (other,) = (await room.adapter.history("lobby", "/other")).messages
        assert other == Kept(1, "said", 1)


@dataclass
class Word:
    text: str
    letters: tuple[str, ...]


async def test_it_is_read_as_clients_read_it_however_large() -> None:
    """The limits are for what clients send."""
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    async with Room(max_message_bytes=100).running() as room:
        for data in (Word("hi", ("h", "i")), "x" * 500, deep):
            await room.adapter.emit("__said", data, room="lobby", history=True)
        history = await room.adapter.history("lobby")
        word = {"text": "hi", "letters": ["h", "i"]}
        assert [each.data for each in history.messages] == [word, "x" * 500, deep]
        assert {each.event for each in history.messages} == {"__said"}


async def test_what_is_read_is_the_readers_own() -> None:
    async with Room().running() as room:
        await room.adapter.emit("said", {"a": 1}, room="lobby", history=True)
        for _ in range(2):
            (kept,) = (await room.adapter.history("lobby")).messages
            assert kept.data == {"a": 1}
            kept.data["a"] = 2


async def test_a_wire_without_history_has_kept_nothing() -> None:
    with pytest.raises(NotEncodable, match="history needs the JSON envelope"):
        PayloadHooks(None, None, "ws").read_kept("{}")
    frame = JsonEnvelope().kept("said", 1, "/", "lobby")(7)
    assert JsonEnvelope().read_kept(frame) == ("said", 1)
    adapter = ActorAdapter(post_process_payload=dict)
    async with adapter.running():
        assert (await adapter.history("lobby")).messages == ()


# -- forgetting ------------------------------------------------------------


async def test_what_is_forgotten_begins_anew() -> None:
    async with Room().running() as room:
        await room.say(1, room="bar")
        await room.say(3)
        before = await room.adapter.history("lobby")
        await room.say(1)
        await room.adapter.forget_history("lobby")
        after = await room.adapter.history("lobby")
        assert (after.messages, after.offset) == ((), 0)
        assert after.epoch != before.epoch
        statistics = room.adapter.statistics()
        assert (statistics.histories, statistics.history_messages) == (1, 1)

        await room.say(4)
        # The same offsets, and not the same messages.
        offsets, answer = await room.visit(before.position)
        assert (offsets, answer["recovered"], answer["offset"]) == ([], False, 4)
        assert (await room.visit(after.position))[0] == [1, 2, 3, 4]
        # The other room has kept what it had.
        assert len((await room.adapter.history("bar")).messages) == 1


async def test_where_nothing_was_said_nothing_is_forgotten() -> None:
    async with Room().running() as room:
        before = await room.adapter.history("lobby")
        await room.adapter.forget_history("lobby")
        assert await room.adapter.history("lobby") == before


# -- what is wrong ---------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "error"), [(-1, ValueError), (True, TypeError), ("3", TypeError)]
)
async def test_a_limit_must_be_a_number(limit: Any, error: type[Exception]) -> None:
    async with Room().running() as room:
        with pytest.raises(error, match="limit must be an int of at least 0"):
            await room.adapter.history("lobby", limit=limit)


async def test_history_is_asked_of_an_adapter_that_runs() -> None:
    adapter = ActorAdapter()
    for ask in (adapter.history, adapter.forget_history):
        with pytest.raises(NotRunning):
            await ask("lobby")
        with pytest.raises(ValueError, match="room must"):
            await ask("~somebody")
