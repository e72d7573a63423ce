"""What a full outbox does, by adapter, by namespace and by message."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from greenroom import ClientGone, Overflow, Undelivered
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import Event, MemoryClient, wait_idle

from .support import Chat, at_once, until

pytestmark = pytest.mark.anyio


async def stall(chat: Chat, client: MemoryClient, sid: str) -> None:
    """Let *client* read nothing, with all hands full on the way to it."""
    client.pause()
    for n in range(3):
        await chat.adapter.emit("filler", n, to=sid)
        await wait_idle()


async def seen(client: MemoryClient) -> list[Any]:
    """The data of all that *client* gets once it reads again."""
    client.resume()
    await wait_idle()
    events = [event for event in client.received() if isinstance(event, Event)]
    return [event.data for event in events if event.event != "filler"]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (Overflow.DROP_OLD, [3, 4]),
        (Overflow.DROP_NEW, [0, 1]),
        (Overflow.CONFLATE, [3, 4]),
    ],
)
async def test_a_namespace_has_its_own_policy(
    policy: Overflow, kept: list[int]
) -> None:
    chat = Chat(outbox_messages=2, namespace_overflow={"/ticks": policy})
    async with chat.running(), chat.client(max_frames=1) as (client, sid):
        await stall(chat, client, sid)
        for n in range(5):
            # Everyone is in the one group of all, whatever the namespace.
            await chat.adapter.emit("tick", n, namespace="/ticks")
        await wait_idle()
        assert await seen(client) == kept
        assert chat.adapter.statistics().dropped == 3
        assert chat.gone == []
        await stall(chat, client, sid)
        for n in range(5):
            await chat.adapter.emit("tick", n)
        await until(lambda: chat.gone)
        assert chat.gone == [(sid, 1013, "too slow: pending messages")]
        assert chat.adapter.statistics().overflows == 1


async def test_of_each_event_to_each_room_the_latest_is_kept() -> None:
    chat = Chat(outbox_messages=4, overflow=Overflow.CONFLATE)
    async with (
        chat.running(),
        chat.client("acme", "umbrella", max_frames=1) as (client, sid),
    ):
        await stall(chat, client, sid)
        for n in range(3):
            for room in ("acme", "umbrella"):
                for event in ("price", "volume"):
                    await chat.adapter.emit(event, f"{room} {event} {n}", room=room)
        await wait_idle()
        assert await seen(client) == [
            "acme price 2",
            "acme volume 2",
            "umbrella price 2",
            "umbrella volume 2",
        ]
        assert chat.adapter.statistics().dropped == 8


async def test_a_volatile_event_costs_no_client_its_connection() -> None:
    chat = Chat(outbox_messages=2)
    async with (
        chat.running(),
        chat.client(max_frames=1) as (slow, sid),
        chat.client() as (well, _),
    ):
        await stall(chat, slow, sid)
        for n in range(6):
            await chat.adapter.emit("position", n, volatile=True)
        await wait_idle()
        assert await seen(slow) == [0, 1]
        assert await seen(well) == [0, 1, 2, 3, 4, 5]
        assert chat.gone == []
        assert chat.adapter.statistics().dropped == 4


async def test_a_volatile_event_to_one_client_waits_for_nobody() -> None:
    chat = Chat(outbox_messages=2)
    async with chat.running(), chat.client(max_frames=1) as (client, sid):
        system = chat.adapter.system
        letters: list[tuple[str, Undelivered]] = []
        system.dead_letters.listen(
            lambda letter: letters.append((str(letter.message), letter.why))
        )
        await stall(chat, client, sid)
        for n in range(4):
            at_once(chat.clients[sid].emit("position", n, volatile=True))
            at_once(chat.adapter.emit("to", n, to=sid, volatile=True))
        assert len(letters) == 6
        assert {reason for _, reason in letters} == {Undelivered.OVERFLOW}
        assert await seen(client) == [0, 0]
        # There is room again.
        at_once(chat.clients[sid].emit("position", "now", volatile=True))
        assert await seen(client) == ["now"]


async def test_a_volatile_event_keeps_its_place() -> None:
    async with Chat().running() as chat, chat.client("lobby") as (client, sid):
        for n in range(0, 20, 2):
            await chat.adapter.emit("said", n, room="lobby")
            await chat.clients[sid].emit("said", n + 1, volatile=True)
        assert await seen(client) == list(range(20))


async def test_a_volatile_event_to_a_client_that_has_gone_is_refused() -> None:
    async with Chat().running() as chat:
        async with chat.client() as (_, sid):
            client = chat.clients[sid]
        await until(lambda: chat.gone)
        with pytest.raises(ClientGone):
            await client.emit("position", volatile=True)


async def test_a_policy_to_drop_does_not_keep_a_client_from_being_waited_for() -> None:
    chat = Chat(outbox_messages=2, namespace_overflow={"/": Overflow.DROP_NEW})
    async with chat.running(), chat.client(max_frames=1) as (client, sid):
        await stall(chat, client, sid)

        async def stream() -> None:
            for n in range(50):
                await chat.adapter.emit("part", n, to=sid)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream)
            await wait_idle()
            client.resume()
        assert await seen(client) == list(range(50))
        assert chat.adapter.statistics().dropped == 0


async def test_a_client_with_too_many_bytes_is_told_so() -> None:
    chat = Chat(outbox_bytes=1000)
    async with chat.running(), chat.client("lobby", max_frames=1) as (client, sid):
        await stall(chat, client, sid)
        for _ in range(4):
            await chat.adapter.emit("said", "x" * 400, room="lobby")
        await until(lambda: chat.gone)
        assert chat.gone == [(sid, 1013, "too slow: pending bytes")]
        statistics = chat.adapter.statistics()
        assert (statistics.overflows, statistics.overflows_by_bytes) == (1, 1)
        # What it was told last is no message that it missed.
        assert statistics.dropped == 0


async def test_a_volatile_event_behind_a_full_registry_waits_for_no_outbox() -> None:
    chat = Chat(outbox_messages=1)
    async with chat.running(), chat.client() as (_, sid):
        server = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # nothing public fills it
        registry, outbox = (
            server.registry.context,
            server.connections[sid].writer.outbox,
        )
        registry.ref.suspend()
        await wait_idle()
        async with anyio.create_task_group() as tasks:
            for n in range(registry.mailbox.options.capacity):
                tasks.start_soon(chat.adapter.emit, "to a room", n, None, "empty")
            await wait_idle()
            tasks.start_soon(partial(chat.clients[sid].emit, "late", volatile=True))
            await wait_idle()
            # The room is taken while that waits for its turn, and is not for it.
            earlier = Outgoing(server.codec.event("earlier", None, "/", None))
            assert outbox.promise(earlier)
            registry.ref.resume()
            await wait_idle()
            assert chat.adapter.statistics().dropped == 1
            outbox.keep_promise(earlier)
