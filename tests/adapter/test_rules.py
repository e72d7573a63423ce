"""The life of a message: rules 1 to 6, each with tests that fail without it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import Client, Overflow, Undelivered
from greenroom.testing import Event, wait_idle

from .support import Chat, at_once, until

pytestmark = pytest.mark.anyio


# -- 1: the registry never waits for a connection -----------------------------


async def test_a_member_that_reads_nothing_holds_up_nobody() -> None:
    async with (
        Chat(outbox_messages=8).running() as chat,
        chat.client("lobby", max_frames=1) as (stuck, stuck_sid),
        chat.client("lobby") as (well, _),
    ):
        stuck.pause()
        began = anyio.current_time()
        for n in range(100):
            await chat.adapter.emit("said", n, room="lobby")
            assert (await well.receive()).data == n
        assert anyio.current_time() == began
        assert chat.adapter.statistics().overflows == 1
        await until(lambda: chat.gone)
        assert chat.gone == [(stuck_sid, 1013, "too slow: pending messages")]
        chat.check()


async def test_a_room_of_members_that_read_nothing_takes_no_time() -> None:
    chat = Chat(outbox_messages=4, overflow=Overflow.DROP_NEW)
    stop = anyio.Event()

    async def stay() -> None:
        async with chat.client("lobby", max_frames=1) as (client, _):
            client.pause()
            await stop.wait()

    async with chat.running(), anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(stay)
        await wait_idle()
        assert chat.adapter.statistics().rooms == 1
        began = anyio.current_time()
        for n in range(100):
            await chat.adapter.emit("said", n, room="lobby")
        assert anyio.current_time() == began
        stop.set()


@pytest.mark.parametrize(
    ("overflow", "expected"),
    [(Overflow.DROP_OLD, range(196, 200)), (Overflow.DROP_NEW, range(4, 8))],
)
async def test_what_a_full_outbox_does_is_its_policy(
    overflow: Overflow, expected: range
) -> None:
    async with (
        Chat(outbox_messages=4, overflow=overflow).running() as chat,
        chat.client("lobby", max_frames=1) as (slow, _),
    ):
        slow.pause()
        # Fill what is between the outbox and the client first.
        for n in range(4):
            await chat.adapter.emit("said", n, room="lobby")
            await wait_idle()
        pending = chat.adapter.statistics().outbound.pending
        for n in range(4, 200):
            await chat.adapter.emit("said", n, room="lobby")
        await wait_idle()
        chat.check()
        dropped = chat.adapter.statistics().outbound.dead_lettered
        letters = chat.adapter.system.dead_letters
        assert letters.counts == {Undelivered.OVERFLOW: dropped}
        slow.resume()
        received = [(await slow.receive()).data for _ in range(200 - dropped)]
        assert len(received) + dropped == 200
        assert received == sorted(received, key=lambda n: int(str(n)))
        assert pending < 5
        if overflow is Overflow.DROP_OLD:
            assert received[-4:] == list(range(196, 200))
        else:
            assert received == list(range(len(received)))
        assert chat.gone == []


# -- 2: a sender can wait -----------------------------------------------------


async def test_emit_to_a_client_waits_while_its_outbox_is_full() -> None:
    async with (
        Chat(outbox_messages=4).running() as chat,
        chat.client(max_frames=1) as (slow, sid),
    ):
        slow.pause()
        emitted: list[int] = []

        async def stream() -> None:
            for n in range(50):
                await chat.adapter.emit("tick", n, to=sid)
                emitted.append(n)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream)
            await wait_idle()
            # In the outbox, in the writer's hand, on the way, in the reader's.
            assert 4 <= len(emitted) <= 7
            slow.resume()
            for n in range(50):
                assert await slow.receive() == Event("tick", n)
        assert emitted == list(range(50))
        assert chat.adapter.statistics().overflows == 0


async def test_a_handler_that_streams_is_slowed_down_by_its_client() -> None:
    chat = Chat(outbox_messages=4)

    @chat.adapter.on("count")
    async def count(event: str, client: Client, data: int) -> None:
        for n in range(data):
            await client.emit("tick", n)
            chat.handled.append(n)

    async with chat.running(), chat.client(max_frames=1) as (slow, _):
        await slow.emit("count", 50)
        slow.pause()
        await wait_idle()
        assert len(chat.handled) < 10
        slow.resume()
        for n in range(50):
            assert await slow.receive() == Event("tick", n)


async def test_emit_does_not_suspend_while_there_is_room() -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, sid):
        adapter = chat.adapter
        await wait_idle()
        at_once(chat.clients[sid].emit("a"))
        at_once(adapter.emit("b", to=sid))
        at_once(adapter.emit("c", room="lobby"))
        at_once(adapter.broadcast("d"))
        # The registry has work by now, and order must hold.
        at_once(adapter.emit("e", to=sid))
        at_once(chat.clients[sid].emit("f"))
        events = [(await client.receive()).event for _ in range(6)]
        assert events == ["a", "b", "c", "d", "e", "f"]


async def test_emit_to_a_room_waits_for_none_of_its_members() -> None:
    async with (
        Chat(outbox_messages=2, overflow=Overflow.DROP_NEW).running() as chat,
        chat.client("lobby", max_frames=1) as (stuck, _),
    ):
        stuck.pause()
        for n in range(20):
            at_once(chat.adapter.emit("said", n, room="lobby"))
            await wait_idle()


# -- 3: order holds -----------------------------------------------------------


async def send_all_ways(chat: Chat, sid: str, how: int, n: int) -> None:
    """Send *n* by one of the ways to one receiver."""
    match how:
        case 0:
            await chat.adapter.emit("n", n, to=sid)
        case 1:
            await chat.adapter.emit("n", n, room="lobby")
        case 2:
            await chat.adapter.broadcast("n", n)
        case 3:
            await chat.clients[sid].emit("n", n)
        case 4:
            await chat.adapter.emit("n", n, to=sid, room="elsewhere")
        case _:
            await chat.adapter.emit("n", n, to=["lobby", sid], room="lobby")


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("second", range(6))
async def test_two_messages_arrive_in_the_order_sent(first: int, second: int) -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, sid):
        await send_all_ways(chat, sid, first, 1)
        await send_all_ways(chat, sid, second, 2)
        assert [(await client.receive()).data for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("outbox", [2, 8, 256])
async def test_order_holds_under_pressure(outbox: int) -> None:
    options: dict[str, Any] = {"outbox_messages": outbox, "overflow": Overflow.DROP_NEW}
    async with (
        Chat(**options).running() as chat,
        chat.client("lobby", max_frames=1) as (client, sid),
        # The registry gives these a chance to catch up, again and again.
        chat.client("lobby", max_frames=1) as (stuck, _),
    ):
        stuck.pause()

        async def send() -> None:
            for n in range(300):
                await send_all_ways(chat, sid, (n * 7) % 6, n)
            await chat.adapter.emit("end", to=sid)

        received: list[Any] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            while (event := await client.receive()).event != "end":
                received.append(event.data)
        assert received == sorted(received)
        assert len(set(received)) == len(received)
        # None that was sent to the client itself is dropped.
        assert {n for n in range(300) if (n * 7) % 6 in (0, 3)} <= set(received)
        chat.check()


async def test_an_answer_comes_after_what_the_handler_has_emitted() -> None:
    chat = Chat()

    @chat.adapter.on("talk")
    async def talk(event: str, client: Client, data: Any) -> str:
        await chat.adapter.broadcast("one")
        await chat.adapter.emit("two", room="lobby")
        await client.emit("three")
        return "done"

    async with chat.running(), chat.client("lobby") as (client, _):
        assert await client.call("talk") == "done"
        received = [e.event for e in client.received() if isinstance(e, Event)]
        assert received == ["one", "two", "three"]


@pytest.mark.parametrize("how", range(6))
async def test_what_was_emitted_before_a_disconnect_comes_before_it(how: int) -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, sid):
        await chat.adapter.emit("n", 0, room="lobby")
        await send_all_ways(chat, sid, how, 1)
        await chat.clients[sid].disconnect(4000, "kicked")
        assert [(await client.receive()).data for _ in range(2)] == [0, 1]
        assert await client.wait_closed() == 4000


# -- 4: a slow handler never blocks its own connection's outbound traffic -----


async def test_a_client_is_written_to_while_its_handler_is_slow() -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, sid):
        await client.emit("wait")
        await until(lambda: chat.waiting)
        began = anyio.current_time()
        await chat.adapter.emit("a", to=sid)
        await chat.adapter.emit("b", room="lobby")
        assert [(await client.receive()).event for _ in range(2)] == ["a", "b"]
        assert anyio.current_time() == began
        assert chat.waiting
        chat.release()


async def test_a_handler_may_emit_to_its_own_client_more_than_anything_holds() -> None:
    chat = Chat(inbox_messages=1, outbox_messages=2)

    @chat.adapter.on("many")
    async def many(event: str, client: Client, data: Any) -> None:
        for n in range(100):
            await client.emit("a", n)
            await chat.adapter.emit("b", n, to=client.sid)

    async with (
        chat.running(),
        chat.client(max_frames=1) as (client, _),
        anyio.create_task_group() as tasks,
    ):
        # Its inbox is full of more of the same meanwhile.
        for _ in range(5):
            tasks.start_soon(client.emit, "many")
        for _ in range(5):
            for n in range(100):
                assert await client.receive() == Event("a", n)
                assert await client.receive() == Event("b", n)


# -- 5: inbound is bounded ----------------------------------------------------


async def test_a_full_inbox_stops_the_reader_and_so_the_client() -> None:
    chat = Chat(inbox_messages=3)
    async with chat.running(), chat.peer(max_frames=2) as peer:
        await peer.send('{"event": "wait"}')
        await until(lambda: chat.waiting)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for n in range(100):
                await peer.send(f'{{"event": "echo", "data": {n}}}')
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await wait_idle()
            # In the inbox, in the reader's hand, on the way.
            assert sent == 3 + 1 + 2
            assert chat.adapter.statistics().inbound.pending == 1 + 3
            chat.release()
        await until(lambda: len(chat.handled) == 100)
        assert chat.handled == list(range(100))


# -- 6: a payload is encoded once per emit ------------------------------------


class Payload:
    """Counts how often it is encoded."""

    def __init__(self) -> None:
        self.encoded = 0

    def model_dump(self, mode: str) -> object:
        self.encoded += 1
        return {"n": self.encoded}


@pytest.mark.parametrize("way", ["room", "all", "to", "rooms and to"])
async def test_a_payload_is_encoded_once(way: str) -> None:
    async with (
        Chat().running() as chat,
        chat.client("lobby") as (one, one_sid),
        chat.client("lobby") as (two, two_sid),
        chat.client("lobby", "bar") as (three, three_sid),
    ):
        payload = Payload()
        sids = [one_sid, two_sid, three_sid]
        match way:
            case "room":
                await chat.adapter.emit("said", payload, room="lobby")
            case "all":
                await chat.adapter.broadcast("said", payload)
            case "to":
                await chat.adapter.emit("said", payload, to=sids)
            case _:
                await chat.adapter.emit(
                    "said", payload, to=sids[:2], room=["lobby", "bar"]
                )
        for client in (one, two, three):
            assert await client.receive() == Event("said", {"n": 1})
        assert payload.encoded == 1
