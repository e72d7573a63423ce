"""Guards, pipes, interceptors and exception filters, applied to events.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from collections.abc import Callable
from typing import Annotated, Any

import anyio
import pytest
from nestipy.common import (
    CanActivate,
    ExceptionFilter,
    HttpException,
    NestipyInterceptor,
    ParseIntPipe,
    PipeTransform,
    ValidationPipe,
)
from nestipy.core import ExecutionContext
from nestipy.core.constant import AppKey
from nestipy.ioc import Inject, ModuleProviderDict, Req, SocketData
from pydantic import BaseModel

from greenroom import ActorAdapter, EventError
from greenroom.testing import connect

from .conftest import Serve, frame, nestipy_app, receive, served
from .nest import (
    Catch,
    Controller,
    Data,
    ErrorEvent,
    Gateway,
    Get,
    Injectable,
    OnConnect,
    OnDisConnect,
    Socket,
    SubscribeMessage,
    SuccessEvent,
    UseFilters,
    UseGuards,
    UseInterceptors,
    UsePipes,
    metadata,
)

UNAUTHORIZED = {"code": "unauthorized", "message": "Unauthorized"}


def client_of(context: Any) -> Any:
    return context.switch_to_websocket().get_client()


def failure(id: int, code: str, message: str) -> dict[str, Any]:
    return {"ack": id, "error": {"code": code, "message": message}}


# -- guards ----------------------------------------------------------------


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


# -- pipes -----------------------------------------------------------------


def test_pipes_come_in_nestipys_order(serve: Serve) -> None:
    def pipe(name: str) -> type:
        @Injectable()
        class Marking(PipeTransform):
            async def transform(self, value: Any, metadata: Any) -> Any:
                return [*value, f"{name} {metadata.data}"]

        return Marking

    everywhere, on_class, on_method, here = map(pipe, ("app", "class", "fn", "here"))

    @UsePipes(on_class)
    @Gateway()
    class Root:
        @UsePipes(on_method)
        @SubscribeMessage("mark")
        async def mark(self, data: Annotated[Any, SocketData(here)]) -> Any:
            return data

        @SubscribeMessage("key")
        async def key(self, data: Annotated[Any, SocketData("marks")]) -> Any:
            return data

    app = nestipy_app(ActorAdapter(), Root)
    app.use_global_pipes(everywhere)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("mark", []))
        client.send_json(frame("key", {"marks": [1]}))
        assert receive(client, 2) == [
            frame("mark", ["app data", "class data", "fn data", "here data"]),
            frame("key", [1, "app marks", "class marks"]),
        ]


@pytest.mark.parametrize("debug", [False, True])
def test_what_a_pipe_refuses_is_a_bad_request(serve: Serve, debug: bool) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("add")
        async def add(self, data: Annotated[int, SocketData(ParseIntPipe)]) -> int:
            return data + 1

    app = nestipy_app(ActorAdapter(debug=debug), Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("add", "41"))
        assert client.receive_json() == frame("add", 42)
        client.send_json({**frame("add", "x"), "id": 1})
        words = ": Cannot parse int from 'x'" if debug else ""
        message = f"refused by ParseIntPipe{words}"
        assert client.receive_json() == failure(1, "bad_request", message)


def test_a_pipe_may_refuse_in_words_of_its_own(serve: Serve) -> None:
    class Polite(PipeTransform):
        def transform(self, value: Any, metadata: Any) -> Any:
            raise HttpException(422, "say please")

    @Gateway()
    class Root:
        @SubscribeMessage("ask")
        async def ask(self, data: Annotated[Any, SocketData(Polite())]) -> None: ...

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("ask"), "id": 1})
        wanted = failure(1, "unprocessable_entity", "say please")
        assert client.receive_json() == wanted


def test_the_validation_pipe_sees_the_data_as_it_came(serve: Serve) -> None:
    class Line(BaseModel):
        text: str

    strict: Any = ValidationPipe(whitelist=True, forbid_non_whitelisted=True)

    @UsePipes(strict)
    @Gateway()
    class Root:
        @SubscribeMessage("say")
        async def say(self, line: Annotated[Line, SocketData()]) -> str:
            return line.text

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("say", {"text": "hi", "colour": "red"}), "id": 1})
        client.send_json({**frame("say", {"text": 1}), "id": 2})
        client.send_json(frame("say", {"text": "hi"}))
        assert receive(client, 3) == [
            failure(1, "bad_request", "refused by ValidationPipe"),
            failure(2, "invalid_data", "text: Input should be a valid string"),
            frame("say", "hi"),
        ]


# -- interceptors ----------------------------------------------------------


def test_interceptors_stand_around_the_method(serve: Serve) -> None:
    order: list[str] = []

    def interceptor(name: str) -> type:
        @Injectable()
        class Around(NestipyInterceptor):
            async def intercept(
                self, context: ExecutionContext, next_fn: Callable[[], Any]
            ) -> Any:
                order.append(name)
                result = await next_fn()
                order.append(name)
                return [*result, name]

        return Around

    everywhere, on_class, on_method = map(interceptor, ("app", "class", "fn"))

    @UseInterceptors(on_class)
    @Gateway()
    class Root:
        @UseInterceptors(on_method)
        @SubscribeMessage("go")
        async def go(self) -> list[str]:
            order.append("method")
            return []

    app = nestipy_app(ActorAdapter(), Root)
    app.use_global_interceptors(everywhere)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json({**frame("go"), "id": 1})
        result = ["fn", "class", "app"]
        assert receive(client, 2) == [frame("go", result), {"ack": 1, "data": result}]
    assert order == ["app", "class", "fn", "method", "fn", "class", "app"]


def test_an_interceptor_that_does_not_call_the_method_refuses_it(serve: Serve) -> None:
    class Silent(NestipyInterceptor):
        def intercept(self, context: ExecutionContext, next_fn: object) -> Any:
            return "from a cache"

    @UseInterceptors(Silent())
    @Gateway()
    class Root:
        @SubscribeMessage("go")
        async def go(self) -> None:
            raise AssertionError

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("go"), "id": 1})
        error = client.receive_json()["error"]
    assert error["code"] == "bad_request"
    assert "because of interceptor" in error["message"]


@pytest.mark.anyio
async def test_the_context_of_one_client_is_never_given_for_another(
    anyio_backend: object,
) -> None:
    both_inside = anyio.Event()
    inside: list[str] = []

    @Injectable()
    class Outer(NestipyInterceptor):
        async def intercept(
            self, context: ExecutionContext, next_fn: Callable[[], Any]
        ) -> Any:
            inside.append(client_of(context).sid)
            if len(inside) == 2:
                both_inside.set()
            await both_inside.wait()
            return await next_fn()

    @Injectable()
    class Inner(NestipyInterceptor):
        async def intercept(
            self, context: ExecutionContext, next_fn: Callable[[], Any]
        ) -> Any:
            return [client_of(context).sid, *await next_fn()]

    @Injectable()
    class Telling(ExceptionFilter):
        async def catch(self, exception: Any, host: Any) -> Any:
            await anyio.lowlevel.checkpoint()
            return client_of(host).sid

    @UseInterceptors(Outer)
    @Gateway()
    class Root:
        @UseInterceptors(Inner)
        @SubscribeMessage("who")
        async def who(self, client: Socket) -> list[str]:
            return [client.sid]

    adapter = ActorAdapter()
    app = nestipy_app(adapter, Root)
    answers: list[list[str]] = []
    async with (
        served(app),
        connect(adapter) as one,
        connect(adapter) as two,
        anyio.create_task_group() as tasks,
    ):

        async def ask(client: Any) -> None:
            answers.append(await client.call("who"))

        tasks.start_soon(ask, one)
        tasks.start_soon(ask, two)
    assert sorted(answers) == sorted([sid, sid] for sid in inside)
    assert len(set(inside)) == 2


# -- exception filters -----------------------------------------------------


@Injectable()
@Catch()
class Sorry(ExceptionFilter):
    async def catch(self, exception: Any, host: Any) -> Any:
        if exception.status_code == 418:
            return None
        return {"sorry": exception.message, "status": exception.status_code}


def test_a_filter_answers_for_what_a_method_raises(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @UseFilters(Sorry)
    @ErrorEvent("failed")
    @SuccessEvent("done")
    @Gateway("/chat")
    class Chat:
        @SubscribeMessage("fail")
        async def fail(self, data: Data) -> None:
            match data:
                case "http":
                    raise HttpException(403, "members only")
                case "ours":
                    raise EventError("too_late", "the sale is over")
                case _:
                    raise LookupError("no such line")

        @SubscribeMessage("teapot")
        async def teapot(self) -> None:
            raise HttpException(418, "short and stout")

    app = nestipy_app(ActorAdapter(), Chat)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        for id, data, status, words in (
            (1, "http", 403, "members only"),
            (2, "ours", 400, "the sale is over"),
            (3, "else", 500, "no such line"),
        ):
            client.send_json({**frame("fail", data, "/chat"), "id": id})
            answer = {"sorry": words, "status": status}
            assert receive(client, 2) == [
                frame("failed", answer, "/chat"),
                {"ack": id, "data": answer},
            ]
        # Without an answer it is as if there were no filter.
        client.send_json({**frame("teapot", None, "/chat"), "id": 4})
        assert receive(client, 2) == [
            frame("failed", "418 - short and stout ", "/chat"),
            failure(4, "im_a_teapot", "short and stout"),
        ]
    assert caplog.text == ""


def test_filters_catch_what_they_name(serve: Serve) -> None:
    called: list[str] = []

    def filter(name: str, *kinds: object) -> type:
        @Injectable()
        @Catch(*kinds)
        class Naming(ExceptionFilter):
            async def catch(self, exception: Any, host: Any) -> Any:
                called.append(name)
                return name

        return Naming

    class Gone(HttpException):
        status_code = 410

        def __init__(self) -> None:
            super().__init__(410, "gone")  # pyright: ignore[reportUnknownMemberType]  # Nestipy's

    values = filter("values", KeyError, ValueError)
    gone = filter("gone", Gone)
    every = filter("every", HttpException)

    @UseFilters(gone)
    @Gateway()
    class Root:
        @UseFilters(values)
        @SubscribeMessage("fail")
        async def fail(self, data: Data) -> None:
            raise {"value": ValueError("x"), "410": HttpException(410)}.get(
                data, Gone()
            )

    app = nestipy_app(ActorAdapter(), Root)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        for data in ("value", "410", "gone"):
            client.send_json(frame("fail", data))
        answers = [each["data"] for each in receive(client, 3)]
        assert answers == ["values", "gone", "gone"]
        # Of the app's too, which come last: the last answer counts.
        app.use_global_filters(every)
        client.send_json(frame("fail", "value"))
        assert client.receive_json()["data"] == "every"
    assert called == ["values", "gone", "gone", "values", "every"]


def test_a_filter_may_answer_with_another_exception(serve: Serve) -> None:
    @Injectable()
    @Catch()
    class Hiding(ExceptionFilter):
        def catch(self, exception: Any, host: Any) -> Any:
            return HttpException(404, "no such thing")

    @Gateway()
    class Root:
        @UseFilters(Hiding)
        @SubscribeMessage("look")
        async def look(self) -> None:
            raise PermissionError("you are not Ann")

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("look"), "id": 1})
        assert client.receive_json() == failure(1, "not_found", "no such thing")


def test_a_filter_that_fails_leaves_the_answer_as_it_was(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @Injectable()
    @Catch()
    class ForHttp(ExceptionFilter):
        async def catch(self, exception: Any, host: Any) -> Any:
            return await host.get_response().json({})

    @UseFilters(ForHttp)
    @Gateway()
    class Root:
        @SubscribeMessage("look")
        async def look(self) -> None:
            raise HttpException(404, "no such thing")

        @SubscribeMessage("fail")
        async def fail(self) -> None:
            raise LookupError("a secret")

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("look"), "id": 1})
        client.send_json({**frame("fail"), "id": 2})
        assert receive(client, 2) == [
            failure(1, "not_found", "no such thing"),
            failure(2, "internal_error", "the handler failed"),
        ]
    assert "an exception filter of <" in caplog.text
    assert "a secret" in caplog.text


def test_an_exception_of_the_server_keeps_its_words(serve: Serve) -> None:
    @ErrorEvent("failed")
    @Gateway()
    class Root:
        @SubscribeMessage("fail")
        async def fail(self) -> None:
            raise HttpException(503, "postgres://ann:secret@db is down")

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("fail"), "id": 1})
        assert receive(client, 2) == [
            frame("failed", "the handler failed"),
            failure(1, "internal_error", "the handler failed"),
        ]


def test_a_client_that_left_is_no_matter_for_filters(serve: Serve) -> None:
    @Gateway()
    class Root:
        @UseFilters(Sorry)
        @SubscribeMessage("leave")
        async def leave(self, client: Socket) -> None:
            await client.disconnect(4000)
            await client.emit("too late")

    adapter = ActorAdapter()
    with (
        serve(nestipy_app(adapter, Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json(frame("leave"))
        assert client.receive()["code"] == 4000
    assert adapter.statistics().handler_errors == 0


# -- beside HTTP -----------------------------------------------------------


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
