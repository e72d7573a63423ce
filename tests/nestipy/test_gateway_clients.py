"""Gateways: what their methods are given: clients, the adapter, a context.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from typing import Annotated, Any

import pytest
from nestipy.common import Request
from nestipy.common.decorator import Scope
from nestipy.ioc import (
    Inject,
    WebSocketClient,
    WebSocketServer,
)
from nestipy.websocket import IoAdapter, Websocket
from starlette.websockets import WebSocketDisconnect

from greenroom import Actor, ActorAdapter, Client

from .conftest import Serve, frame, nestipy_app, receive
from .nest import (
    Data,
    Gateway,
    Injectable,
    OnConnect,
    OnDisConnect,
    Socket,
    SubscribeMessage,
    request_contexts,
)


def test_the_client_is_a_websocket_of_nestipy_and_all_of_ours(serve: Serve) -> None:
    seen: list[Any] = []

    @Gateway("/chat")
    class Chat:
        @SubscribeMessage("who")
        async def who(self, client: Socket, data: Data) -> None:
            kinds = (Client, Websocket, Request)
            assert all(isinstance(client, kind) for kind in kinds)
            await client.join("lobby")
            seen.append((client.namespace, client.data, client.rooms))
            seen.append((client.path, client.query_params, client.cookies))
            client.session = {"name": "Ann"}
            client.user = "ann"
            await client.emit("you", client.sid)

        @SubscribeMessage("again")
        async def again(self, client: Socket) -> Any:
            return [client.session, client.user]

    app = nestipy_app(ActorAdapter(), Chat)
    with serve(app) as http:
        path = "/ws?room=1"
        with http.websocket_connect(path, headers={"cookie": "a=b"}) as client:
            client.send_json(frame("who", [1], "/chat"))
            sid = client.receive_json()["data"]
            client.send_json(frame("again", None, "/chat"))
            answer = client.receive_json()
    assert sid.startswith("~")
    assert answer["data"] == [{"name": "Ann"}, "ann"]
    assert seen == [
        ("/chat", [1], frozenset({"lobby"})),
        ("/ws", {"room": "1"}, {"a": "b"}),
    ]


@pytest.mark.parametrize("name", ["send", "receive"])
def test_the_socket_below_a_client_is_out_of_reach(name: str, serve: Serve) -> None:
    @Gateway("/below")
    class Below:
        @SubscribeMessage("reach")
        async def reach(self, client: Socket) -> str:
            arguments = [{"type": "websocket.send", "text": "x"}][: name == "send"]
            with pytest.raises(RuntimeError, match=f"client.{name} is not available"):
                await getattr(client, name)(*arguments)
            return "refused"

    app = nestipy_app(ActorAdapter(), Below)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("reach", None, "/below"))
        assert client.receive_json() == frame("reach", "refused", "/below")


def test_the_adapter_is_injected_everywhere(serve: Serve) -> None:
    adapter = ActorAdapter()

    @Gateway()
    class Root:
        attribute: Annotated[IoAdapter, Inject()]

        @SubscribeMessage("where")
        async def where(
            self,
            injected: Annotated[IoAdapter, Inject()],
            server: Annotated[IoAdapter, WebSocketServer()],
        ) -> list[bool]:
            found: list[object] = [self.attribute, injected, server]
            return [each is adapter for each in found]

    with (
        serve(nestipy_app(adapter, Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json(frame("where"))
        assert client.receive_json()["data"] == [True, True, True]


def test_connects_and_disconnects_come_in_the_gateways_namespace(serve: Serve) -> None:
    seen: list[Any] = []

    @Gateway("/chat")
    class Chat:
        @OnConnect()
        async def hello(self, client: Socket) -> str:
            seen.append(("hello", client.namespace))
            await client.join("lobby")
            client.user = "ann"
            return "welcome"

        @OnDisConnect()
        async def bye(self, client: Socket) -> str:
            seen.append(("bye", client.namespace, client.user, client.rooms))
            return "nobody hears this"

    app = nestipy_app(ActorAdapter(), Chat)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        assert client.receive_json() == frame("connect", "welcome", "/chat")
    assert seen == [
        ("hello", "/chat"),
        ("bye", "/chat", "ann", frozenset({"lobby"})),
    ]


def test_a_connect_method_can_turn_a_client_away(serve: Serve) -> None:
    gone: list[str] = []

    @Gateway()
    class Root:
        @OnConnect()
        async def hello(self, client: Annotated[Any, WebSocketClient()]) -> str:
            await client.reject(4003, "not you")
            return "nobody hears this"

        @OnDisConnect()
        async def bye(self, client: Socket) -> None:
            gone.append(client.sid)

    app = nestipy_app(ActorAdapter(), Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        with pytest.raises(WebSocketDisconnect) as refusal:
            client.receive_json()
        assert (refusal.value.code, refusal.value.reason) == (4003, "not you")
    assert gone == []


def test_handlers_of_our_own_stand_beside_gateways(serve: Serve) -> None:
    adapter = ActorAdapter()
    clients: list[object] = []

    @adapter.on("ours")
    async def ours(event: str, client: Client, data: Any) -> str:
        clients.append(client)
        return "ours"

    app = nestipy_app(adapter)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json({**frame("ours"), "id": 1})
        assert client.receive_json() == {"ack": 1, "data": "ours"}
    assert isinstance(clients[0], Websocket)


def test_what_is_scoped_to_a_request_is_new_for_every_event(serve: Serve) -> None:
    made: list[object] = []

    @Injectable(Scope.Request)
    class Basket:
        def __init__(self) -> None:
            made.append(self)

    @Gateway()
    class Root:
        attribute: Annotated[Basket, Inject()]

        @SubscribeMessage("count")
        async def count(
            self,
            parameter: Annotated[Basket, Inject()],
        ) -> Any:
            return [parameter is self.attribute, made.index(parameter)]

    app = nestipy_app(ActorAdapter(), Root, Basket)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        made.clear()
        client.send_json(frame("count"))
        client.send_json(frame("count"))
        assert receive(client, 2) == [
            frame("count", [True, 0]),
            frame("count", [True, 1]),
        ]


def test_what_ran_before_in_the_task_leaves_no_context(serve: Serve) -> None:
    @Injectable(Scope.Request)
    class Basket: ...

    adapter = ActorAdapter()

    @adapter.on_message()
    async def careless(event: str, client: Client, data: Any) -> None:
        request_contexts.set_request_cache({Basket: "stale"})

    @Gateway()
    class Root:
        @SubscribeMessage("look")
        async def look(self, basket: Annotated[Basket, Inject()]) -> str:
            return type(basket).__name__

    app = nestipy_app(adapter, Root, Basket)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("look"))
        assert client.receive_json() == frame("look", "Basket")


def test_an_actor_started_by_a_method_has_no_context_of_it(serve: Serve) -> None:
    adapter = ActorAdapter()

    class Looking(Actor[None]):
        async def receive(self, message: None) -> list[bool]:
            seen = [
                request_contexts.execution_context,
                request_contexts.get_request_cache(),
            ]
            return [each is None for each in seen]

    @Gateway()
    class Root:
        @SubscribeMessage("look")
        async def look(self) -> Any:
            assert request_contexts.execution_context is not None
            return await (await adapter.system.spawn(Looking())).ask(None)

    app = nestipy_app(adapter, Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("look"))
        assert client.receive_json() == frame("look", [True, True])
