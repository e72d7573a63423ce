"""Exception filters, asked for an answer; and what there is without one.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from typing import Any

import pytest
from nestipy.common import (
    ExceptionFilter,
    HttpException,
)

from greenroom import ActorAdapter, EventError

from .conftest import Serve, failure, frame, nestipy_app, receive
from .nest import (
    Catch,
    Data,
    ErrorEvent,
    Gateway,
    Injectable,
    Socket,
    SubscribeMessage,
    SuccessEvent,
    UseFilters,
)


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
