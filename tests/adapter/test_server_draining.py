from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest

from greenroom import (
    Client,
    ClientGone,
    NotRunning,
    Overflow,
)
from greenroom.actors import Gate
from greenroom.adapter._connection import Connection
from greenroom.testing import (
    MemoryTransport,
    TransportClosed,
    wait_idle,
    websocket_scope,
)

from .asgi import Asgi
from .support import Chat, at_once, until

pytestmark = pytest.mark.anyio


async def test_two_drains_end_together() -> None:
    async with Chat().running() as chat, chat.client() as (client, _):
        await client.emit("wait")
        await until(lambda: chat.waiting)
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(chat.adapter.drain, code=1012, reason="first"))
            tasks.start_soon(chat.adapter.close)
        assert anyio.current_time() - began == pytest.approx(0.5)
        assert len(chat.gone) == 1
        began = anyio.current_time()
        await chat.adapter.drain()
        assert anyio.current_time() == began


async def test_a_handler_may_drain() -> None:
    chat = Chat()

    @chat.adapter.on("stop")
    async def stop(event: str, client: Client, data: Any) -> None:
        try:
            await chat.adapter.drain(code=1012, reason="restart")
        finally:
            chat.handled.append("ended")

    async with chat.running(), chat.client() as (client, _):
        await client.emit("stop")
        assert await client.wait_closed() == 1012
    assert chat.handled == ["ended"]


async def test_a_drain_waits_so_long(caplog: pytest.LogCaptureFixture) -> None:
    chat = Chat(drain_seconds=1.0, disconnect_seconds=5.0)

    @chat.adapter.on_disconnect()
    async def slow(event: str, client: Client, data: Any) -> None:
        await anyio.sleep(3.0)
        chat.handled.append("done all the same")

    async with chat.running(), chat.client():
        began = anyio.current_time()
        await chat.adapter.drain()
        assert anyio.current_time() - began == pytest.approx(1.0)
        assert "1 clients did not leave in time" in caplog.text
    assert chat.handled == ["done all the same"]


async def test_without_its_rooms_an_adapter_is_not_running() -> None:
    async with Chat().running() as chat:
        async with chat.client("lobby") as (client, sid):
            adapter, seen = chat.adapter, chat.clients[sid]
            at_once(adapter.broadcast("never told"))
            tell = seen.emit("behind it")
            await adapter.system.stop_child("_rooms")
            with pytest.raises(NotRunning, match="stopping"):
                await adapter.broadcast("said")
            with pytest.raises(NotRunning):
                await adapter.emit("said", room="lobby")
            with pytest.raises(ClientGone):
                await seen.join("another")
            await seen.leave("lobby")
            await tell
            await seen.disconnect(4000)
            assert (await client.receive()).event == "behind it"
            assert await client.wait_closed() == 4000
        assert chat.gone == [(sid, 4000, "")]


async def test_who_waits_for_the_rooms_as_they_end_is_told() -> None:
    chat = Chat(outbox_messages=4, overflow=Overflow.DROP_NEW)
    told: list[str] = []
    async with (
        chat.running(),
        chat.client("lobby", max_frames=1) as (client, sid),
        anyio.create_task_group() as tasks,
    ):
        seen = chat.clients[sid]
        client.pause()

        async def emit() -> None:
            with suppress(ClientGone):
                while True:
                    await seen.emit("tick")
            told.append("gone")

        # Its outbox is full, and the registry gives it a chance to catch up.
        tasks.start_soon(emit)
        await wait_idle()
        at_once(chat.adapter.broadcast("said"))
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(emit)
        await anyio.lowlevel.checkpoint()
        await chat.adapter.system.stop_child("_rooms")
        await until(lambda: told)
        assert told == ["gone"]
        client.drop()
    assert told == ["gone", "gone"]


async def test_whoever_is_left_when_the_system_has_ended_is_let_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat(drain_seconds=1.0)
    server = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # no way leads there from outside
    async with chat.running():
        gone = Gate(chat.adapter.system.runtime.parker)
        never_ran = Connection(
            server, "~sid", {}, MemoryTransport(), gone, None, server.forget
        )
        server.connections["~sid"] = never_ran
    assert gone.opened


async def test_who_connects_as_the_drain_begins_is_sent_away() -> None:
    async with Chat().running() as chat:
        asgi = Asgi()
        asgi.stall()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chat.adapter, asgi.scope, asgi.app_receive, asgi.app_send)
            await until(lambda: asgi.sending)
            await chat.adapter.drain(code=1012, reason="restart")
            asgi.unstall()
            with pytest.raises(TransportClosed) as closed:
                await asgi.receive()
            assert closed.value.code == 1012
        assert chat.clients == {}
        assert chat.adapter.statistics().refused == 1


async def test_who_is_sent_away_and_reads_nothing_is_not_waited_for() -> None:
    async with Chat(close_seconds=1.0).running() as chat:
        transport = MemoryTransport()
        transport.peer.stall()
        await chat.adapter.system.stop_child("_connections")
        began = anyio.current_time()
        await chat.adapter.serve(transport, websocket_scope("/ws"))
        assert anyio.current_time() - began == pytest.approx(1.0)


async def test_who_connects_as_everything_ends_is_sent_away() -> None:
    chat = Chat()
    asgi = Asgi()
    asgi.stall()
    async with anyio.create_task_group() as tasks:
        async with chat.running():
            tasks.start_soon(chat.adapter, asgi.scope, asgi.app_receive, asgi.app_send)
            await until(lambda: asgi.sending)
        asgi.unstall()
        with pytest.raises(TransportClosed) as closed:
            await asgi.receive()
        assert closed.value.code == 1001
    assert chat.clients == {}


async def test_who_connects_to_what_has_stopped_by_itself_is_sent_away() -> None:
    async with Chat().running() as chat:
        await chat.adapter.system.stop_child("_connections")
        asgi = Asgi()
        await chat.adapter(asgi.scope, asgi.app_receive, asgi.app_send)
        assert asgi.sent[-1] == {
            "type": "websocket.close",
            "code": 1001,
            "reason": "going away",
        }
        assert chat.adapter.statistics().connections == 0


@pytest.mark.parametrize("passes", range(8))
async def test_a_drain_in_the_middle_of_a_start_is_seen(passes: int) -> None:
    async with Chat().running() as chat:
        transport = MemoryTransport()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chat.adapter.serve, transport, websocket_scope("/ws"))
            for _ in range(passes):
                await anyio.lowlevel.checkpoint()
            await chat.adapter.drain(code=1012, reason="restart")
            assert chat.adapter.statistics().connections == 0
            await transport.peer.opened.wait()
            if transport.peer.refused is None:
                with pytest.raises(TransportClosed) as closed:
                    await transport.peer.receive()
                assert closed.value.code == 1012
        assert [code for _, code, _ in chat.gone] == [1012] * len(chat.clients)


async def test_nobody_waits_for_a_drain_that_everything_ended_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(*call: object) -> None:
        """A task that is cancelled before its first step does nothing."""

    chat = Chat()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(5):
            async with chat.running(), chat.client():
                runtime = chat.adapter.system.runtime
                monkeypatch.setattr(runtime, "_start", start)
                tasks.start_soon(chat.adapter.drain)
                await wait_idle()
                monkeypatch.undo()
        assert len(chat.gone) == 1
