"""Gateways: what their methods are given, and what becomes of what they return.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import pytest
from nestipy.common import HttpException, Request
from nestipy.common.decorator import Scope
from nestipy.ioc import (
    Inject,
    RequestContextContainer,
    SocketData,
    WebSocketClient,
    WebSocketServer,
)
from nestipy.websocket import IoAdapter, Websocket
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from greenroom import Actor, ActorAdapter, Client, EventError

from .conftest import Serve, nestipy_app
from .nest import (
    ErrorEvent,
    Gateway,
    Injectable,
    OnConnect,
    OnDisConnect,
    SubscribeMessage,
    SuccessEvent,
)

Socket: TypeAlias = Annotated[Any, WebSocketClient()]
Data: TypeAlias = Annotated[Any, SocketData()]


def frame(event: str, data: Any = None, namespace: str = "/") -> dict[str, Any]:
    return {"event": event, "data": data, "namespace": namespace}


def internal_error(message: str = "the handler failed") -> dict[str, Any]:
    return {"event": "error", "error": {"code": "internal_error", "message": message}}


def receive(session: WebSocketTestSession, count: int) -> list[Any]:
    return [session.receive_json() for _ in range(count)]


def test_the_same_event_of_two_namespaces_is_two_events(serve: Serve) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("say")
        async def say(self, data: Data) -> str:
            return f"root {data}"

    @Gateway("/chat")
    class Chat:
        @SubscribeMessage("say")
        def say(self, data: Data) -> str:
            return f"chat {data}"

    app = nestipy_app(ActorAdapter(), Root, Chat)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("say", 1))
        client.send_json(frame("say", 2, "/chat"))
        assert receive(client, 2) == [
            frame("say", "root 1"),
            frame("say", "chat 2", "/chat"),
        ]


def test_a_result_answers_the_ack_too(serve: Serve) -> None:
    @Gateway("/chat")
    class Chat:
        @SubscribeMessage("say")
        async def say(self, data: Data) -> Any:
            return data

    app = nestipy_app(ActorAdapter(), Chat)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json({**frame("say", 0, "/chat"), "id": 7})
        client.send_json({**frame("say", None, "/chat"), "id": 8})
        assert receive(client, 3) == [
            frame("say", 0, "/chat"),
            {"ack": 7, "data": 0},
            {"ack": 8, "data": None},
        ]


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


def test_success_and_error_events_rename(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @SuccessEvent("done")
    @ErrorEvent("failed")
    @Gateway("/chat")
    class Chat:
        @SubscribeMessage("add")
        async def add(self, data: Data) -> Any:
            return data + 1

        @SubscribeMessage("refuse")
        async def refuse(self) -> None:
            raise EventError("too_late", "the sale is over")

        @SubscribeMessage("forbid")
        async def forbid(self) -> None:
            raise HttpException(403, "members only")

    app = nestipy_app(ActorAdapter(), Chat)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json({**frame("add", 1, "/chat"), "id": 1})
        assert receive(client, 2) == [frame("done", 2, "/chat"), {"ack": 1, "data": 2}]
        client.send_json(frame("add", "one", "/chat"))
        assert receive(client, 2) == [
            frame("failed", "the handler failed", "/chat"),
            internal_error(),
        ]
        assert "can only concatenate str" in caplog.text
        client.send_json({**frame("refuse", None, "/chat"), "id": 2})
        assert receive(client, 2) == [
            frame("failed", "the sale is over", "/chat"),
            {"ack": 2, "error": {"code": "too_late", "message": "the sale is over"}},
        ]
        client.send_json(frame("forbid", None, "/chat"))
        assert "members only" in client.receive_json()["data"]


def test_with_debug_the_error_event_has_the_text(serve: Serve) -> None:
    @ErrorEvent("failed")
    @Gateway()
    class Root:
        @SubscribeMessage("fail")
        async def fail(self) -> None:
            raise LookupError("no such line")

    app = nestipy_app(ActorAdapter(debug=True), Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("fail"))
        assert receive(client, 2) == [
            frame("failed", "no such line"),
            internal_error("LookupError: no such line"),
        ]


def test_a_method_that_fails_is_answered_and_the_next_event_is_handled(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("fail")
        async def fail(self) -> None:
            raise LookupError("a secret")

        @SubscribeMessage("fine")
        async def fine(self) -> str:
            return "fine"

    adapter = ActorAdapter()
    with (
        serve(nestipy_app(adapter, Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("fail"), "id": 3})
        client.send_json(frame("fine"))
        error = {"code": "internal_error", "message": "the handler failed"}
        assert receive(client, 2) == [{"ack": 3, "error": error}, frame("fine", "fine")]
    assert adapter.statistics().handler_errors == 1
    assert "a secret" in caplog.text


def test_a_method_for_every_message_hears_those_of_its_namespace(serve: Serve) -> None:
    seen: list[Any] = []

    @Gateway("/chat")
    class Chat:
        @SubscribeMessage()
        async def any_first(self, data: Data) -> None:
            seen.append(("first", data))

        @SubscribeMessage()
        async def any_second(self, data: Data) -> str:
            seen.append(("second", data))
            return f"heard {data}"

        @SubscribeMessage("own")
        async def own(self, data: Data) -> str:
            seen.append(("own", data))
            return "own"

    @Gateway()
    class Root:
        @SubscribeMessage("other")
        async def other(self) -> str:
            return "not for them"

    app = nestipy_app(ActorAdapter(), Chat, Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        # One that only they want: they answer it, under its own name.
        client.send_json({**frame("some", 1, "/chat"), "id": 1})
        assert receive(client, 2) == [
            frame("some", "heard 1", "/chat"),
            {"ack": 1, "data": "heard 1"},
        ]
        # One with a method of its own: they come before it.
        client.send_json({**frame("own", 2, "/chat"), "id": 2})
        assert receive(client, 3) == [
            frame("own", "heard 2", "/chat"),
            frame("own", "own", "/chat"),
            {"ack": 2, "data": "own"},
        ]
        client.send_json(frame("other"))
        assert client.receive_json() == frame("other", "not for them")
    assert seen == [
        ("first", 1),
        ("second", 1),
        ("first", 2),
        ("second", 2),
        ("own", 2),
    ]


def test_a_handler_for_any_event_of_our_own_stays(serve: Serve) -> None:
    adapter = ActorAdapter()

    @adapter.on("*")
    async def rest(event: str, client: Client, data: Any) -> str:
        return f"the rest: {event}"

    @Gateway()
    class Root:
        @SubscribeMessage()
        async def every(self) -> str:
            return "heard"

    with (
        serve(nestipy_app(adapter, Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("what"), "id": 1})
        assert receive(client, 2) == [
            frame("what", "heard"),
            {"ack": 1, "data": "the rest: what"},
        ]


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


def test_a_coroutine_behind_a_plain_decorator_is_awaited(serve: Serve) -> None:
    def logged(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: object) -> Any:
            return method(self)

        call.__dict__.update(method.__dict__)
        return call

    @Gateway()
    class Root:
        @SubscribeMessage("greet")
        @logged
        async def greet(self) -> str:
            return "hello"

    assert not inspect.iscoroutinefunction(Root.greet)
    app = nestipy_app(ActorAdapter(), Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("greet"))
        assert client.receive_json() == frame("greet", "hello")


def test_with_payload_hooks_all_gateways_are_in_one_namespace(serve: Serve) -> None:
    def read(payload: str, message: Any) -> tuple[str, object]:
        event, _, data = payload.partition(" ")
        return event, data

    def write(event: str, data: object) -> str:
        return f"{event}: {data}"

    @Gateway()
    class Root:
        @SubscribeMessage()
        async def every(self, data: Data) -> str:
            return f"heard {data}"

    @Gateway("/chat")
    class Chat:
        @OnConnect()
        async def hello(self, client: Socket) -> Any:
            return client.namespace

        @SubscribeMessage("say")
        async def say(self, data: Data) -> Any:
            return data

    app = nestipy_app(ActorAdapter("/ws", read, write), Root, Chat)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_text("say one")
        client.send_text("other two")
        assert [client.receive_text() for _ in range(4)] == [
            "connect: /",
            "say: heard one",
            "say: one",
            "other: heard two",
        ]


# -- the request context ---------------------------------------------------


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
        RequestContextContainer.get_instance().set_request_cache({Basket: "stale"})

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
    contexts: Any = RequestContextContainer.get_instance()

    class Looking(Actor[None]):
        async def receive(self, message: None) -> list[bool]:
            seen = [contexts.execution_context, contexts.get_request_cache()]
            return [each is None for each in seen]

    @Gateway()
    class Root:
        @SubscribeMessage("look")
        async def look(self) -> Any:
            assert contexts.execution_context is not None
            return await (await adapter.system.spawn(Looking())).ask(None)

    app = nestipy_app(adapter, Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("look"))
        assert client.receive_json() == frame("look", [True, True])
