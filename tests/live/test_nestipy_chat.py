"""The Nestipy example, served by both of hypercorn's workers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import trio

from .client import Refused, crowd
from .server import HypercornServer, hypercorn_server

pytest.importorskip("nestipy")

pytestmark = [pytest.mark.live, pytest.mark.anyio]

CHAT = "examples.nestipy_chat.app:app"
LINES = 20_000


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def chat(request: pytest.FixtureRequest) -> Iterator[HypercornServer]:
    """A server of the chat, whose connections the kernel keeps little for."""
    with hypercorn_server(CHAT, request.param, socket_buffer=8192) as server:
        yield server
        server.check_log()


async def fetch(url: str, data: Any = None) -> Any:
    """What an HTTP request is answered."""
    body = None if data is None else json.dumps(data).encode()
    headers = {"content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(url, body, headers)

    def get() -> Any:
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code

    return await trio.to_thread.run_sync(get)


async def test_rooms_news_and_refusals(chat: HypercornServer) -> None:
    async with crowd(chat) as clients:
        ann = await clients.open("/ws?name=Ann")
        ask = partial(ann.ask, namespace="/chat")
        assert await ann.expect("hello") == {"name": "Ann"}
        assert await ask("join", {"room": "lobby"}) == {
            "room": "lobby",
            "rooms": ["lobby"],
        }
        assert await ann.expect("came") == {"name": "Ann", "room": "lobby"}
        await ann.expect("join")

        url = f"{chat.url}/rooms/lobby/news"
        assert await fetch(url, {"text": " tea "}) == {"room": "lobby", "connected": 1}
        said = {"room": "lobby", "text": "tea", "name": "the news"}
        assert await ann.expect("said") == said
        assert await fetch(url, {"text": ""}) == 400

        with pytest.raises(Refused) as refused:
            await ask("say", {"room": "Lobby!"})
        assert refused.value.code == "invalid_data"
        assert refused.value.message.endswith("text: Field required")
        with pytest.raises(Refused, match="you are not in attic"):
            await ask("say", {"room": "attic", "text": "hello"})

        nobody = await clients.open("/ws")
        assert await nobody.wait_closed() == (4401, "say who you are: /ws?name=Ann")

        ben = await clients.open("/ws?name=Ben")
        await ben.ask("join", {"room": "lobby"}, namespace="/chat")
        await ben.ask("say", {"room": "lobby", "text": "hi"}, namespace="/chat")
        await ben.close()
        assert (await ann.expect("came"))["name"] == "Ben"
        assert (await ann.expect("said"))["text"] == "hi"
        assert (await ann.expect("left"))["name"] == "Ben"


async def test_a_stream_waits_for_who_reads_it(chat: HypercornServer) -> None:
    async with crowd(chat) as clients:
        slow = await clients.open("/ws?name=Slow", socket_buffer=8192)
        await slow.expect("hello")
        await slow.emit("export", {"room": "lobby"}, namespace="/chat")
        assert "line 0 of lobby" in await slow.expect("archived")

        # The handler is held up while others are served.
        fast = await clients.open("/ws?name=Fast")
        await fast.ask("join", {"room": "lobby"}, namespace="/chat")
        waiting = (await fetch(f"{chat.url}/rooms/outbox"))["pending"]
        assert 0 < waiting <= 2 * 256

        for number in range(1, LINES):
            assert f"line {number} of lobby" in await slow.expect("archived")
        assert await slow.expect("export") == LINES
