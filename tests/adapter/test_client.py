from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from greenroom import Client
from greenroom.adapter._client import Done, check_close, headers_of

from .support import Chat, at_once

pytestmark = pytest.mark.anyio


def test_headers_are_text_with_names_in_lower_case() -> None:
    scope: dict[str, Any] = {
        "headers": [
            (b"Host", b"example.org"),
            (b"accept", b"a"),
            (b"Accept", b"b"),
            (b"x-latin", "é".encode("latin-1")),
        ]
    }
    assert headers_of(scope) == {
        "host": "example.org",
        "accept": "a, b",
        "x-latin": "é",
    }
    assert headers_of({}) == {}


async def test_a_client_says_who_it_is() -> None:
    chat = Chat()
    seen: list[object] = []

    @chat.adapter.on("look", namespace="/n")
    def look(event: str, client: Client, data: Any) -> None:
        seen.extend([client.connected, client.close_code, client.close_reason])
        seen.extend([client.headers, client.query_params, client.rooms])
        assert repr(client) == f"<Client {client.sid} /n>"

    async with chat.running(), chat.client() as (client, _):
        await client.call("look", None, "/n")
    assert seen == [True, None, "", {}, {}, frozenset()]


def test_a_scope_needs_no_query_and_no_headers() -> None:
    # As much of a connection as is looked at.
    link: Any = SimpleNamespace(scope={})

    client = Client(link, "/")
    assert client.headers == {}
    assert client.query_params == {}


async def test_what_is_done_may_be_awaited_or_not() -> None:
    assert at_once(Done().__await__()) is None
    await Done()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_a_close_code_that_may_be_sent_is_one(code: int) -> None:
    check_close(code, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1])
def test_a_close_code_that_may_not_be_sent_is_none(code: int) -> None:
    with pytest.raises(ValueError, match=f"code must be .*, got {code}"):
        check_close(code, "")


@pytest.mark.parametrize("code", ["1000", None, True, 1000.0])
def test_a_close_code_is_an_int(code: object) -> None:
    with pytest.raises(TypeError, match="code must be an int, got"):
        check_close(code, "")


def test_a_close_reason_is_short_text() -> None:
    check_close(1000, "x" * 123)
    check_close(1000, "é" * 61)
    with pytest.raises(ValueError, match="reason must be at most 123 bytes"):
        check_close(1000, "é" * 62)
    with pytest.raises(TypeError, match="reason must be a str, got b'bye'"):
        check_close(1000, b"bye")


async def test_wrong_close_codes_change_nothing() -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        client = chat.clients[sid]
        with pytest.raises(ValueError, match="code"):
            await client.disconnect(1006)
        with pytest.raises(ValueError, match="code"):
            client.reject(1006)
        assert client.connected


@pytest.mark.parametrize("event", [5, None, b"event"])
async def test_events_have_names(event: Any) -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        client = chat.clients[sid]
        for attempt in (
            client.emit(event),
            client.call(event),
            chat.adapter.emit(event),
            chat.adapter.broadcast(event),
            chat.adapter.call(event, to=sid),
        ):
            with pytest.raises(TypeError, match="event must be a str"):
                await attempt
        with pytest.raises(ValueError, match="non-empty"):
            await client.emit("")
