"""Who may come in, before it is accepted."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Client, Handshake, HandshakeRefused, Identity
from greenroom.testing import (
    MemoryTransport,
    Refused,
    connect,
    wait_idle,
    websocket_scope,
)

from .support import Chat

pytestmark = pytest.mark.anyio


async def refusal(adapter: ActorAdapter, **handshake: Any) -> tuple[int, str]:
    """How a client of *handshake* is refused."""
    with pytest.raises(Refused) as refused:
        async with connect(adapter, **handshake):
            raise AssertionError("it was let in")
    return refused.value.status, refused.value.reason


# -- room ------------------------------------------------------------------


async def test_there_is_room_for_so_many() -> None:
    async with Chat(max_connections=2).running() as chat:
        async with chat.client(), chat.client() as (client, _):
            assert await refusal(chat.adapter) == (503, "full")
            client.close()
            await wait_idle()
            async with chat.client() as (another, sid):
                assert await another.call("sid") == sid
        statistics = chat.adapter.statistics()
        assert (statistics.refused, statistics.refused_full) == (1, 1)
        assert statistics.refused_unauthorised == 0


async def test_one_address_gets_only_so_much_of_it() -> None:
    chat = Chat(max_connections_per_address=1)
    async with chat.running(), chat.client():
        assert await refusal(chat.adapter) == (
            429,
            "too many connections from one address",
        )
        async with connect(chat.adapter, address="10.0.0.2"):
            assert (await refusal(chat.adapter, address="10.0.0.2"))[0] == 429
        async with connect(chat.adapter, address="10.0.0.2"):
            assert chat.adapter.statistics().refused_address == 2
        # Who has no address, as through a Unix socket, is not counted by it.
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            transports = [MemoryTransport() for _ in range(3)]
            for transport in transports:
                scope = {**websocket_scope("/ws"), "client": None}
                tasks.start_soon(chat.adapter.serve, transport, scope)
                await transport.peer.wait_opened()
            for transport in transports:
                transport.peer.close()


async def test_a_handshake_that_takes_long_takes_a_place() -> None:
    chat = Chat(max_connections=1)
    asked = anyio.Event()
    go_on = anyio.Event()

    @chat.adapter.authenticate()
    async def slow(handshake: Handshake) -> Identity:
        asked.set()
        await go_on.wait()
        return Identity("ann")

    transport = MemoryTransport()
    async with chat.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(chat.adapter.serve, transport, websocket_scope("/ws"))
        await asked.wait()
        assert await refusal(chat.adapter) == (503, "full")
        go_on.set()
        await transport.peer.wait_opened()
        transport.peer.close()


# -- origins ---------------------------------------------------------------


async def test_a_page_from_elsewhere_is_refused() -> None:
    async with Chat().running() as chat:
        theirs = {"host": "chat.example.com", "origin": "https://evil.org"}
        assert await refusal(chat.adapter, headers=theirs) == (
            403,
            "origin is not trusted",
        )
        own = {"host": "chat.example.com", "origin": "https://chat.example.com"}
        async with connect(chat.adapter, headers=own) as client:
            await client.call("sid")
        assert chat.adapter.statistics().refused_origin == 1


async def test_a_trusted_page_from_elsewhere_is_not() -> None:
    chat = Chat(trusted_origins=["https://*.example.com"])
    async with chat.running():
        theirs = {"host": "api.internal", "origin": "https://app.example.com"}
        async with connect(chat.adapter, headers=theirs) as client:
            await client.call("sid")
        assert (await refusal(chat.adapter, headers={"origin": "null"}))[0] == 403


# -- subprotocols ----------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["v1", "v2"], "v2"),
        (["v1"], "v1"),
        (["v3"], None),
        ([], None),
    ],
)
async def test_the_preferred_subprotocol_is_agreed(
    offered: list[str], agreed: str | None
) -> None:
    chat = Chat(subprotocols=["v2", "v1"])
    async with (
        chat.running(),
        connect(chat.adapter, subprotocols=offered) as client,
    ):
        await client.call("sid")
        assert client.peer.subprotocol == agreed


# -- authentication --------------------------------------------------------


USERS = {"t0ken": "ann", "other": "bob"}


def with_tokens(chat: Chat) -> Chat:
    @chat.adapter.authenticate()
    async def by_token(handshake: Handshake) -> Identity | None:
        user = USERS.get(handshake.token or "")
        return None if user is None else Identity(user, info={"admin": True})

    return chat


async def test_who_is_known_comes_in_and_handlers_know_it() -> None:
    chat = with_tokens(Chat())
    known: list[Identity | None] = []

    @chat.adapter.on_connect()
    def greet(event: str, client: Client, data: Any) -> None:
        known.append(client.identity)

    async with chat.running():
        async with connect(
            chat.adapter, headers={"authorization": "Bearer t0ken"}
        ) as client:
            await client.call("sid")
        async with connect(chat.adapter, query="access_token=other") as client:
            await client.call("sid")
        assert await refusal(chat.adapter) == (401, "not authenticated")
        assert chat.adapter.statistics().refused_unauthorised == 1
        assert len(chat.gone) == 2
    assert known == [
        Identity("ann", info={"admin": True}),
        Identity("bob", info={"admin": True}),
    ]


async def test_without_authentication_nobody_is_anybody() -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        assert chat.clients[sid].identity is None
        assert chat.clients[sid].address == "127.0.0.1"


async def test_the_hook_may_be_plain_and_say_how_it_refuses() -> None:
    chat = Chat()

    @chat.adapter.authenticate()
    def no(handshake: Handshake) -> Identity:
        raise HandshakeRefused(402, "pay first")

    async with chat.running():
        assert await refusal(chat.adapter) == (402, "pay first")
        assert chat.clients == {}


async def test_a_hook_that_raises_refuses_and_says_why_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat(debug=True)

    @chat.adapter.authenticate()
    async def broken(handshake: Handshake) -> Identity:
        raise OSError("the database is away")

    async with chat.running():
        assert await refusal(chat.adapter) == (500, "authenticate failed")
    assert "builtins.OSError, raised in" in caplog.text
    assert "in broken" in caplog.text


async def test_a_hook_that_returns_something_else_refuses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.authenticate()  # type: ignore[type-var]  # that it is wrong is the point
    async def wrong(handshake: Handshake) -> str:
        return "s3cret"

    async with chat.running():
        assert await refusal(chat.adapter) == (500, "authenticate failed")
    assert "must return an Identity or None, got a str" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_hook_has_so_much_time() -> None:
    chat = Chat(handshake_seconds=3.0)
    ended: list[str] = []

    @chat.adapter.authenticate()
    async def slow(handshake: Handshake) -> Identity:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")
        raise AssertionError

    async with chat.running():
        began = anyio.current_time()
        assert await refusal(chat.adapter) == (503, "authenticate took too long")
        assert anyio.current_time() - began == pytest.approx(3.0)
    assert ended == ["cancelled"]


async def test_who_was_asked_while_the_adapter_began_to_drain_is_refused() -> None:
    chat = Chat()
    go_on = anyio.Event()

    @chat.adapter.authenticate()
    async def slow(handshake: Handshake) -> Identity:
        await go_on.wait()
        return Identity("ann")

    transport = MemoryTransport()
    async with chat.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(chat.adapter.serve, transport, websocket_scope("/ws"))
        await wait_idle()
        await chat.adapter.drain()
        go_on.set()
        with pytest.raises(Refused) as refused:
            await transport.peer.wait_opened()
        assert (refused.value.status, refused.value.reason) == (503, "draining")


async def test_a_hook_may_be_written_in_c() -> None:
    chat = Chat()
    # Which says nothing of its arguments, and is of no use besides.
    hook: Any = iter
    assert chat.adapter.authenticate()(hook) is hook
    async with chat.running():
        assert (await refusal(chat.adapter))[0] == 500


async def test_a_later_hook_replaces_an_earlier_one() -> None:
    chat = with_tokens(Chat())

    @chat.adapter.authenticate()
    def anybody(handshake: Handshake) -> Identity:
        return Identity("anybody")

    async with chat.running(), chat.client() as (_, sid):
        assert chat.clients[sid].identity == Identity("anybody")


def asks_nothing() -> None:
    """No hook: it takes no handshake."""


def asks_twice(handshake: Handshake, more: object) -> None:
    """No hook: nobody gives it more."""


def asks_by_name(*, handshake: Handshake) -> None:
    """No hook: it is not given a name."""


HOOKS: list[object] = [5, None, asks_nothing, asks_twice, asks_by_name]


@pytest.mark.parametrize("hook", HOOKS)
def test_what_cannot_be_asked_is_no_hook(hook: Any) -> None:
    with pytest.raises(TypeError, match="authenticate must decorate a function"):
        ActorAdapter().authenticate()(hook)


# -- what a handshake says -------------------------------------------------


def handshake(
    *, query: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Handshake:
    return Handshake(websocket_scope("/ws/x", query=query, headers=headers, **more))


def test_a_handshake_can_be_looked_at() -> None:
    seen = handshake(
        query="a=1&a=2&b=",
        headers={"Origin": "https://x.org", "Cookie": "session=abc; theme=dark"},
        address="10.1.2.3",
    )
    assert seen.path == "/ws/x"
    assert seen.address == "10.1.2.3"
    assert seen.origin == "https://x.org"
    assert seen.query_params == {"a": "2", "b": ""}
    assert seen.cookies == {"session": "abc", "theme": "dark"}
    assert seen.headers["cookie"] == "session=abc; theme=dark"
    assert seen.scope["type"] == "websocket"


@pytest.mark.parametrize(
    ("query", "headers", "token"),
    [
        ("", {"authorization": "Bearer abc"}, "abc"),
        ("", {"authorization": "bearer  abc "}, "abc"),
        ("access_token=url", {"authorization": "Bearer abc"}, "abc"),
        ("access_token=url", {}, "url"),
        ("access_token=url", {"authorization": "Basic abc"}, "url"),
        ("access_token=url", {"authorization": "Bearer "}, "url"),
        ("access_token=", {}, None),
        ("", {"authorization": "abc"}, None),
        ("", {}, None),
    ],
)
def test_a_token_is_found(query: str, headers: dict[str, str], token: str) -> None:
    assert handshake(query=query, headers=headers).token == token


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ('a="b"; c="', {"a": "b", "c": '"'}),
        ("a=1; a=2", {"a": "2"}),
        ("a; =b; ;; c=", {"c": ""}),
        # What cannot be read takes nothing else with it.
        ('a="b;;c=][; session=abc', {"a": '"b', "c": "][", "session": "abc"}),
        ("\x01", {}),
    ],
)
def test_cookies_are_read_one_by_one(header: str, cookies: dict[str, str]) -> None:
    assert handshake(headers={"cookie": header}).cookies == cookies


def test_a_handshake_shows_no_credentials() -> None:
    seen = handshake(
        query="access_token=s3cret",
        headers={"authorization": "Bearer s3cret", "cookie": "session=s3cret"},
    )
    assert repr(seen) == "<Handshake '/ws/x' from 127.0.0.1>"


@pytest.mark.parametrize(
    ("status", "reason", "error", "words"),
    [
        (200, "no", ValueError, "status must be 400 to 599, got 200"),
        ("403", "no", TypeError, "status must be an int"),
        (True, "no", TypeError, "status must be an int"),
        (403, 5, TypeError, "reason must be a str, got 5"),
        (403, "a\r\nb", ValueError, "reason must be printable"),
        (403, "x" * 201, ValueError, "reason must be printable, of at most 200"),
    ],
)
def test_a_refusal_is_checked(
    status: Any, reason: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        HandshakeRefused(status, reason)


def test_a_refusal_says_what_it_is() -> None:
    assert str(HandshakeRefused(403, "not today")) == "403 not today"
    assert HandshakeRefused().status == 403
