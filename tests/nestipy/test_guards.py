"""Guards, asked for events; and that asking costs no more with every event.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from typing import Annotated, Any

import pytest
from nestipy.common import (
    CanActivate,
)
from nestipy.core import ExecutionContext
from nestipy.core.constant import AppKey
from nestipy.ioc import Inject, ModuleProviderDict, Req

from greenroom import ActorAdapter

from .conftest import Serve, client_of, frame, nestipy_app, receive
from .nest import (
    Controller,
    ErrorEvent,
    Gateway,
    Get,
    Injectable,
    OnConnect,
    OnDisConnect,
    Socket,
    SubscribeMessage,
    UseGuards,
    metadata,
)

UNAUTHORIZED = {"code": "unauthorized", "message": "Unauthorized"}


@Injectable()
class Members(CanActivate):
    async def can_activate(self, context: ExecutionContext) -> bool:
        return bool(client_of(context).query_params.get("name"))


def test_a_guard_of_the_class_and_one_of_the_method_are_both_asked(
    serve: Serve,
) -> None:
    @Injectable()
    class Admins(CanActivate):
        async def can_activate(self, context: ExecutionContext) -> bool:
            return bool(client_of(context).query_params.get("name") == "ann")

    ran: list[str] = []

    @UseGuards(Members)
    @Gateway("/chat")
    class Chat:
        @SubscribeMessage("say")
        async def say(self) -> str:
            ran.append("say")
            return "said"

        @UseGuards(Admins)
        @SubscribeMessage("kick")
        async def kick(self) -> str:
            ran.append("kick")
            return "kicked"

    app = nestipy_app(ActorAdapter(), Chat)
    with serve(app) as http:
        answers: dict[str, list[Any]] = {}
        for name in ("", "ben", "ann"):
            with http.websocket_connect(f"/ws?name={name}") as client:
                client.send_json({**frame("say", None, "/chat"), "id": 1})
                client.send_json({**frame("kick", None, "/chat"), "id": 2})
                found = [client.receive_json()]
                while found[-1].get("ack") != 2:
                    found.append(client.receive_json())
                answers[name] = [each for each in found if "ack" in each]
    refused = [{"ack": id, "error": UNAUTHORIZED} for id in (1, 2)]
    assert answers[""] == refused
    assert answers["ben"] == [{"ack": 1, "data": "said"}, refused[1]]
    assert answers["ann"] == [{"ack": 1, "data": "said"}, {"ack": 2, "data": "kicked"}]
    assert ran == ["say", "say", "kick"]


def test_guards_of_the_app_and_of_the_module_are_asked_first(serve: Serve) -> None:
    asked: list[str] = []

    def guard(name: str) -> type:
        @Injectable()
        class Noting(CanActivate):
            async def can_activate(self, context: ExecutionContext) -> bool:
                asked.append(name)
                return True

        return Noting

    everywhere, here, on_class, on_method = map(guard, ("app", "module", "class", "fn"))

    @UseGuards(on_class)
    @Gateway()
    class Root:
        @UseGuards(on_method)
        @SubscribeMessage("go")
        async def go(self) -> str:
            return "went"

    provided: Any = ModuleProviderDict(token=AppKey.APP_GUARD, use_class=here)
    app = nestipy_app(ActorAdapter(), Root, provided)
    app.use_global_guards(everywhere)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("go"))
        assert client.receive_json() == frame("go", "went")
    assert asked == ["app", "module", "class", "fn"]


def test_a_guard_is_given_providers_and_the_handshake(serve: Serve) -> None:
    @Injectable()
    class Tokens:
        known = frozenset({"Bearer 42"})

    @Injectable()
    class Checked(CanActivate):
        tokens: Annotated[Tokens, Inject()]

        # As one is written for HTTP.
        async def can_activate(self, context: ExecutionContext) -> bool:
            host: Any = context
            request = host.get_request()
            token: str = request.headers.get("authorization")
            request.user = token
            return token in self.tokens.known

    @UseGuards(Checked)
    @Gateway()
    class Root:
        @SubscribeMessage("who")
        async def who(self, client: Socket, request: Annotated[Any, Req()]) -> Any:
            return [client.user, request is client]

    app = nestipy_app(ActorAdapter(), Root, Tokens)
    with serve(app) as http:
        for token, answer in (("Bearer 42", {"data": ["Bearer 42", True]}), ("", {})):
            headers = {"authorization": token}
            with http.websocket_connect("/ws", headers=headers) as client:
                client.send_json({**frame("who"), "id": 1})
                if answer:
                    assert client.receive_json()["event"] == "who"
                    assert client.receive_json() == {"ack": 1, **answer}
                else:
                    assert client.receive_json() == {"ack": 1, "error": UNAUTHORIZED}


def test_what_a_guard_returns_to_be_awaited_is_awaited(serve: Serve) -> None:
    @Injectable()
    class Later(CanActivate):
        def can_activate(self, context: ExecutionContext) -> Any:
            async def no() -> bool:
                return False

            return no()

    @UseGuards(Later)
    @Gateway()
    class Root:
        @SubscribeMessage("go")
        async def go(self) -> str:
            return "went"

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("go"), "id": 1})
        assert client.receive_json() == {"ack": 1, "error": UNAUTHORIZED}


@pytest.mark.anyio
async def test_a_guard_that_nestipy_would_ignore_stops_the_start(
    anyio_backend: object,
) -> None:
    class Nobody:
        async def can_activate(self, context: ExecutionContext) -> bool:
            return False

    @UseGuards(Nobody)
    @Gateway()
    class Root:
        @SubscribeMessage("go")
        async def go(self) -> None: ...

    with pytest.raises(TypeError, match=r"CanActivate, got .*Nobody.* on .*Root"):
        await nestipy_app(ActorAdapter(), Root).ready()


def test_a_greeting_that_a_guard_refuses_is_not_undone(serve: Serve) -> None:
    seen: list[str] = []

    @UseGuards(Members)
    @Gateway("/chat")
    class Chat:
        @OnConnect()
        async def hello(self, client: Socket) -> str:
            seen.append("hello")
            await client.join("lobby")
            return "welcome"

        @OnDisConnect()
        async def bye(self) -> None:
            seen.append("bye")

    @Gateway()
    class Root:
        @SubscribeMessage("echo")
        async def echo(self) -> str:
            return "echo"

    adapter = ActorAdapter()
    with serve(nestipy_app(adapter, Chat, Root)) as http:
        with http.websocket_connect("/ws") as client:
            assert client.receive_json() == {"event": "error", "error": UNAUTHORIZED}
            # It stays, for the other gateways.
            client.send_json(frame("echo"))
            assert client.receive_json() == frame("echo", "echo")
            assert adapter.statistics().rooms == 0
        assert seen == []
        with http.websocket_connect("/ws?name=ann") as client:
            assert client.receive_json() == frame("connect", "welcome", "/chat")
    assert seen == ["hello", "bye"]


def test_an_error_event_does_not_name_the_guard(serve: Serve) -> None:
    @UseGuards(Members)
    @ErrorEvent("failed")
    @Gateway()
    class Root:
        @SubscribeMessage("go")
        async def go(self) -> None: ...

        @ErrorEvent("went wrong")
        @SubscribeMessage("stay")
        async def stay(self) -> None: ...

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json(frame("go"))
        client.send_json(frame("stay"))
        assert receive(client, 2) == [
            frame("failed", "Unauthorized"),
            # The method's own name counts before that of the class.
            frame("went wrong", "Unauthorized"),
        ]


def test_a_guard_can_turn_a_client_away(serve: Serve) -> None:
    @Injectable()
    class Bouncer(CanActivate):
        async def can_activate(self, context: ExecutionContext) -> bool:
            client_of(context).reject(4401, "say who you are")
            return False

    @Gateway()
    class Root:
        @UseGuards(Bouncer)
        @OnConnect()
        async def hello(self) -> str:
            return "nobody hears this"

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        closed = client.receive()
    assert (closed["code"], closed["reason"]) == (4401, "say who you are")


def test_what_is_declared_is_not_asked_for_more_with_every_event(serve: Serve) -> None:
    @UseGuards(Members)
    @Gateway()
    class Root:
        @SubscribeMessage("go")
        async def go(self) -> str:
            return "went"

    @Controller("/hello")
    class Hello:
        @Get("/world")
        async def hello(self) -> str:
            return "hello"

    app: Any = nestipy_app(ActorAdapter(), Root, controllers=(Hello,))
    with serve(app) as http, http.websocket_connect("/ws?name=ann") as client:

        def both() -> int:
            client.send_json(frame("go"))
            assert client.receive_json()["data"] == "went"
            assert http.get("/hello/world").text == "hello"
            key = metadata.ModuleMetadata.Providers
            return len(metadata.Reflector.get_metadata(app._root_module, key))

        assert both() == both()
