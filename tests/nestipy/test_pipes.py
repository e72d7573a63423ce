"""Pipes and interceptors, applied to events.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from collections.abc import Callable
from typing import Annotated, Any

import anyio
import pytest
from nestipy.common import (
    ExceptionFilter,
    HttpException,
    NestipyInterceptor,
    ParseIntPipe,
    PipeTransform,
    ValidationPipe,
)
from nestipy.core import ExecutionContext
from nestipy.ioc import SocketData
from pydantic import BaseModel

from greenroom import ActorAdapter
from greenroom.testing import connect

from .conftest import Serve, client_of, failure, frame, nestipy_app, receive, served
from .nest import (
    Gateway,
    Injectable,
    Socket,
    SubscribeMessage,
    UseInterceptors,
    UsePipes,
)


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
