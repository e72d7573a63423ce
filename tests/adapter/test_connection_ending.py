from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest

from greenroom import (
    Client,
    ClientGone,
    Overflow,
    Undelivered,
)
from greenroom.testing import MemoryTransport, TransportClosed, wait_idle

from .support import Chat, at_once, until

pytestmark = pytest.mark.anyio


async def test_disconnect_in_on_connect_ends_it_before_the_next_handler() -> None:
    chat = Chat()

    @chat.adapter.on_connect()
    async def kick(event: str, client: Client, data: Any) -> None:
        await client.emit("sorry")
        await client.disconnect(4000, "full")

    @chat.adapter.on_connect()
    def after(event: str, client: Client, data: Any) -> None:
        chat.handled.append("on_connect")

    async with chat.running(), chat.peer() as peer:
        assert json.loads(await peer.receive())["event"] == "sorry"
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()
        assert (closed.value.code, closed.value.reason) == (4000, "full")
        # It was let in and was then sent away.
        await until(lambda: chat.gone)
    assert chat.handled == []


async def test_while_the_last_publications_are_on_their_way_nothing_is_added() -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, sid):
        seen = chat.clients[sid]
        # The registry has work, so the outbox is not closed yet.
        at_once(chat.adapter.broadcast("last words"))
        at_once(seen.disconnect(4000))
        with pytest.raises(ClientGone):
            at_once(seen.emit("too late"))
        with pytest.raises(ClientGone):
            await seen.join("another")
        await chat.adapter.emit("too late", to=sid)
        assert (await client.receive()).event == "last words"
        assert await client.wait_closed() == 4000
        assert client.received() == []


async def test_an_overflow_as_it_ends_changes_no_close_code() -> None:
    chat = Chat(outbox_messages=2)
    async with chat.running(), chat.client(max_frames=1) as (client, sid):
        client.pause()
        for n in range(20):
            at_once(chat.adapter.broadcast("said", n))
        at_once(chat.clients[sid].disconnect(4000, "kicked"))
        await wait_idle()
        assert chat.adapter.statistics().overflows == 1
        client.resume()
        assert await client.wait_closed() == 4000
        assert client.close_reason == "kicked"
    assert chat.gone == [(sid, 4000, "kicked")]


async def test_on_disconnect_may_take_so_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat(disconnect_seconds=2.0)

    @chat.adapter.on_disconnect()
    async def slow(event: str, client: Client, data: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            chat.handled.append("cancelled")

    async with chat.running():
        async with chat.client():
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(2.0)
        assert chat.handled == ["cancelled"]
    assert "on_disconnect took too long" in caplog.text


async def test_on_disconnect_that_raises_keeps_no_other_from_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on_disconnect()
    def first(event: str, client: Client, data: Any) -> None:
        raise ZeroDivisionError

    @chat.adapter.on_disconnect()
    def last(event: str, client: Client, data: Any) -> None:
        chat.handled.append("last")

    async with chat.running(), chat.client():
        pass
    assert chat.handled == ["last"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("shielded", [False, True])
async def test_a_handler_that_ignores_its_cancellation_holds_up_nobody(
    shielded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat(handler_grace=0.5)
    go_on = anyio.Event()

    @chat.adapter.on("stay")
    async def stay(event: str, client: Client, data: Any) -> None:
        # What a call into a thread looks like, for one.
        with anyio.CancelScope(shield=True):
            await go_on.wait()
        if not shielded:
            raise RuntimeError("after all that time")

    async with chat.running():
        async with chat.client("lobby") as (client, sid):
            await client.emit("stay")
            await wait_idle()
            began = anyio.current_time()
            client.drop()
        # Its grace, and what a cancelled task may take at most.
        assert anyio.current_time() - began == pytest.approx(1.0)
        assert chat.gone == [(sid, 1006, "")]
        statistics = chat.adapter.statistics()
        assert (statistics.connections, statistics.rooms) == (0, 0)
        assert statistics.inbound.pending == 0
        chat.check()
        go_on.set()
        await wait_idle()
        assert chat.adapter.statistics().inbound == statistics.inbound
        assert chat.gone == [(sid, 1006, "")]
    assert "ignores that it was cancelled" in caplog.text


async def test_on_disconnect_that_ignores_its_cancellation_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat(disconnect_seconds=2.0, close_seconds=1.0)
    go_on = anyio.Event()

    @chat.adapter.on_disconnect()
    async def stay(event: str, client: Client, data: Any) -> None:
        with anyio.CancelScope(shield=True):
            await go_on.wait()

    async with chat.running():
        async with chat.client("lobby") as (_, sid):
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(3.5)
        assert chat.adapter.statistics().connections == 0
        go_on.set()
        await wait_idle()
    assert chat.gone == [(sid, 1000, "")]


async def test_neither_of_both_holds_up_anybody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat(handler_grace=0.5, disconnect_seconds=2.0, close_seconds=1.0)
    go_on = anyio.Event()

    @chat.adapter.on("stay")
    @chat.adapter.on_disconnect()
    async def stay(event: str, client: Client, data: Any) -> None:
        with anyio.CancelScope(shield=True):
            await go_on.wait()

    async with chat.running():
        async with chat.client() as (client, sid):
            await client.emit("stay")
            await wait_idle()
            began = anyio.current_time()
            client.drop()
        assert anyio.current_time() - began == pytest.approx(1.0 + 3.5)
        assert chat.adapter.statistics().connections == 0
        go_on.set()
        await wait_idle()
    assert chat.gone == [(sid, 1006, "")]


async def test_a_killed_connection_is_seen_off() -> None:
    async with Chat().running() as chat:
        async with chat.client("lobby") as (client, sid):
            (ref,) = chat.connections()
            await client.emit("wait")
            await until(lambda: chat.waiting)
            ref.kill()
            assert await client.wait_closed() == 1011
        assert chat.gone == [(sid, 1011, "internal error")]
        assert chat.adapter.statistics().connections == 0


async def test_a_connection_killed_as_it_ends_has_ended() -> None:
    chat = Chat()
    go_on = anyio.Event()

    @chat.adapter.on_disconnect()
    async def slow(event: str, client: Client, data: Any) -> None:
        await go_on.wait()

    async with chat.running():
        async with chat.client("lobby") as (client, sid):
            (ref,) = chat.connections()
            client.drop()
            await until(lambda: chat.gone)
            ref.kill()
        assert chat.gone == [(sid, 1006, "")]
        assert chat.adapter.statistics().connections == 0


async def test_a_connection_that_is_stopped_like_any_actor_says_1001() -> None:
    async with Chat().running() as chat:
        async with chat.client() as (client, sid):
            (ref,) = chat.connections()
            await ref.stop()
            assert await client.wait_closed() == 1001
        assert chat.gone == [(sid, 1001, "going away")]


async def test_a_session_lasts_as_long_as_the_sid() -> None:
    chat = Chat()
    seen: list[object] = []

    @chat.adapter.on("count", namespace="/n")
    def count(event: str, client: Client, data: Any) -> int:
        client.session["n"] = client.session.get("n", 0) + 1
        return int(client.session["n"])

    @chat.adapter.on_disconnect()
    def bye(event: str, client: Client, data: Any) -> None:
        seen.append(client.session)

    async with chat.running():
        async with chat.client() as (client, _):
            assert [await client.call("count", None, "/n") for _ in range(3)] == [
                1,
                2,
                3,
            ]
        async with chat.client() as (client, _):
            assert await client.call("count", None, "/n") == 1
    assert seen == [{"n": 3}, {"n": 1}]


async def test_dead_letters_say_who_did_not_get_what() -> None:
    chat = Chat(overflow=Overflow.DROP_NEW, outbox_messages=1)
    async with chat.running(), chat.client("lobby", max_frames=1) as (client, sid):
        client.pause()
        for n in range(10):
            await chat.adapter.emit("said", n, room="lobby")
        await wait_idle()
        letters = chat.adapter.system.dead_letters.latest
        assert letters
        for letter in letters:
            assert letter.why is Undelivered.OVERFLOW
            assert letter.recipient == f"/_connections/{sid}"
            assert json.loads(str(letter.message))["event"] == "said"


async def test_nothing_is_logged_when_nothing_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        async with Chat().running() as chat, chat.client("lobby") as (client, sid):
            await client.call("echo", 1)
            await chat.clients[sid].disconnect()
            await client.wait_closed()
    assert caplog.text == ""


async def test_a_transport_that_cannot_even_be_aborted_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def abort(transport: MemoryTransport) -> None:
        raise RuntimeError("broken for good")

    chat = Chat()
    async with chat.running(), chat.client(max_frames=1) as (client, sid):
        monkeypatch.setattr(MemoryTransport, "abort", abort)
        client.pause()
        for _ in range(3):
            at_once(chat.adapter.emit("news", to=sid))
        await wait_idle()
        await chat.clients[sid].disconnect(4000)
        await anyio.sleep(20)
        assert chat.adapter.statistics().connections == 0
        assert "broken for good" in caplog.text
        assert [gone[0] for gone in chat.gone] == [sid]
        monkeypatch.undo()
