"""Presence that ends before the membership does, and rooms too full to be listed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from greenroom import ActorAdapter, Identity, NotRunning, PresenceCount
from greenroom.testing import MemoryClient, wait_idle

from .test_presence import House, heard, news

pytestmark = pytest.mark.anyio


async def hide(house: House, client: MemoryClient, room: str = "lobby") -> None:
    await house.chat.clients[await client.call("sid")].hide(room)


# -- no more ---------------------------------------------------------------


async def test_who_hides_is_in_the_room_and_the_others_hear_that_it_left() -> None:
    async with (
        House().running() as house,
        house.visitor("ann") as ann,
        house.visitor("bob") as bob,
    ):
        ann.received()
        await hide(house, bob)
        assert house.names() == ["ann"]
        for client in (ann, bob):
            assert await heard(client) == [news([], ["bob"])]
        # It stays in the room, and may show itself again.
        await bob.call("come")
        for client in (ann, bob):
            assert await heard(client) == [news(["bob"], [])]
        await bob.call("leave", "lobby")
        assert await heard(ann) == [news([], ["bob"])]


async def test_who_joins_without_presence_stays_as_it_is() -> None:
    async with House().running() as house, house.visitor("ann", {"at": "desk"}) as ann:
        await ann.call("come", False)
        assert [each.info for each in house.adapter.presence("lobby")] == [
            {"at": "desk"}
        ]
        assert await heard(ann) == []


async def test_another_connection_of_the_user_is_shown_then() -> None:
    async with (
        House().running() as house,
        house.visitor("ann") as ann,
        house.visitor("bob", {"at": "desk"}) as desk,
        house.visitor("bob", {"at": "phone"}) as phone,
    ):
        ann.received()
        await hide(house, phone)
        at_desk = {"user": "bob", "info": {"at": "desk"}}
        assert await heard(ann) == [news([at_desk], [])]
        assert house.adapter.presence_count("lobby") == PresenceCount(2, 2)
        await hide(house, desk)
        assert await heard(ann) == [news([], ["bob"])]


async def test_who_is_not_present_hides_without_effect() -> None:
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.user("bob") as bob:
            await hide(house, bob)
            await bob.call("join", "lobby")
            await hide(house, bob)
            await hide(house, bob, "bar")
            with pytest.raises(ValueError, match="room must"):
                await hide(house, bob, "")
        assert await heard(ann) == []


# -- how many --------------------------------------------------------------


async def test_users_and_connections_are_counted() -> None:
    async with House().running() as house:
        count = house.adapter.presence_count
        assert count("lobby") == PresenceCount(users=0, connections=0)
        async with house.visitor("ann"), house.visitor("bob"):
            async with house.user("bob") as bob, house.user("eve") as eve:
                await bob.call("come")
                await eve.call("join", "lobby")
                assert count("lobby") == PresenceCount(users=2, connections=3)
                assert count("lobby", "/n") == PresenceCount()
            await wait_idle()
            assert count("lobby") == PresenceCount(users=2, connections=2)
        await wait_idle()
        assert count("lobby") == PresenceCount()


async def test_who_counts_has_seen_nobody() -> None:
    """So what is over before it is told is no news, as if nobody had asked."""
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.user("bob") as bob:
            await bob.call("come")
            assert house.adapter.presence_count("lobby").users == 2
        assert await heard(ann) == []


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        (0, []),
        (2, ["ann", "bob"]),
        (9, ["ann", "bob", "eve"]),
        (None, ["ann", "bob", "eve"]),
    ],
)
@pytest.mark.parametrize("looked", [False, True])
async def test_those_who_came_first_are_listed(
    limit: int | None, names: list[str], looked: bool
) -> None:
    async with House().running() as house, AsyncExitStack() as stack:
        for name in ("ann", "bob", "eve"):
            client = await stack.enter_async_context(house.user(name))
            await client.call("come")
        if looked:  # then there is a list of all already
            assert house.names() == ["ann", "bob", "eve"]
        some = house.adapter.presence("lobby", limit=limit)
        assert [each.user for each in some] == names
        assert house.names() == ["ann", "bob", "eve"]


async def test_who_was_listed_in_part_is_told_of_it_too() -> None:
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.user("bob") as bob:
            await bob.call("come")
            assert len(house.adapter.presence("lobby", limit=2)) == 2
        assert await heard(ann) == [news([], ["bob"])]


@pytest.mark.parametrize(
    ("limit", "error"), [(-1, ValueError), (True, TypeError), ("3", TypeError)]
)
async def test_a_limit_must_be_a_number(limit: Any, error: type[Exception]) -> None:
    async with House().running() as house:
        with pytest.raises(error, match="limit must be an int of at least 0"):
            house.adapter.presence("lobby", limit=limit)


async def test_a_count_is_asked_of_an_adapter_that_runs() -> None:
    adapter = ActorAdapter()
    with pytest.raises(NotRunning):
        adapter.presence_count("lobby")
    with pytest.raises(ValueError, match="room must"):
        adapter.presence_count("")


# -- who is who ------------------------------------------------------------


@pytest.mark.parametrize("user", ["~", "~abc", "~" + "x" * 24])
def test_no_user_may_pass_for_a_client_without_an_identity(user: str) -> None:
    with pytest.raises(ValueError, match="user must not begin with '~', as a sid does"):
        Identity(user)
    assert Identity(f"ann{user}").user == f"ann{user}"


def test_a_user_is_somebody_the_others_can_be_told_of() -> None:
    with pytest.raises(ValueError, match="user must have a form in UTF-8"):
        Identity("ann\ud800")
