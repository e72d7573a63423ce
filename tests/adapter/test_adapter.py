from __future__ import annotations

from typing import Any

import pytest

from greenroom import ActorAdapter, Client, ClientGone, Options
from greenroom.testing import connect_raw

from .support import Chat

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/ws", "/ws"),
        ("ws", "/ws"),
        ("/ws/", "/ws"),
        ("/a/b", "/a/b"),
        ("/", "/"),
        ("", "/"),
        ("/räume", "/räume"),
    ],
)
def test_a_path_is_what_stands_between_slashes(given: str, path: str) -> None:
    adapter = ActorAdapter(given)
    assert adapter.path == path
    assert repr(adapter) == f"<ActorAdapter {path}>"


@pytest.mark.parametrize("path", ["/ws?x=1", "/ws#x", "/w s", "\\ws", "/ws\n"])
def test_a_path_is_plain(path: str) -> None:
    with pytest.raises(ValueError, match=r"path must be a plain URL path .*, got"):
        ActorAdapter(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 5}, "path must be a str, got 5"),
        ({"path": None}, "path must be a str, got None"),
        ({"options": {}}, "options must be of type Options, got {}"),
        ({"debug": 1}, "debug must be of type bool, got 1"),
        ({"debug": None}, "debug must be of type bool, got None"),
        ({"preprocess_payload": 5}, "preprocess must be a function or None, got 5"),
        ({"post_process_payload": "x"}, "post_process must be a function or None"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        ActorAdapter(**arguments)


def test_what_is_unknown_is_no_argument() -> None:
    arguments: dict[str, Any] = {"inbox": 5}
    with pytest.raises(TypeError):
        ActorAdapter(**arguments)


def test_decorators_give_back_what_they_decorate() -> None:
    adapter = ActorAdapter()

    def handler(event: str, client: Client, data: object) -> None:
        """Nothing."""

    for decorate in (
        adapter.on("say"),
        adapter.on("say", namespace="/n"),
        adapter.on_connect(),
        adapter.on_message(),
        adapter.on_disconnect(),
    ):
        assert decorate(handler) is handler


def test_options_are_there_to_be_read() -> None:
    options = Options(inbox_messages=5)
    assert ActorAdapter(options=options).options is options
    assert ActorAdapter().options == Options()


async def test_the_bounds_of_the_codec_are_those_of_the_options() -> None:
    chat = Chat(max_message_bytes=100, max_depth=4)
    async with chat.running(), chat.peer() as peer:
        await peer.send('{"event": "echo", "id": 1, "data": "' + "x" * 100 + '"}')
        assert "too_large" in str(await peer.receive())
        await peer.send('{"event": "echo", "id": 1, "data": [[[[]]]]}')
        assert "too_deep" in str(await peer.receive())
        await peer.send('{"event": "echo", "id": 1, "data": [[[]]]}')
        assert await peer.receive() == '{"ack":1,"data":[[[]]]}'


async def test_call_asks_one_client() -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):
        client.on_call("question", lambda data: data + 1, namespace="/n")
        assert await chat.adapter.call("question", 1, to=sid, namespace="/n") == 2
        with pytest.raises(ClientGone) as gone:
            await chat.adapter.call("question", 1, to="~nobody")
        assert gone.value.sid == "~nobody"
        assert str(gone.value) == "client ~nobody is gone"


async def test_hooks_make_a_wire_of_their_own() -> None:
    def preprocess(payload: str, message: object) -> tuple[str, object]:
        name, _, data = payload.partition(" ")
        return name, data

    def post_process(event: str, data: object) -> str:
        return f"{event} {data}"

    adapter = ActorAdapter("/ws", preprocess, post_process)
    seen: list[object] = []

    # There are no namespaces: all is the root.
    @adapter.on("say", namespace="/anything")
    async def say(event: str, client: Client, data: Any) -> str:
        seen.append((event, client.namespace, data))
        await adapter.emit("said", data, namespace="/whatever")
        return "nobody has asked"

    async with adapter.running(), connect_raw(adapter) as peer:
        await peer.send("nobody knows")
        await peer.send("say hi")
        assert await peer.receive() == "said hi"
    assert seen == [("say", "/", "hi")]
