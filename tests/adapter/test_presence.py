from __future__ import annotations

import logging
import time
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
    Handshake,
    Identity,
    NotEncodable,
    NotRunning,
    Options,
    Present,
    Registry,
)
from greenroom.adapter import JsonEnvelope
from greenroom.adapter._presence import Presences, make_card
from greenroom.testing import Event, MemoryClient, connect, wait_idle

from .support import Chat

pytestmark = pytest.mark.anyio

INTERVAL = 1.0


class House:
    """An adapter whose clients say who they are, and enter the lobby as that."""

    def __init__(self, **options: Any) -> None:
        self.chat = Chat(presence_seconds=INTERVAL, **options)
        self.adapter = self.chat.adapter

        @self.adapter.authenticate()
        def who(handshake: Handshake) -> Identity:
            return Identity(handshake.query_params["user"])

        @self.adapter.on("enter")
        async def enter(event: str, client: Client, data: Any) -> object:
            await client.join("lobby", presence=True if data is None else data)
            return self.adapter.presence("lobby")

        @self.adapter.on("enter n", namespace="/n")
        async def enter_n(event: str, client: Client, data: Any) -> None:
            await client.join("lobby", presence=True)

        @self.adapter.on("come")
        async def come(event: str, client: Client, data: Any) -> None:
            await client.join("lobby", presence=True if data is None else data)

        @self.adapter.on("who")
        async def present(event: str, client: Client, data: Any) -> object:
            return self.adapter.presence("lobby")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[House]:
        async with self.chat.running():
            yield self
        assert self.adapter.statistics().present == 0

    @asynccontextmanager
    async def user(self, name: str) -> AsyncGenerator[MemoryClient]:
        async with connect(self.adapter, query=f"user={name}") as client:
            yield client

    @asynccontextmanager
    async def visitor(
        self, name: str, info: Any = None
    ) -> AsyncGenerator[MemoryClient]:
        """A user who has entered; and the news of it have been told."""
        async with self.user(name) as client:
            await client.call("enter", info)
            await heard(client)
            yield client

    def names(self, namespace: str | None = None) -> list[str]:
        return [each.user for each in self.adapter.presence("lobby", namespace)]


def news(joined: list[Any], left: list[str]) -> Event:
    shown: list[Any] = [
        {"user": each, "info": {}} if isinstance(each, str) else each for each in joined
    ]
    return Event("presence", {"room": "lobby", "joined": shown, "left": left})


async def heard(client: MemoryClient) -> list[Any]:
    """What comes until the next news have been told."""
    await anyio.sleep(INTERVAL)
    await wait_idle()
    return client.received()


# -- who is there ----------------------------------------------------------


async def test_who_enters_sees_who_is_there() -> None:
    async with House().running() as house, house.visitor("ann", {"color": "red"}):
        began = time.time()
        async with house.user("bob") as bob:
            ann, me = await bob.call("enter")
            assert ann == {
                "user": "ann",
                "info": {"color": "red"},
                "connections": 1,
                "since": ann["since"],
            }
            assert me["user"] == "bob"
            assert ann["since"] <= began <= me["since"] <= time.time()
        assert house.adapter.presence("lobby") == (
            Present("ann", {"color": "red"}, 1, ann["since"]),
        )


async def test_others_hear_who_comes_and_goes() -> None:
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.visitor("bob", {"color": "red"}):
            red = {"user": "bob", "info": {"color": "red"}}
            assert ann.received() == [news([red], [])]
        assert await heard(ann) == [news([], ["bob"])]


async def test_without_an_identity_it_is_the_sid() -> None:
    chat = Chat()

    @chat.adapter.on("enter")
    async def enter(event: str, client: Client, data: Any) -> None:
        await client.join("lobby", presence=True)

    async with chat.running(), chat.client() as (client, sid):
        await client.call("enter")
        assert [each.user for each in chat.adapter.presence("lobby")] == [sid]


async def test_who_only_joins_is_not_present_but_hears_of_others() -> None:
    async with House().running() as house, house.user("ann") as ann:
        await ann.call("join", "lobby")
        assert house.names() == []
        async with house.visitor("bob"):
            assert ann.received() == [news(["bob"], [])]
            # One who is in the room already may become present.
            await ann.call("enter")
            assert house.names() == ["bob", "ann"]
            # And joining again as usual changes nothing.
            await ann.call("join", "lobby")
            assert house.names() == ["bob", "ann"]


async def test_rooms_and_namespaces_are_apart() -> None:
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.user("bob") as bob:
            await bob.call("enter n", namespace="/n")
            assert house.names() == ["ann"]
            assert house.names("/n") == ["bob"]
            assert house.adapter.presence("bar") == ()
            assert house.adapter.statistics().present == 2
            assert await heard(ann) == []
            (event,) = bob.received()
            assert isinstance(event, Event)
            assert event.namespace == "/n"
        assert house.names("/n") == []


@pytest.mark.parametrize("how", ["leave", "close", "drop", "disconnect", "kick"])
async def test_presence_ends_however_the_membership_ends(how: str) -> None:
    async with (
        House().running() as house,
        house.visitor("ann") as ann,
        house.visitor("bob") as bob,
    ):
        assert ann.received() == [news(["bob"], [])]
        sid = await bob.call("sid")
        if how == "leave":
            await bob.call("leave", "lobby")
        elif how == "close":
            bob.close()
        elif how == "drop":
            bob.drop()
        elif how == "disconnect":
            await house.chat.clients[sid].disconnect()
        else:
            await house.adapter.kick(user="bob")
        await wait_idle()
        assert house.names() == ["ann"]
        assert await heard(ann) == [news([], ["bob"])]


# -- one user, several connections -----------------------------------------


async def test_several_connections_are_one_presence() -> None:
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.visitor("bob"):
            assert ann.received() == [news(["bob"], [])]
            async with house.visitor("bob"):
                assert ann.received() == []
                assert house.names() == ["ann", "bob"]
                assert [each.connections for each in who(house)] == [1, 2]
            assert await heard(ann) == []
            assert [each.connections for each in who(house)] == [1, 1]
        assert await heard(ann) == [news([], ["bob"])]


def who(house: House) -> tuple[Present, ...]:
    return house.adapter.presence("lobby")


async def test_what_is_shown_is_that_of_the_newest_connection() -> None:
    async with (
        House().running() as house,
        house.visitor("ann") as ann,
        house.visitor("bob", {"at": "desk"}) as bob,
    ):
        ann.received()
        async with house.visitor("bob", {"at": "phone"}) as phone:
            at_phone = {"user": "bob", "info": {"at": "phone"}}
            assert ann.received() == [news([at_phone], [])]
            # Whoever shows something is the newest from then on.
            await bob.call("enter", {"at": "home"})
            at_home = {"user": "bob", "info": {"at": "home"}}
            assert await heard(ann) == [news([at_home], [])]
            assert [each.connections for each in who(house)] == [1, 2]
            await bob.call("leave", "lobby")
            assert await heard(ann) == [news([at_phone], [])]
            await phone.call("enter", {"at": "phone"})
            assert await heard(ann) == []


async def test_a_client_that_turns_out_to_be_somebody_is_present_as_that() -> None:
    chat = Chat(presence_seconds=INTERVAL)

    @chat.adapter.on("enter")
    async def enter(event: str, client: Client, data: Any) -> None:
        if data is not None:
            client.identify(Identity(data))
        await client.join("lobby", presence=True)

    async with chat.running(), chat.client("lobby") as (client, sid):
        await client.call("enter")
        assert await heard(client) == [news([sid], [])]
        await client.call("enter", "bob")
        assert [each.user for each in chat.adapter.presence("lobby")] == ["bob"]
        assert await heard(client) == [news(["bob"], [sid])]


async def test_a_room_without_presence_costs_nothing() -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, _):
        server = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # nothing public tells
        assert not server.presences._listens  # pyright: ignore[reportPrivateUsage]  # likewise
        assert await heard(client) == []


# -- what is wrong ---------------------------------------------------------


@pytest.mark.parametrize(
    ("presence", "error", "words"),
    [
        (5, TypeError, "presence must be a bool or a mapping, got 5"),
        ("Ann", TypeError, "presence must be a bool or a mapping"),
        (None, TypeError, "presence must be a bool or a mapping"),
        ({"x": object()}, NotEncodable, "presence"),
        ({"x": "x" * 4096}, ValueError, "presence must be at most 4096 bytes of JSON"),
        ({"x": "ü" * 2048}, ValueError, "presence must be at most 4096 bytes of JSON"),
    ],
)
async def test_what_cannot_be_shown_is_refused(
    presence: Any, error: type[Exception], words: str
) -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        with pytest.raises(error, match=words):
            await chat.clients[sid].join("lobby", presence=presence)
        assert chat.clients[sid].rooms == set()


async def test_what_is_shown_is_a_copy() -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        info = {"colors": ["red"]}
        await chat.clients[sid].join("lobby", presence=info)
        info["colors"].append("blue")
        assert chat.adapter.presence("lobby")[0].info == {"colors": ["red"]}


async def test_presence_is_asked_of_an_adapter_that_runs() -> None:
    adapter = ActorAdapter()
    with pytest.raises(NotRunning):
        adapter.presence("lobby")
    with pytest.raises(ValueError, match="room must"):
        adapter.presence("")


async def test_a_wire_that_has_no_word_for_it_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def say(event: str, data: Any) -> Any:
        if event == "presence":
            raise KeyError(event)
        return data

    adapter = ActorAdapter(post_process_payload=say)
    entered = anyio.Event()

    @adapter.on_connect()
    async def enter(event: str, client: Client, data: Any) -> None:
        await client.join("lobby", presence=True)
        entered.set()

    with caplog.at_level(logging.ERROR):
        async with adapter.running(), connect(adapter):
            await entered.wait()
            await anyio.sleep(INTERVAL)
            await wait_idle()
    assert [getattr(each, "event", None) for each in caplog.records] == [
        "presence_not_told"
    ]


async def test_there_are_no_news_without_a_registry() -> None:
    """When everything ends, it may end first."""

    class Idle(Actor[None]):
        async def receive(self, message: None) -> None: ...

    async with ActorSystem() as system:
        registry = Registry()
        ending = await system.spawn(registry)
        presences = Presences(registry, JsonEnvelope(), Options())
        card = make_card("ann", True)
        assert card is not None
        presences.enter(("/", "lobby"), await system.spawn(Idle()), card)
        await ending.stop()
        await anyio.sleep(INTERVAL)
        await wait_idle()
        # Nor is it tried again.
        assert not presences._changed  # pyright: ignore[reportPrivateUsage]  # nothing public tells
        assert len(presences) == 1
