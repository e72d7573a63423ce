"""Presence and history on a real server: who is there, and what was missed."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Frame, Peer, crowd, eventually
from .server import HypercornServer

pytestmark = [pytest.mark.live, pytest.mark.anyio]

ROOM = "presence and history"


class Roster:
    """What a client knows that applies the news."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.words: list[str] = []

    def apply(self, frame: Frame) -> None:
        data = frame["data"]
        if frame["event"] == "said":
            self.words.append(data)
            return
        assert frame["event"] == "presence"
        assert data["room"] == ROOM
        for each in data["joined"]:
            self.names[each["user"]] = each["info"]["name"]
        for user in data["left"]:
            del self.names[user]


async def enter(peer: Peer, name: str, since: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = await peer.ask(
        "enter", {"room": ROOM, "name": name, "since": since}
    )
    return answer


async def say(peer: Peer, *words: str) -> None:
    for word in words:
        said = {"event": "said", "data": word, "room": ROOM, "history": True}
        await peer.ask("emit", said)


async def test_a_client_that_comes_back_has_missed_nothing(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        ann, bob = await clients.welcome(), await clients.welcome()
        assert (await enter(ann, "Ann"))["present"] == ["Ann"]
        answer = await enter(bob, "Bob")
        assert (answer["recovered"], answer["present"]) == (False, ["Ann", "Bob"])

        # Ann hears of herself as well: in one message, or in two.
        roster = Roster()
        while roster.names != {ann.sid: "Ann", bob.sid: "Bob"}:
            roster.apply(await ann.receive())
        assert roster.words == []

        await say(ann, "one")
        frame = await bob.receive()
        while frame["event"] == "presence":
            frame = await bob.receive()
        position = {**answer["position"], "offset": frame["offset"]}
        assert (frame["data"], frame["room"]) == ("one", ROOM)
        bob.reset()

        async def has_gone() -> object:
            return await ann.ask("gone", [bob.sid])

        await eventually("the end of Bob", has_gone)
        await say(ann, "two", "three")
        bob_again = await clients.welcome()
        answer = await enter(bob_again, "Bob", position)
        assert (answer["recovered"], answer["present"]) == (True, ["Ann", "Bob"])
        missed = [await bob_again.receive() for _ in range(2)]
        assert [each["data"] for each in missed] == ["two", "three"]
        first = position["offset"]
        assert [each["offset"] for each in missed] == [first + 1, first + 2]
        assert answer["position"] == {**position, "offset": first + 2}

        # Ann has heard the same, and that one Bob has left and another come.
        while roster.names != {ann.sid: "Ann", bob_again.sid: "Bob"}:
            roster.apply(await ann.receive())
        assert roster.words == ["one", "two", "three"]

        stale = {**position, "epoch": "of another server"}
        late = await clients.welcome()
        assert (await enter(late, "Eve", stale))["recovered"] is False


async def next_said(peer: Peer) -> Frame:
    """The next frame that is no news of who is there."""
    frame = await peer.receive()
    while frame["event"] == "presence":
        frame = await peer.receive()
    return frame


async def test_who_comes_gets_the_last_that_were_said(server: HypercornServer) -> None:
    room = "the last"
    async with crowd(server) as clients:
        ann, bob = await clients.welcome(), await clients.welcome()
        await ann.ask("enter", {"room": room, "name": "Ann"})
        for word in ("one", "two", "three"):
            said = {"event": "said", "data": word, "room": room, "history": True}
            await ann.ask("emit", said)
        read = await ann.ask("read back", {"room": room, "limit": 2})
        assert read["words"] == ["two", "three"]

        asked = {"room": room, "name": "Bob", "recent": 2}
        answer = await bob.ask("enter", asked)
        assert (answer["recovered"], answer["position"]) == (False, read["position"])
        last = [await next_said(bob) for _ in range(2)]
        assert [(each["data"], each["offset"]) for each in last] == [
            ("two", 2),
            ("three", 3),
        ]

        # One hides: the other hears that it has left, and it hears what is said.
        counts = await bob.ask("hide", room)
        assert counts == {"users": 1, "connections": 1}
        left: list[str] = []
        while bob.sid not in left:
            frame = await ann.receive()
            left = frame["data"]["left"] if frame["event"] == "presence" else []
        await ann.ask("emit", {"event": "said", "data": "four", "room": room})
        assert (await next_said(bob))["data"] == "four"
