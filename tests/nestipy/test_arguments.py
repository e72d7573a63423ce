"""Gateways: what a method says that it wants, and what becomes of other data.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

import operator
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest
from nestipy.common import DefaultValuePipe
from nestipy.ioc import (
    Body,
    Cookie,
    Header,
    Inject,
    Query,
    SocketData,
    WebSocketServer,
)
from nestipy.websocket import IoAdapter, Websocket
from pydantic import BaseModel, Field

from greenroom import ActorAdapter, Client

from . import modern
from .conftest import Serve, frame, nestipy_app, receive
from .nest import (
    Data,
    ErrorEvent,
    Gateway,
    Injectable,
    SubscribeMessage,
    UseFilters,
)


class Line(BaseModel):
    text: str = Field(max_length=5)
    size: int = 1


@dataclass
class Point:
    x: int
    y: int = 0


class Nothing:
    pass


@dataclass
class Opaque:
    point: Point
    nothing: Nothing


def invalid(id: int, message: str) -> dict[str, Any]:
    return {"ack": id, "error": {"code": "invalid_data", "message": message}}


# -- data ------------------------------------------------------------------


def test_data_is_made_into_the_model_that_a_method_wants(serve: Serve) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("line")
        async def line(self, line: Annotated[Line, SocketData()]) -> Any:
            return [type(line).__name__, line.text, line.size]

        @SubscribeMessage("point")
        async def point(self, point: Annotated[Point, SocketData()]) -> Any:
            return [type(point).__name__, point.x, point.y]

        @SubscribeMessage("lines")
        async def lines(self, lines: Annotated[list[Line], SocketData()]) -> Any:
            return [line.text for line in lines]

        @SubscribeMessage("maybe")
        async def maybe(self, line: Annotated[Optional[Line], SocketData()]) -> Any:  # noqa: UP045 - apps write it so
            return [line is None]

        @SubscribeMessage("key")
        async def key(self, line: Annotated[Line, SocketData("line")]) -> Any:
            return line.text

        # Not looked into, as it has always been.
        @SubscribeMessage("any")
        async def any(self, data: Annotated[str, SocketData()]) -> Any:
            return data

    cases: list[tuple[str, Any, Any]] = [
        ("line", {"text": "hi", "more": 1}, ["Line", "hi", 1]),
        ("point", {"x": 1}, ["Point", 1, 0]),
        ("lines", [{"text": "a"}, {"text": "b"}], ["a", "b"]),
        ("maybe", None, [True]),
        ("key", {"line": {"text": "in"}}, "in"),
        ("any", {"not": "a str"}, {"not": "a str"}),
    ]
    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        for event, data, result in cases:
            client.send_json(frame(event, data))
            assert client.receive_json() == frame(event, result)


def test_data_that_is_something_else_is_answered_field_by_field(serve: Serve) -> None:
    called: list[object] = []

    class Many(BaseModel):
        a: int
        b: int
        c: int
        d: int
        e: int
        f: int
        g: int

    @Gateway()
    class Root:
        @SubscribeMessage("line")
        async def line(self, line: Annotated[Line, SocketData()]) -> None:
            called.append(line)

        @SubscribeMessage("many")
        async def many(self, many: Annotated[Many, SocketData()]) -> None:
            called.append(many)

        @SubscribeMessage("point")
        async def point(self, point: Annotated[Point, SocketData()]) -> None:
            called.append(point)

        @SubscribeMessage("opaque")
        async def opaque(self, opaque: Annotated[Opaque, SocketData()]) -> None:
            called.append(opaque)

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        sent: list[tuple[str, Any]] = [
            ("line", {"text": "a secret", "size": "x"}),
            ("line", None),
            ("many", {}),
            ("point", {"x": "x"}),
            ("opaque", {"z": 1}),
        ]
        for id, (event, data) in enumerate(sent):
            client.send_json({**frame(event, data), "id": id})
        number = "Input should be a valid integer, unable to parse string as an integer"
        long = "String should have at most 5 characters"
        few = "; ".join(f"{name}: Field required" for name in "abcde")
        assert receive(client, 5) == [
            invalid(0, f"text: {long}; size: {number}"),
            invalid(1, "data: Input should be a valid dictionary or instance of Line"),
            invalid(2, f"{few}; and 2 more"),
            invalid(3, f"x: {number}"),
            invalid(4, "some fields are missing, or too many"),
        ]
    assert called == []


def test_wrong_data_comes_to_filters_and_error_events(serve: Serve) -> None:
    seen: list[Any] = []

    @Injectable()
    class Watching:
        async def catch(self, exception: Any, host: Any) -> None:
            seen.append((exception.status_code, exception.details))

    @ErrorEvent("failed")
    @UseFilters(Watching)
    @Gateway()
    class Root:
        @SubscribeMessage("line")
        async def line(self, line: Annotated[Line, SocketData()]) -> None: ...

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("line", {}), "id": 1})
        assert receive(client, 2) == [
            frame("failed", "text: Field required"),
            invalid(1, "text: Field required"),
        ]
    assert seen == [(400, {"error": "text: Field required"})]


def test_a_method_may_make_models_of_its_own(serve: Serve) -> None:
    """What is invalid there is the server's failure, and stays there."""

    @Gateway()
    class Root:
        @SubscribeMessage("make")
        async def make(self) -> None:
            Line(text="too long for a line")

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("make"), "id": 1})
        assert client.receive_json()["error"]["code"] == "internal_error"


def test_a_key_of_the_data_may_be_missing(serve: Serve) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("size")
        async def size(
            self, size: Annotated[int, SocketData("size", DefaultValuePipe(7))]
        ) -> int:
            return size

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        for data in ({"size": 3}, {}, "no object", None):
            client.send_json(frame("size", data))
        assert [each["data"] for each in receive(client, 4)] == [3, 7, 7, 7]


# -- the handshake, and everything else -------------------------------------


def test_the_handshake_can_be_asked_as_a_request_is(serve: Serve) -> None:
    class Search(BaseModel):
        page: int

    @Gateway()
    class Root:
        @SubscribeMessage("what")
        async def what(
            self,
            page: Annotated[str, Query("page")],
            agent: Annotated[str, Header("x-agent")],
            cookie: Annotated[str, Cookie("a")],
        ) -> Any:
            return [page, agent, cookie]

        @SubscribeMessage("search")
        async def search(self, search: Annotated[Search, Query()]) -> Any:
            return search.page

        @SubscribeMessage("body")
        async def body(self, body: Annotated[Any, Body()]) -> None: ...

    headers = {"x-agent": "007", "cookie": "a=b"}
    with serve(nestipy_app(ActorAdapter(debug=True), Root)) as http:
        with http.websocket_connect("/ws?page=1", headers=headers) as client:
            client.send_json(frame("what"))
            client.send_json(frame("search"))
            client.send_json({**frame("body"), "id": 1})
            assert receive(client, 2) == [
                frame("what", ["1", "007", "b"]),
                frame("search", 1),
            ]
            words = client.receive_json()["error"]["message"]
            assert "client.receive is not available" in words
        with http.websocket_connect("/ws?page=x") as client:
            client.send_json({**frame("search"), "id": 1})
            assert client.receive_json()["error"]["code"] == "invalid_data"


def test_plain_annotations_give_what_they_name(serve: Serve) -> None:
    adapter = ActorAdapter()

    @Injectable()
    class Service: ...

    @Gateway()
    class Root:
        @SubscribeMessage("plain")
        async def plain(
            self,
            io: IoAdapter,
            client: Client,
            socket: Websocket,
            service: Service,
            number: int,
            size: int = 5,
            *args: object,
            again: Annotated[Any, Inject(Service)],
            server: Annotated[ActorAdapter, WebSocketServer()],
            **fields: object,
        ) -> Any:
            given: list[object] = [io, client, service, server]
            wanted: list[object] = [adapter, socket, again, adapter]
            return [*map(operator.is_, given, wanted), number, size]

    app = nestipy_app(adapter, Root, Service)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("plain"))
        answer = client.receive_json()["data"]
    assert answer == [True, True, True, True, None, 5]


def test_a_parameter_of_which_nothing_is_said_is_named_at_the_start(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("say")
        async def say(self, data, size=1) -> None:  # type: ignore[no-untyped-def] # pyright: ignore # that is the point
            raise AssertionError

    with serve(nestipy_app(ActorAdapter(), Root)) as http:
        assert "Root.say cannot be called: nothing says what its parameter 'data'" in (
            caplog.text
        )
        assert "'size'" not in caplog.text
        with http.websocket_connect("/ws") as client:
            client.send_json({**frame("say"), "id": 1})
            assert client.receive_json()["error"]["code"] == "internal_error"


def test_a_provider_out_of_reach_is_named(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Elsewhere: ...

    @Gateway()
    class Root:
        @SubscribeMessage("say")
        async def say(self, other: Annotated[Elsewhere, Inject()]) -> None: ...

    with (
        serve(nestipy_app(ActorAdapter(), Root)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json({**frame("say"), "id": 1})
        assert client.receive_json()["error"]["code"] == "internal_error"
    assert "Root.say: no provider <class" in caplog.text


def test_forward_references_are_looked_up(serve: Serve) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("say")
        async def say(self, late: Annotated["Late", Inject()], data: "Data") -> Any:
            return late.text(data)

    with (
        serve(nestipy_app(ActorAdapter(), Root, Late)) as http,
        http.websocket_connect("/ws") as client,
    ):
        client.send_json(frame("say", "hi"))
        assert client.receive_json() == frame("say", "late hi")


@Injectable()
class Late:
    def text(self, text: str) -> str:
        return f"late {text}"


# -- annotations that are strings ------------------------------------------


def test_postponed_annotations_are_looked_up(serve: Serve) -> None:
    app = nestipy_app(ActorAdapter(), modern.Modern, modern.Words)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("say", {"text": "hi"}, "/modern"))
        assert receive(client, 2) == [
            frame("said", "HI", "/modern"),
            frame("say", True, "/modern"),
        ]
        client.send_json({**frame("say", {}, "/modern"), "id": 1})
        assert client.receive_json() == invalid(1, "text: Field required")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("gateway", "where"),
    [(modern.Hidden, "Hidden.pay"), (modern.HiddenAttribute, "HiddenAttribute.price")],
)
async def test_annotations_that_cannot_be_looked_up_stop_the_start(
    anyio_backend: object, gateway: type, where: str
) -> None:
    adapter = ActorAdapter()
    app = nestipy_app(adapter, gateway)

    async def start() -> None:
        await app.ready()
        async with adapter.running():
            raise AssertionError

    with pytest.raises(TypeError, match=f"^{where}: .*'Decimal' is not defined"):
        await start()
