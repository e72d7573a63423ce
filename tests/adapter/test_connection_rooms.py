from __future__ import annotations

from typing import Any

import pytest

from greenroom import (
    Client,
)
from greenroom.testing import Event

from .support import Chat

pytestmark = pytest.mark.anyio


async def test_rooms_are_entered_and_left() -> None:
    async with (
        Chat().running() as chat,
        chat.client("one", "two") as (client, sid),
        chat.client("one") as (other, _),
    ):
        seen = chat.clients[sid]
        assert seen.rooms == {"one", "two"}
        await client.call("join", "one")
        await client.call("leave", "two")
        await client.call("leave", "never in it")
        assert seen.rooms == {"one"}
        await chat.adapter.emit("a", room="one")
        await chat.adapter.emit("b", room="two")
        await chat.adapter.emit("c", room="one")
        for who in (client, other):
            assert [(await who.receive()).event for _ in range(2)] == ["a", "c"]


async def test_rooms_belong_to_a_namespace() -> None:
    chat = Chat()

    @chat.adapter.on("join", namespace="/n")
    async def join(event: str, client: Client, data: Any) -> list[str]:
        await client.join(data)
        return sorted(client.rooms)

    async with chat.running(), chat.client("root") as (client, _):
        assert await client.call("join", "inner", "/n") == ["inner"]
        await chat.adapter.emit("a", room="inner")
        await chat.adapter.emit("b", room="root", namespace="/n")
        await chat.adapter.emit("c", room="inner", namespace="/n")
        assert await client.receive() == Event("c", None, "/n")


async def test_on_disconnect_sees_the_rooms_that_were_left() -> None:
    chat = Chat()
    seen: list[object] = []

    @chat.adapter.on_disconnect()
    async def bye(event: str, client: Client, data: Any) -> None:
        seen.append((event, sorted(client.rooms), data, client.data, client.connected))
        await chat.adapter.emit("left", client.sid, room="lobby")
        await client.leave("lobby")
        await client.disconnect()

    async with chat.running(), chat.client("lobby") as (other, _):
        async with chat.client("lobby", "bar") as (_, sid):
            pass
        assert seen == [("disconnect", ["bar", "lobby"], None, None, False)]
        assert await other.receive() == Event("left", sid)


LONG = pytest.param("x" * 257, id="long")


@pytest.mark.parametrize("room", ["", 5, None, b"lobby", "~somebody", LONG])
async def test_a_room_has_a_name(room: Any) -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        with pytest.raises(ValueError, match="room must"):
            await chat.clients[sid].join(room)
        with pytest.raises(ValueError, match="room must"):
            await chat.clients[sid].leave(room)
        await chat.clients[sid].join("x" * 256)


async def test_a_client_is_in_so_many_rooms_at_most() -> None:
    chat = Chat(max_rooms=2)

    @chat.adapter.on_connect()
    async def fill(event: str, client: Client, data: Any) -> None:
        await client.join("a")
        await client.join("b")
        with pytest.raises(ValueError, match="2 rooms"):
            await client.join("c")

    async with chat.running(), chat.client() as (_, sid):
        client = chat.clients[sid]
        with pytest.raises(ValueError, match="2 rooms"):
            await client.join("c")
        await client.join("b")
        await client.leave("a")
        await client.join("c")
        assert client.rooms == {"b", "c"}
        assert chat.adapter.statistics().handler_errors == 0
