"""Who does not answer, and who says nothing, is disconnected; on virtual time."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Client, Options
from greenroom.adapter import _pulse
from greenroom.testing import MemoryPeer, TransportClosed, connect, connect_raw

from .support import Chat, until

pytestmark = pytest.mark.anyio

PING, PONG, IDLE = 0.8, 0.4, 4.0
# Rounds are made so often; everything may be late by one.
ROUND = PONG / 8


def is_about(expected: float, seconds: float, late: float = ROUND) -> bool:
    """Whether *seconds* are not fewer than *expected*, and not many more."""
    return expected - 1e-6 <= seconds <= expected + late + 1e-6


async def read(peer: MemoryPeer) -> Any:
    """The next frame, and the seconds until it came."""
    began = anyio.current_time()
    with anyio.fail_after(30):
        frame = json.loads(await peer.receive())
    return frame, anyio.current_time() - began


async def closed(peer: MemoryPeer) -> tuple[int, str, float]:
    """How the server ends it, and the seconds until then."""
    began = anyio.current_time()
    with anyio.fail_after(30):
        try:
            while True:
                await peer.receive()
        except TransportClosed as end:
            return end.code, end.reason, anyio.current_time() - began


async def say(peer: MemoryPeer, **fields: Any) -> None:
    await peer.send(json.dumps(fields))


async def test_a_silent_client_is_sent_a_ping_and_stays_if_it_answers() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    async with chat.running(), chat.peer() as peer:
        ids: list[int] = []
        for _ in range(5):
            frame, seconds = await read(peer)
            assert is_about(PING, seconds)
            ids.append(frame.pop("id"))
            assert frame == {"event": "ping", "data": None, "namespace": "/"}
            await say(peer, ack=ids[-1])
        # Always the same: one that is answered late is answered.
        assert len(set(ids)) == 1
        statistics = chat.adapter.statistics()
        assert (statistics.pings, statistics.unanswered) == (5, 0)


async def test_one_who_does_not_answer_is_disconnected() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    async with chat.running(), chat.peer() as peer:
        await read(peer)
        code, reason, seconds = await closed(peer)
        assert (code, reason) == (3008, "no answer to a ping")
        assert is_about(PONG, seconds)
        await until(lambda: chat.gone)
        assert chat.gone[0][1:] == (3008, "no answer to a ping")
        statistics = chat.adapter.statistics()
        assert (statistics.pings, statistics.unanswered) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    ['{"event":"echo"}', "nonsense", '{"ack":999}', '{"event":"ping"}'],
)
async def test_any_message_is_an_answer(answer: str) -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    async with chat.running(), chat.peer() as peer:
        await read(peer)
        await anyio.sleep(PONG / 2)
        await peer.send(answer)
        began = anyio.current_time()
        while True:
            frame, _ = await read(peer)
            if frame.get("event") == "ping":
                break
        assert is_about(PING, anyio.current_time() - began)


async def test_that_it_cannot_is_an_answer_as_well() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    async with chat.running(), chat.peer() as peer:
        frame, _ = await read(peer)
        await say(peer, ack=frame["id"], error={"code": "unknown", "message": ""})
        frame, seconds = await read(peer)
        assert frame["event"] == "ping"
        assert is_about(PING, seconds)


async def test_an_answer_beside_a_word_is_a_word() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG, idle_seconds=IDLE)
    async with chat.running(), chat.peer() as peer:
        frame, _ = await read(peer)
        await say(peer, event="echo")
        await say(peer, ack=frame["id"])
        began = anyio.current_time()
        while chat.adapter.statistics().idle == 0:
            frame, _ = await read(peer)
            await say(peer, ack=frame["id"])
            if anyio.current_time() - began >= IDLE - PING - ROUND:
                break
        assert chat.adapter.statistics().idle == 0
        assert (await closed(peer))[:2] == (3008, "idle")
        assert is_about(IDLE, anyio.current_time() - began)


async def test_one_who_is_leaving_is_let_alone() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG, disconnect_seconds=20)

    @chat.adapter.on_disconnect()
    async def linger(event: str, client: Client, data: Any) -> None:
        await anyio.sleep(10 * PING)

    async with chat.running(), chat.peer() as peer:
        await until(lambda: chat.clients)
        (client,) = chat.clients.values()
        await client.disconnect(4000, "bye")
        assert (await closed(peer))[:2] == (4000, "bye")
        await anyio.sleep(5 * PING)
        statistics = chat.adapter.statistics()
        assert (statistics.connections, statistics.pings) == (1, 0)


async def test_one_who_speaks_is_not_asked() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    async with chat.running(), chat.peer() as peer:
        for number in range(10):
            await anyio.sleep(PING - ROUND)
            await say(peer, event="echo", data=number, id=number)
            assert (await read(peer))[0] == {"ack": number, "data": number}
        assert chat.adapter.statistics().pings == 0


async def test_one_who_is_idle_is_disconnected_although_it_answers() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG, idle_seconds=IDLE)
    async with chat.running(), chat.peer() as peer:
        await say(peer, event="echo")
        began = anyio.current_time()
        how: tuple[int, str] | None = None
        while how is None:
            try:
                frame, _ = await read(peer)
                await say(peer, ack=frame["id"])
            except TransportClosed as end:
                how = end.code, end.reason
        assert how == (3008, "idle")
        assert is_about(IDLE, anyio.current_time() - began)
        statistics = chat.adapter.statistics()
        assert statistics.idle == 1
        assert statistics.unanswered == 0
        assert statistics.pings >= 3


async def test_idle_alone_sends_no_pings() -> None:
    chat = Chat(idle_seconds=IDLE)
    async with chat.running(), chat.peer() as peer:
        for _ in range(3):
            await anyio.sleep(IDLE - 0.1)
            await peer.send('{"ack": 7}')
        code, reason, seconds = await closed(peer)
        assert (code, reason) == (3008, "idle")
        assert is_about(IDLE, seconds, IDLE / 8)
        assert chat.adapter.statistics().pings == 0


async def test_a_full_outbox_takes_no_ping() -> None:
    chat = Chat(
        ping_seconds=PING, pong_seconds=PONG, outbox_messages=1, send_seconds=60
    )
    async with chat.running(), chat.peer() as peer:
        await until(lambda: chat.clients)
        peer.stall()
        (client,) = chat.clients.values()
        await client.emit("one")
        await until(lambda: chat.adapter.statistics().outbound.pending)
        await client.emit("two")
        await anyio.sleep(3 * PING)
        assert chat.adapter.statistics().pings == 0
        assert client.connected
        peer.unstall()
        for event in ("one", "two", "ping"):
            assert (await read(peer))[0]["event"] == event


async def test_a_ping_of_the_client_is_answered_however_busy_its_handler_is() -> None:
    chat = Chat()

    @chat.adapter.on("other", namespace="/n")
    def other(event: str, client: Client, data: Any) -> None:
        """Nothing."""

    async with chat.running(), chat.peer() as peer:
        await say(peer, event="wait")
        await say(peer, event="ping", id=1)
        assert (await read(peer))[0] == {"ack": 1, "data": None}
        await say(peer, event="ping", id=2, namespace="/n")
        assert (await read(peer))[0] == {"ack": 2, "data": None}
        # Without an id there is nothing to be said.
        await say(peer, event="ping")
        await say(peer, event="ping", id=3)
        assert (await read(peer))[0] == {"ack": 3, "data": None}
        chat.release()
        # Of a namespace that nobody knows, nothing is.
        await say(peer, event="ping", id=4, namespace="/no")
        assert (await read(peer))[0]["error"]["code"] == "unknown_namespace"


@pytest.mark.parametrize("event", ["ping", "*"])
async def test_a_ping_that_the_application_handles_is_its_own(event: str) -> None:
    chat = Chat()

    @chat.adapter.on(event)
    def handler(event: str, client: Client, data: Any) -> str:
        return f"my {event}"

    async with chat.running(), chat.peer() as peer:
        await say(peer, event="ping", id=1)
        assert (await read(peer))[0] == {"ack": 1, "data": "my ping"}


async def test_with_payload_hooks_ping_is_an_event_like_any_other() -> None:
    seen: list[object] = []

    def split(payload: str, message: object) -> tuple[str, object]:
        return payload, None

    adapter = ActorAdapter("/ws", split)

    @adapter.on_message()
    def note(event: str, client: Client, data: Any) -> None:
        seen.append(event)

    async with adapter.running(), connect_raw(adapter) as peer:
        await peer.send("ping")
        await until(lambda: seen)
    assert seen == ["ping"]


def test_payload_hooks_cannot_be_pinged() -> None:
    def split(payload: str, message: object) -> tuple[str, object]:
        return payload, None

    with pytest.raises(ValueError, match="ping_seconds needs the JSON envelope"):
        ActorAdapter("/ws", split, options=Options(ping_seconds=1))
    assert ActorAdapter("/ws", split, options=Options(idle_seconds=1))


async def test_the_rounds_end_with_the_last_client_and_begin_with_the_next() -> None:
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    async with chat.running():
        runtime = chat.adapter.system.runtime
        for _ in range(3):
            async with chat.peer() as peer:
                assert (await read(peer))[0]["event"] == "ping"
            await until(lambda: chat.adapter.statistics().connections == 0)
            await anyio.sleep(10 * PING)
            assert len(runtime.deadlines) == 0
    # And in a system of its own.
    async with chat.running(), chat.peer() as peer:
        assert (await read(peer))[0]["event"] == "ping"


async def test_many_clients_are_asked_in_one_round_with_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # And others have their turn between.
    monkeypatch.setattr(_pulse, "_AT_ONCE", 4)
    chat = Chat(ping_seconds=PING, pong_seconds=PONG)
    count = 10
    answered: list[int] = []
    async with chat.running(), anyio.create_task_group() as tasks:

        async def listen(*, task_status: Any) -> None:
            async with chat.peer() as peer:
                task_status.started()
                frame, _ = await read(peer)
                answered.append(frame["id"])
                await say(peer, ack=frame["id"])
                await until(lambda: len(answered) == count)

        for _ in range(count):
            await tasks.start(listen)
    assert len(answered) == count
    assert len(set(answered)) == 1
    assert chat.adapter.statistics().unanswered == 0


async def test_the_client_of_the_tests_answers_pings() -> None:
    adapter = ActorAdapter(options=Options(ping_seconds=PING, pong_seconds=PONG))

    @adapter.on("echo")
    def echo(event: str, client: Client, data: Any) -> object:
        return data

    async with adapter.running(), connect(adapter) as client:
        await anyio.sleep(20)
        assert await client.call("echo", 5) == 5
