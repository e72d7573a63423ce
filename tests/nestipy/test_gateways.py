"""Gateways: what their methods are given, and what becomes of what they return.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from nestipy.common import HttpException

from greenroom import ActorAdapter, Client, EventError

from .conftest import Serve, frame, nestipy_app, receive
from .nest import (
    Data,
    ErrorEvent,
    Gateway,
    OnConnect,
    Socket,
    SubscribeMessage,
    SuccessEvent,
)


def internal_error(message: str = "the handler failed") -> dict[str, Any]:
    return {"event": "error", "error": {"code": "internal_error", "message": message}}


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
        # Told once: by the error of the ack too only if there is one.
        client.send_json(frame("add", "one", "/chat"))
        assert client.receive_json() == frame("failed", "the handler failed", "/chat")
        client.send_json({**frame("add", "one", "/chat"), "id": 3})
        assert receive(client, 2) == [
            frame("failed", "the handler failed", "/chat"),
            {"ack": 3, "error": internal_error()["error"]},
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
        client.send_json({**frame("fail"), "id": 1})
        assert receive(client, 2) == [
            frame("failed", "no such line"),
            {"ack": 1, "error": internal_error("LookupError: no such line")["error"]},
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


def test_what_hears_every_message_does_not_stand_in_the_way(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @Gateway()
    class Every:
        @SubscribeMessage()
        async def every(self, data: Data) -> None:
            if data == 1:
                raise EventError("no", "not for me")
            if data == 2:
                raise LookupError("a secret")

    @ErrorEvent("failed")
    @Gateway()
    class Telling:
        @SubscribeMessage()
        async def every(self, data: Data) -> None:
            if data == 3:
                raise LookupError("another secret")

    @Gateway()
    class Root:
        @SubscribeMessage("say")
        async def say(self, data: Data) -> Any:
            return data

    app = nestipy_app(ActorAdapter(), Every, Telling, Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        for data in (1, 2, 3):
            client.send_json(frame("say", data))
        assert receive(client, 4) == [
            frame("say", 1),
            frame("say", 2),
            frame("failed", "the handler failed"),
            frame("say", 3),
        ]
    assert "not for me" not in caplog.text
    assert "Every.every> failed" in caplog.text
    assert "another secret" in caplog.text


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
