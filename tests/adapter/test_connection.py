from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest

from greenroom import (
    Client,
    EventError,
    NotEncodable,
)
from greenroom.testing import wait_idle

from .support import Chat, on_asyncio, until

pytestmark = pytest.mark.anyio


# -- handlers -----------------------------------------------------------------


async def test_handlers_may_be_plain_functions_and_see_what_was_sent() -> None:
    chat = Chat()
    seen: list[object] = []

    @chat.adapter.on("plain", namespace="/n")
    def plain(event: str, client: Client, data: Any) -> object:
        seen.append((event, client.namespace, client.data, data))
        return [data]

    async with chat.running(), chat.client() as (client, _):
        assert await client.call("plain", 1, "/n") == [1]
        await client.emit("plain", 2, "/n")
        assert await client.call("plain", 3, "/n") == [3]
    assert seen == [("plain", "/n", n, n) for n in (1, 2, 3)]


async def test_on_message_is_called_before_the_handler() -> None:
    chat = Chat()
    seen: list[object] = []

    @chat.adapter.on_message()
    async def first(event: str, client: Client, data: Any) -> None:
        seen.append((event, data, client.data))

    @chat.adapter.on_message()
    def second(event: str, client: Client, data: Any) -> None:
        if data == "stop":
            raise EventError("stopped", "by on_message")

    async with chat.running(), chat.client() as (client, _):
        seen.clear()
        await client.call("echo", 1)
        assert seen == [("echo", 1, 1)]
        with pytest.raises(EventError):
            await client.call("echo", "stop")
        assert chat.handled == [1]
        # Also for an event without a handler of its own.
        with pytest.raises(EventError):
            await client.call("unheard of", 2)
        assert seen[-1] == ("unheard of", 2, 2)


async def test_a_star_catches_what_has_no_handler_of_its_own() -> None:
    chat = Chat()

    @chat.adapter.on("*")
    def anything(event: str, client: Client, data: Any) -> str:
        return event

    async with chat.running(), chat.client() as (client, _):
        assert await client.call("whatever") == "whatever"
        assert await client.call("echo", 1) == 1


@pytest.mark.parametrize(
    ("event", "namespace", "code"),
    [("nothing", "/", "unknown_event"), ("echo", "/no", "unknown_namespace")],
)
async def test_what_is_unknown_is_answered(
    event: str, namespace: str, code: str
) -> None:
    async with Chat().running() as chat, chat.client() as (client, _):
        with pytest.raises(EventError) as error:
            await client.call(event, None, namespace)
        assert error.value.code == code
        await client.emit(event, None, namespace)
        with pytest.raises(EventError) as error:
            await client.receive()
        assert error.value.code == code
        assert await client.call("echo", "still here") == "still here"
        assert chat.adapter.statistics().handler_errors == 0


@pytest.mark.parametrize("debug", [False, True])
async def test_an_exception_stays_with_us_unless_debug_is_on(
    debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat(debug=debug)

    @chat.adapter.on("fail")
    def fail(event: str, client: Client, data: Any) -> None:
        raise RuntimeError("secret")

    async with (
        chat.running(),
        chat.client() as (client, _),
        chat.client() as (other, _),
    ):
        with pytest.raises(EventError) as error:
            await client.call("fail")
        assert error.value.code == "internal_error"
        assert ("RuntimeError: secret" in error.value.message) is debug
        assert ("secret" in error.value.message) is debug
        assert await client.call("echo", 1) == 1
        assert await other.call("echo", 1) == 1
    assert "secret" in caplog.text
    assert chat.adapter.statistics().handler_errors == 1


async def test_an_answer_that_cannot_be_encoded_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on("odd")
    async def odd(event: str, client: Client, data: Any) -> object:
        with pytest.raises(NotEncodable):
            await client.emit("odd", object())
        return object()

    async with chat.running(), chat.client() as (client, _):
        with pytest.raises(EventError) as error:
            await client.call("odd")
        assert error.value.code == "not_encodable"
        # Unless nobody has asked for it.
        await client.emit("odd")
        assert await client.call("echo", 1) == 1
        assert client.received() == []


async def test_a_group_of_exceptions_is_an_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on("fail")
    async def fail(event: str, client: Client, data: Any) -> None:
        async with anyio.create_task_group():
            raise RuntimeError("in a group")

    async with chat.running(), chat.client() as (client, _):
        with pytest.raises(EventError) as error:
            await client.call("fail")
        assert error.value.code == "internal_error"
        assert await client.call("echo", 1) == 1


async def test_awaiting_what_was_cancelled_is_the_handlers_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on("await it")
    async def await_it(event: str, client: Client, data: Any) -> None:
        # What awaiting a cancelled asyncio task looks like; on trio it is a
        # foreign exception.
        raise asyncio.CancelledError

    async with chat.running(), chat.client() as (client, _):
        with pytest.raises(EventError) as error:
            await client.call("await it")
        assert error.value.code == "internal_error"
        assert await client.call("echo", 1) == 1
        assert chat.gone == []


async def test_a_native_cancel_of_a_handler_ends_its_client() -> None:
    if not on_asyncio():
        pytest.skip("asyncio's own")
    chat = Chat()

    @chat.adapter.on("cancel me")
    async def cancel_me(event: str, client: Client, data: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep_forever()

    async with chat.running():
        async with chat.client() as (client, sid):
            await client.emit("cancel me")
            assert await client.wait_closed() == 1011
        assert chat.gone == [(sid, 1011, "internal error")]


# -- bad input ----------------------------------------------------------------


async def test_unreadable_messages_cost_strikes() -> None:
    async with (
        Chat(max_strikes=3).running() as chat,
        chat.client() as (other, _),
        chat.client() as (client, sid),
    ):
        for frame in ("{", b"\x00", "[]"):
            await client.peer.send(frame)
            with pytest.raises(EventError):
                await client.receive()
        assert await client.call("echo", 1) == 1
        await client.peer.send('{"event": 5, "id": 7}')
        assert await client.wait_closed() == 1008
        assert client.close_reason == "too many unreadable messages"
        assert chat.gone == [(sid, 1008, "too many unreadable messages")]
        assert await other.call("echo", 1) == 1
        assert chat.adapter.statistics().strikes == 4


async def test_no_strike_may_be_the_limit() -> None:
    async with Chat(max_strikes=0).running() as chat, chat.client() as (client, _):
        await client.peer.send("{")
        await client.peer.send("{")
        assert await client.wait_closed() == 1008


async def test_an_unreadable_message_with_an_id_is_answered_under_it() -> None:
    async with Chat().running() as chat, chat.peer() as peer:
        await peer.send('{"event": 5, "id": 7}')
        answer = json.loads(await peer.receive())
        assert answer["ack"] == 7
        assert answer["error"]["code"] == "bad_event"


async def test_who_reads_no_errors_is_too_slow() -> None:
    chat = Chat(outbox_messages=2, max_strikes=1000)
    async with chat.running(), chat.peer(max_frames=1) as peer:
        while not chat.gone:
            await peer.send("{")
            await wait_idle()
        assert chat.gone[0][1:] == (1013, "too slow: pending messages")


async def test_who_streams_to_a_client_that_keeps_up_leaves_others_their_turns() -> (
    None
):
    chat = Chat()
    turns: list[int] = []

    @chat.adapter.on("stream")
    async def stream(event: str, client: Client, data: Any) -> None:
        for number in range(1000):
            await client.emit("news", number, volatile=True)

    async def count() -> None:
        while True:
            turns.append(len(turns))
            await anyio.lowlevel.checkpoint()

    async with (
        chat.running(),
        chat.client(max_frames=2000) as (client, _),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(count)
        await client.emit("stream")
        await until(lambda: turns)
        before = len(turns)
        assert (await client.receive()).data == 0
        while (await client.receive()).data != 999:
            pass
        assert len(turns) - before >= 1000 // 64
        tasks.cancel_scope.cancel()
