"""Apps written for the adapters that Nestipy ships run on ours as they are.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

# The apps are typed as Nestipy's users type theirs: its own types are wrong.
# mypy: disable-error-code="func-returns-value,no-untyped-call"
# pyright: basic, reportGeneralTypeIssues=false, reportOptionalOperand=false

import inspect
import json
from typing import Annotated, Any

import pytest
from nestipy.ioc import Inject, SocketData, WebSocketClient
from nestipy.websocket import IoAdapter, Websocket
from nestipy.websocket.adapter import SocketIoAdapter, WebsocketAdapter

from greenroom import ActorAdapter

from .conftest import Serve, frame, nestipy_app, receive
from .nest import (
    Controller,
    ErrorEvent,
    Gateway,
    Get,
    OnConnect,
    OnDisConnect,
    SubscribeMessage,
    SuccessEvent,
)


def parameters(function: object) -> dict[str, object]:
    assert callable(function)
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in found if each.name != "self"}


def test_it_is_made_and_called_as_theirs_are() -> None:
    theirs = parameters(WebsocketAdapter.__init__)
    ours = parameters(ActorAdapter.__init__)
    assert list(ours)[:3] == list(theirs)
    assert {name: ours[name] for name in theirs} == theirs
    ours = parameters(ActorAdapter.emit)
    for shipped in (WebsocketAdapter, SocketIoAdapter):
        theirs = parameters(shipped.emit)
        # What is more is by name only, and need not be given.
        assert list(ours)[: len(theirs)] == list(theirs)
        assert {name: ours[name] for name in theirs} == theirs
        assert set(ours) - set(theirs) == {"volatile", "history"}
        assert list(parameters(ActorAdapter.broadcast)) == ["event", "data"]
    assert IoAdapter.__abstractmethods__ <= {*dir(ActorAdapter)}


# -- WebsocketAdapter --------------------------------------------------------

# As in the documentation of Nestipy's adapter.


def preprocess(payload: str, message: Any) -> tuple[str, Any]:
    assert message["type"] == "websocket.receive"
    found = json.loads(payload)
    return found["event"], found["data"]


def post_process(event: str, data: Any) -> str:
    return json.dumps({"event": event, "data": data})


@SuccessEvent("ok")
@ErrorEvent("ko")
@Gateway("/old")
class OldGateway:
    io: Annotated[IoAdapter, Inject()]

    @OnConnect()
    async def connected(self, client: Annotated[Websocket, WebSocketClient()]) -> None:
        await self.io.emit("hello", "you", to=client.sid)

    @OnDisConnect()
    async def gone(self, client: Annotated[Websocket, WebSocketClient()]) -> None:
        await self.io.broadcast("bye", "somebody left")

    @SubscribeMessage("say")
    async def say(
        self,
        client: Annotated[Websocket, WebSocketClient()],
        data: Annotated[Any, SocketData()],
    ) -> Any:
        assert client.data == data
        await self.io.emit("said", data, skip_sid=client.sid, namespace="/old")
        return data

    @SubscribeMessage("fail")
    async def fail(self) -> None:
        raise LookupError("a secret")


@pytest.mark.parametrize("by_name", [False, True])
def test_an_app_with_payload_hooks_runs_unchanged(serve: Serve, by_name: bool) -> None:
    if by_name:
        adapter = ActorAdapter(
            path="ws", preprocess_payload=preprocess, post_process_payload=post_process
        )
    else:
        adapter = ActorAdapter("/ws", preprocess, post_process)
    app = nestipy_app(adapter, OldGateway)
    with serve(app) as http, http.websocket_connect("/ws") as one:

        def ask(event: str, data: Any = None) -> Any:
            one.send_text(json.dumps({"event": event, "data": data}))
            return one.receive_json()

        assert one.receive_json() == {"event": "hello", "data": "you"}
        with http.websocket_connect("/ws") as two:
            assert two.receive_json()["event"] == "hello"
            assert ask("say", [1]) == {"event": "ok", "data": [1]}
            assert two.receive_json() == {"event": "said", "data": [1]}
        assert one.receive_json() == {"event": "bye", "data": "somebody left"}
        assert ask("fail") == {"event": "ko", "data": "the handler failed"}
        assert ask("say", "again") == {"event": "ok", "data": "again"}


# -- SocketIoAdapter ---------------------------------------------------------


def test_emit_takes_what_socketio_takes(serve: Serve) -> None:
    answered: list[Any] = []

    @Gateway("/chat")
    class Chat:
        io: Annotated[IoAdapter, Inject()]

        @OnConnect()
        async def hello(self, client: Annotated[Any, WebSocketClient()]) -> str:
            await client.join("lobby")
            return str(client.sid)

        @SubscribeMessage("go")
        async def go(self, sids: Annotated[Any, SocketData()]) -> None:
            one, two = sids
            # event, data, to, room, skip_sid, namespace, callback, ignore_queue
            await self.io.emit("a", 1, one, None, None, "/chat")
            await self.io.emit("b", 2, None, "lobby", two, "/chat", None, True)
            await self.io.emit("c", 3, to=[one, two], namespace="/chat")
            await self.io.emit("d", 4, one, None, None, "/chat", answered.append)

    @Controller("/answers")
    class Answers:
        @Get("/all")
        async def all(self) -> list[Any]:
            return answered

    adapter = ActorAdapter("/socket.io")
    app = nestipy_app(adapter, Chat, controllers=(Answers,))
    with (
        serve(app) as http,
        http.websocket_connect("/socket.io") as one,
        http.websocket_connect("/socket.io") as two,
    ):
        sids = [each.receive_json()["data"] for each in (one, two)]
        two.send_json(frame("go", sids, "/chat"))
        first, second, third = receive(one, 3)
        assert first == frame("a", 1, "/chat")
        assert second == frame("b", 2, "/chat")
        assert third == frame("c", 3, "/chat")
        asked = one.receive_json()
        assert asked == {**frame("d", 4, "/chat"), "id": asked["id"]}
        one.send_json({"ack": asked["id"], "data": "heard"})
        assert two.receive_json() == frame("c", 3, "/chat")
        while not answered:
            http.get("/answers/all")
    assert answered == ["heard"]
