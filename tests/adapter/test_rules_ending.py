"""The life of a message: rules 7 to 9, each with tests that fail without it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import anyio
import pytest

from greenroom import Client, ClientGone
from greenroom.testing import Event, Refused, TransportClosed, connect, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


# -- 7: when the client goes --------------------------------------------------


async def test_what_happens_when_a_client_goes_happens_in_order() -> None:
    chat = Chat(handler_grace=0.5)
    happened: list[str] = []

    @chat.adapter.on("work")
    async def work(event: str, client: Client, data: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            in_rooms = chat.adapter.statistics().rooms
            happened.append(f"handler cancelled, in {in_rooms} room")

    @chat.adapter.on_disconnect()
    async def bye(event: str, client: Client, data: Any) -> None:
        in_rooms = chat.adapter.statistics().rooms
        happened.append(f"on_disconnect, in {in_rooms} rooms: {client.close_code}")
        # Who called was woken before; the order in which tasks run is the loop's.
        await until(lambda: len(happened) == 3)
        happened.append("on_disconnect ends")

    async with chat.running():
        began = anyio.current_time()
        async with chat.client("lobby") as (client, sid):

            async def call() -> None:
                with pytest.raises(ClientGone) as gone:
                    await chat.adapter.call("question", to=sid)
                assert gone.value.sid == sid
                in_rooms = chat.adapter.statistics().rooms
                happened.append(f"call failed, in {in_rooms} rooms")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await client.receive()
                await client.emit("work")
                await wait_idle()
                assert anyio.current_time() == began
                client.drop()
        assert anyio.current_time() - began == pytest.approx(0.5)
        assert happened == [
            "handler cancelled, in 1 room",
            "on_disconnect, in 0 rooms: 1006",
            "call failed, in 0 rooms",
            "on_disconnect ends",
        ]
        assert chat.adapter.statistics().connections == 0
        assert len(chat.gone) == 1


async def test_a_handler_that_ends_within_the_grace_ends_by_itself() -> None:
    chat = Chat(handler_grace=0.5)

    @chat.adapter.on("save")
    async def save(event: str, client: Client, data: Any) -> None:
        await anyio.sleep(0.4)
        chat.handled.append("saved")

    async with chat.running():
        async with chat.client() as (client, _):
            await client.emit("save")
            await wait_idle()
            client.drop()
        assert chat.handled == ["saved"]


async def test_what_waits_in_the_inbox_is_not_handled_any_more() -> None:
    async with Chat().running() as chat:
        async with chat.client() as (client, _):
            await client.emit("wait")
            for n in range(5):
                await client.emit("echo", n)
            await wait_idle()
            client.drop()
        assert chat.handled == []
        assert [outcome for outcome, _ in chat.waits] == ["cancelled"]
        assert chat.adapter.statistics().inbound.dead_lettered == 6
        chat.check()


async def test_its_memory_goes_with_the_client() -> None:
    async with Chat().running() as chat:
        async with chat.client("lobby") as (_, sid):
            traces: list[weakref.ref[Any]] = []
            client = chat.clients.pop(sid)
            traces.append(weakref.ref(client))
            link: Any = client._link  # pyright: ignore[reportPrivateUsage]  # nothing public leads there
            traces.append(weakref.ref(link.transport))
            del client, link
        await wait_idle()
        gc.collect()
        assert [trace() for trace in traces] == [None, None]


# -- 8: when the app stops ----------------------------------------------------


async def test_when_the_app_stops_clients_are_told_1001() -> None:
    chat = Chat()
    codes: list[int] = []

    async def stay() -> None:
        async with connect(chat.adapter) as client:
            assert (await client.receive()).event == "farewell"
            codes.append(await client.wait_closed())

    async with anyio.create_task_group() as tasks, chat.running():
        for _ in range(10):
            tasks.start_soon(stay)
        await wait_idle()
        await chat.adapter.broadcast("farewell")
    assert codes == [1001] * 10
    assert sorted(sid for sid, _, _ in chat.gone) == sorted(chat.clients)
    assert {(code, reason) for _, code, reason in chat.gone} == {(1001, "going away")}


async def test_a_drain_says_what_it_is_told_to_say() -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):
        await chat.adapter.broadcast("last words")
        await chat.adapter.drain(code=1012, reason="back in a minute")
        assert chat.gone == [(sid, 1012, "back in a minute")]
        assert await client.receive() == Event("last words", None)
        assert await client.wait_closed() == 1012
        assert client.close_reason == "back in a minute"


async def test_while_it_drains_new_connections_are_refused() -> None:
    async with Chat().running() as chat, chat.client() as (client, _):
        await client.emit("wait")
        await until(lambda: chat.waiting)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chat.adapter.drain)
            await until(lambda: chat.adapter.statistics().draining)
            assert chat.adapter.statistics().connections == 1
            with pytest.raises(Refused, match="503"):
                async with connect(chat.adapter):
                    raise AssertionError("not reached")
        assert chat.adapter.statistics().refused == 1


@pytest.mark.parametrize("drain_seconds", [2.0, 10.0])
async def test_a_stop_ends_in_time_with_clients_that_read_nothing(
    drain_seconds: float,
) -> None:
    chat = Chat(drain_seconds=drain_seconds, disconnect_seconds=0.5)
    async with anyio.create_task_group() as tasks:

        async def stay(stall: bool) -> None:
            async with connect(chat.adapter, max_frames=1) as client:
                await client.call("join", "lobby")
                if stall:
                    client.peer.stall()
                client.pause()
                await client.emit("wait")
                await stopped.wait()

        stopped = anyio.Event()
        async with chat.running():
            for stall in (False, True) * 5:
                tasks.start_soon(stay, stall)
            await until(lambda: chat.waiting == 10)
            for n in range(20):
                await chat.adapter.emit("said", n, room="lobby")
            began = anyio.current_time()
        assert anyio.current_time() - began <= drain_seconds
        assert len(chat.gone) == 10
        stopped.set()


# -- 9: control never waits behind data ---------------------------------------


async def test_a_kick_does_not_wait_for_a_slow_handler_and_a_full_inbox() -> None:
    async with Chat(inbox_messages=4).running() as chat:
        async with chat.peer() as peer:
            for _ in range(15):
                await peer.send('{"event": "wait"}')
            await until(lambda: chat.waiting)
            await wait_idle()
            (client,) = chat.clients.values()
            began = anyio.current_time()
            await client.disconnect(4000, "kicked")
            with pytest.raises(TransportClosed) as closed:
                await peer.receive()
            assert (closed.value.code, closed.value.reason) == (4000, "kicked")
            # The handler has its grace; the client need not wait for that.
            assert anyio.current_time() == began
            assert chat.waiting == 1
        assert chat.gone == [(client.sid, 4000, "kicked")]
        assert anyio.current_time() - began == pytest.approx(0.5)


async def test_a_kick_does_not_wait_for_a_client_that_reads_nothing() -> None:
    chat = Chat(close_seconds=1.0, send_seconds=60.0)
    async with chat.running(), chat.client("lobby", max_frames=1) as (client, sid):
        client.pause()
        for n in range(20):
            await chat.adapter.emit("said", n, room="lobby")
        began = anyio.current_time()
        await chat.clients[sid].disconnect(4000, "kicked")
        await until(lambda: chat.gone)
        # on_disconnect runs at once, and all is over within close_seconds.
        assert anyio.current_time() == began
        assert chat.gone == [(sid, 4000, "kicked")]
        await anyio.sleep(1.0)
        await wait_idle()
        assert chat.adapter.statistics().connections == 0
        assert client.peer.aborted


async def test_a_disconnect_is_heard_behind_a_full_inbox() -> None:
    async with Chat(inbox_messages=64).running() as chat:
        async with chat.client() as (client, sid):
            await client.emit("wait")
            for n in range(50):
                await client.emit("echo", n)
            await wait_idle()
            began = anyio.current_time()
            client.close(4000, "bored")
        assert anyio.current_time() - began == pytest.approx(0.5)
        assert chat.gone == [(sid, 4000, "bored")]
        assert chat.handled == []
