from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    Client,
    ClientGone,
    EventError,
)
from greenroom.testing import Event, TransportClosed, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


async def test_messages_wait_until_on_connect_is_done() -> None:
    chat = Chat()
    happened: list[str] = []
    go_on = anyio.Event()

    @chat.adapter.on_connect()
    async def slow(event: str, client: Client, data: Any) -> None:
        happened.append("connecting")
        await go_on.wait()
        await client.join("lobby")
        happened.append("connected")

    @chat.adapter.on("first")
    def first(event: str, client: Client, data: Any) -> None:
        happened.append(f"first, in {sorted(client.rooms)}")

    async with chat.running(), chat.peer() as peer:
        await peer.send('{"event": "first"}')
        await until(lambda: happened)
        await wait_idle()
        assert happened == ["connecting"]
        go_on.set()
        await until(lambda: len(happened) == 3)
    assert happened == ["connecting", "connected", "first, in ['lobby']"]


async def test_broadcasts_come_once_on_connect_is_done() -> None:
    chat = Chat()

    @chat.adapter.on_connect()
    async def hello(event: str, client: Client, data: Any) -> None:
        await chat.adapter.broadcast("to all")
        await client.emit("to one")
        await chat.adapter.emit("to sid", to=client.sid)

    async with chat.running(), chat.client() as (client, _):
        received = [e.event for e in client.received() if isinstance(e, Event)]
        assert received == ["to one", "to sid"]
        await chat.adapter.broadcast("later")
        assert (await client.receive()).event == "later"


async def test_on_connect_that_never_returns_ends_with_the_client() -> None:
    chat = Chat(handler_grace=0.5)

    @chat.adapter.on_connect()
    async def stuck(event: str, client: Client, data: Any) -> None:
        await client.join("lobby")
        await anyio.sleep_forever()

    async with chat.running():
        async with chat.peer() as peer:
            await until(lambda: chat.adapter.statistics().rooms)
            began = anyio.current_time()
            peer.drop()
        assert anyio.current_time() - began == pytest.approx(0.5)
        # Whatever it has begun can be undone.
        assert [code for _, code, _ in chat.gone] == [1006]


async def test_a_rejected_client_is_told_why_and_seen_by_nobody_else() -> None:
    chat = Chat()
    seen: list[str] = []

    @chat.adapter.on_connect()
    async def guard(event: str, client: Client, data: Any) -> None:
        await client.join("lobby")
        await client.reject(4401, "who are you?")
        client.reject(4402, "twice")
        assert not client.connected
        with pytest.raises(ClientGone):
            await client.emit("too late")

    @chat.adapter.on_connect()
    def after(event: str, client: Client, data: Any) -> None:
        seen.append("on_connect")

    async with chat.running(), chat.peer() as peer:
        await peer.send('{"event": "echo"}')
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()
        assert (closed.value.code, closed.value.reason) == (4401, "who are you?")
        await until(lambda: not chat.adapter.statistics().connections)
        assert chat.adapter.statistics().rejected == 1
    assert seen == []
    assert chat.gone == []
    assert chat.handled == []


async def test_a_handler_that_rejects_and_raises_has_rejected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on_connect()
    def guard(event: str, client: Client, data: Any) -> None:
        client.reject(4401, "no")
        raise RuntimeError("and something else")

    async with chat.running(), chat.peer() as peer:
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()
        assert closed.value.code == 4401
    assert "and something else" in caplog.text
    assert chat.adapter.statistics().handler_errors == 1
    assert chat.gone == []


def reject_too_late(chat: Chat) -> None:
    """In on_disconnect, where it is refused; then "bye" is handled."""

    @chat.adapter.on_disconnect()
    def bye(event: str, client: Client, data: Any) -> None:
        with pytest.raises(RuntimeError, match="on_connect"):
            client.reject()
        chat.handled.append("bye")


async def test_reject_works_in_on_connect_only() -> None:
    chat = Chat()

    @chat.adapter.on("reject me")
    def reject(event: str, client: Client, data: Any) -> str:
        with pytest.raises(RuntimeError, match="disconnect"):
            client.reject()
        return "no"

    reject_too_late(chat)
    async with chat.running():
        async with chat.client() as (client, _):
            assert await client.call("reject me") == "no"
        assert chat.handled == ["bye"]


async def test_on_connect_that_was_cancelled_is_over() -> None:
    chat = Chat()

    @chat.adapter.on_connect()
    async def stuck(event: str, client: Client, data: Any) -> None:
        await anyio.sleep_forever()

    reject_too_late(chat)
    async with chat.running():
        async with chat.peer():
            await until(lambda: chat.clients)
        assert chat.handled == ["bye"]
        assert chat.adapter.statistics().rejected == 0


async def test_a_failing_on_connect_keeps_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on_connect()
    async def fail(event: str, client: Client, data: Any) -> None:
        raise RuntimeError("secret")

    async with chat.running(), chat.client() as (client, _):
        assert await client.call("echo", 1) == 1
        (error,) = client.received()
        assert isinstance(error, EventError)
        assert error.code == "internal_error"
        assert "secret" not in error.message
    assert "secret" in caplog.text
