from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from greenroom import NotEncodable, Undelivered
from greenroom.testing import Event, MemoryClient, wait_idle

from .support import Chat

pytestmark = pytest.mark.anyio


class Crowd:
    """Four clients: a and b in room ab, b and c in room bc, d in none."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.clients: dict[str, MemoryClient] = {}
        self.sids: dict[str, str] = {}

    def names(self, names: str) -> list[str]:
        """Clients by their letter become sids; rooms stay."""
        return [self.sids.get(name, name) for name in names.split()]

    async def heard(self) -> str:
        """Who has heard something, each as often as it was."""
        await wait_idle()
        return "".join(
            name * len(client.received()) for name, client in self.clients.items()
        )


@pytest.fixture
async def crowd() -> AsyncGenerator[Crowd]:
    async with (
        Chat().running() as chat,
        chat.client("ab") as a,
        chat.client("ab", "bc") as b,
        chat.client("bc") as c,
        chat.client() as d,
    ):
        crowd = Crowd(chat)
        for name, (client, sid) in zip("abcd", (a, b, c, d), strict=True):
            crowd.clients[name], crowd.sids[name] = client, sid
        yield crowd


@pytest.mark.parametrize(
    ("to", "room", "skip", "heard"),
    [
        (None, None, None, "abcd"),
        (None, None, "b", "acd"),
        (None, None, "a b c d", ""),
        (None, None, "nobody", "abcd"),
        ("a", None, None, "a"),
        ("a d", None, None, "ad"),
        ("a a", None, None, "a"),
        ("a d", None, "d", "a"),
        (None, "ab", None, "ab"),
        (None, "ab bc", None, "abc"),
        (None, "ab ab", None, "ab"),
        (None, "ab bc", "b", "ac"),
        (None, "empty", None, ""),
        ("d", "ab", None, "abd"),
        ("a", "ab", None, "ab"),
        ("a", "ab", "a", "b"),
        # A sid is a room with one client in it, whichever way it is named.
        ("ab", None, None, "ab"),
        (None, "d", None, "d"),
        (None, "d ab", None, "abd"),
        ("ab d", "bc d", "c", "abd"),
        ("", None, None, ""),
        (None, "", None, ""),
    ],
)
async def test_each_who_is_meant_gets_it_once(
    crowd: Crowd, to: str | None, room: str | None, skip: str | None, heard: str
) -> None:
    await crowd.chat.adapter.emit(
        "said",
        None,
        to=None if to is None else crowd.names(to),
        room=None if room is None else crowd.names(room),
        skip_sid=None if skip is None else crowd.names(skip),
    )
    assert await crowd.heard() == heard
    assert crowd.chat.adapter.statistics().unknown_recipients == 0


async def test_one_name_needs_no_list(crowd: Crowd) -> None:
    adapter = crowd.chat.adapter
    await adapter.emit("said", None, crowd.sids["a"], "bc", crowd.sids["b"])
    assert await crowd.heard() == "ac"
    await adapter.emit("said", to=(sid for sid in crowd.sids.values()))
    assert await crowd.heard() == "abcd"
    await adapter.broadcast("said")
    assert await crowd.heard() == "abcd"


async def test_who_leaves_a_room_gets_what_is_sent_to_it_by_name(
    crowd: Crowd,
) -> None:
    """Named and in the room, it must not be left out because it is leaving."""
    client = crowd.chat.clients[crowd.sids["a"]]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.leave, "ab")
        await anyio.lowlevel.checkpoint()
        await crowd.chat.adapter.emit("said", to=client.sid, room="ab")
    assert await crowd.heard() == "ab"


async def test_an_event_has_a_namespace(crowd: Crowd) -> None:
    await crowd.chat.adapter.emit("said", 1, to=crowd.sids["a"], namespace="/n")
    assert await crowd.clients["a"].receive() == Event("said", 1, "/n")
    # Rooms are those of the namespace.
    await crowd.chat.adapter.emit("said", 1, room="ab", namespace="/n")
    assert await crowd.heard() == ""


async def test_what_is_sent_to_a_sid_that_is_not_there_is_a_dead_letter(
    crowd: Crowd,
) -> None:
    adapter = crowd.chat.adapter
    await adapter.emit("said", 7, to=["~nobody", crowd.sids["a"]])
    assert await crowd.heard() == "a"
    (letter,) = adapter.system.dead_letters.latest
    assert json.loads(str(letter.message))["data"] == 7
    assert letter.recipient == "/_connections/~nobody"
    assert letter.why is Undelivered.NO_RECIPIENT
    assert adapter.statistics().unknown_recipients == 1


async def test_a_client_that_is_leaving_is_not_there(crowd: Crowd) -> None:
    adapter = crowd.chat.adapter
    await crowd.chat.clients[crowd.sids["a"]].disconnect()
    await adapter.emit("said", to=crowd.sids["a"])
    assert adapter.statistics().unknown_recipients == 1


async def test_a_loop_that_emits_to_who_is_gone_lets_others_run() -> None:
    async with Chat().running() as chat:
        passes = 0
        stop = anyio.Event()

        async def emit() -> None:
            while not stop.is_set():
                await chat.adapter.emit("said", to="~nobody")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(emit)
            while passes < 10:
                passes += 1
                await anyio.lowlevel.checkpoint()
            stop.set()


async def test_what_cannot_be_encoded_reaches_nobody(crowd: Crowd) -> None:
    with pytest.raises(NotEncodable):
        await crowd.chat.adapter.broadcast("said", object())
    assert await crowd.heard() == ""


@pytest.mark.parametrize("argument", ["to", "room", "skip_sid"])
@pytest.mark.parametrize(
    ("value", "got"), [(5, "got 5"), (["a", 5], "got 5 in it"), ([None], "got None")]
)
async def test_names_are_text(argument: str, value: object, got: str) -> None:
    async with Chat().running() as chat:
        arguments: dict[str, Any] = {argument: value}
        with pytest.raises(TypeError, match=f"{argument} must be a str or .*{got}"):
            await chat.adapter.emit("said", **arguments)


async def test_a_callback_can_be_called() -> None:
    async with Chat().running() as chat:
        callback: Any = "not a function"
        with pytest.raises(TypeError, match="callback must be callable, got"):
            await chat.adapter.emit("said", callback=callback)
        namespace: Any = 5
        with pytest.raises(TypeError, match="namespace must be a str, got"):
            await chat.adapter.emit("said", namespace=namespace)
        with pytest.raises(ValueError, match="namespace must begin with"):
            await chat.adapter.emit("said", namespace="chat")
