from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from greenroom import (
    AckFailed,
    AckTimeout,
    AdapterError,
    Client,
    ClientGone,
    EventError,
)
from greenroom.testing import Event, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


async def test_a_client_is_asked_and_answers() -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):
        client.on_call("add", lambda data: sum(data))
        assert await chat.clients[sid].call("add", [1, 2]) == 3
        assert await chat.adapter.call("add", [3, 4], to=sid) == 7


async def test_a_client_may_answer_with_an_error() -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):

        def refuse(data: object) -> None:
            raise EventError("no", "not me")

        client.on_call("add", refuse)
        with pytest.raises(AckFailed) as failed:
            await chat.clients[sid].call("add")
        assert failed.value.sid == sid
        assert (failed.value.code, failed.value.message) == ("no", "not me")
        answers: list[object] = []
        await chat.clients[sid].emit("add", callback=answers.append)
        await wait_idle()
        assert answers == []


async def test_a_client_that_does_not_answer_is_waited_for_so_long() -> None:
    async with Chat(ack_seconds=3.0).running() as chat, chat.client() as (client, sid):
        for timeout, seconds in ((None, 3.0), (1.5, 1.5), (0, 0.0)):
            began = anyio.current_time()
            with pytest.raises(AckTimeout) as late:
                await chat.clients[sid].call("question", timeout=timeout)
            assert anyio.current_time() - began == pytest.approx(seconds)
            assert (late.value.sid, late.value.event) == (sid, "question")
            assert late.value.seconds == seconds
            # Late, it changes nothing.
            await client.answer(await client.receive(), "late")
        assert await client.call("echo", 1) == 1


async def test_nobody_waits_until_a_time_that_is_none() -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):
        with pytest.raises(ValueError, match="must be a number of seconds, got nan"):
            await chat.clients[sid].call("question", timeout=float("nan"))
        assert await client.call("echo", 1) == 1


async def test_only_the_right_answer_counts() -> None:
    async with (
        Chat().running() as chat,
        chat.client() as (client, sid),
        chat.client() as (other, _),
    ):
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await chat.adapter.call("question", to=sid))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            question = await client.receive()
            assert question.id is not None
            await client.answer(Event("", None, "/", question.id + 1), "wrong id")
            await other.answer(question, "of another client")
            await other.fail(question, "no", "of another client")
            await wait_idle()
            assert answers == []
            await client.answer(question, "right")
            await client.answer(question, "twice")
            await client.fail(question, "no", "twice")
        assert answers == ["right"]


async def test_a_callback_is_called_with_the_answer() -> None:
    chat = Chat()
    answers: list[object] = []

    async def later(data: object) -> None:
        await anyio.lowlevel.checkpoint()
        answers.append(("async", data))

    async with (
        chat.running(),
        chat.client("lobby") as (one, one_sid),
        chat.client("lobby") as (two, _),
    ):
        one.on_call("question", lambda data: ["one", data])
        two.on_call("question", lambda data: ["two", data])
        await chat.adapter.emit("question", 1, room="lobby", callback=answers.append)
        await chat.adapter.emit("question", 2, to=one_sid, callback=later)
        await chat.clients[one_sid].emit("question", 3, callback=later)
        await until(lambda: len(answers) == 4)
        assert sorted(answers, key=str) == [
            ("async", ["one", 2]),
            ("async", ["one", 3]),
            ["one", 1],
            ["two", 1],
        ]


async def test_a_callback_that_raises_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):

        def fail(data: object) -> None:
            raise RuntimeError("in the callback")

        client.on_call("question", lambda data: data)
        await chat.clients[sid].emit("question", callback=fail)
        await wait_idle()
        assert await client.call("echo", 1) == 1
    assert "in the callback" in caplog.text


async def test_a_callback_is_not_called_when_no_answer_comes_in_time() -> None:
    async with Chat(ack_seconds=2.0).running() as chat, chat.client() as (client, sid):
        answers: list[object] = []
        await chat.clients[sid].emit("question", callback=answers.append)
        question = await client.receive()
        await anyio.sleep(2.5)
        await client.answer(question, "late")
        assert await client.call("echo", 1) == 1
        assert answers == []


async def test_acks_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with Chat(max_acks=2).running() as chat, chat.client() as (client, sid):
        answers: list[object] = []
        for n in range(4):
            await chat.clients[sid].emit("question", n, callback=answers.append)
        questions = [await client.receive() for _ in range(4)]
        with pytest.raises(AdapterError, match="2 acks"):
            await chat.clients[sid].call("question")
        for question in questions:
            await client.answer(question, question.data)
        assert await client.call("echo", 1) == 1
        assert answers == [0, 1]
    assert caplog.text.count("owes too many acks") == 2


async def test_a_call_fails_when_the_client_goes() -> None:
    async with Chat().running() as chat:
        errors: list[ClientGone] = []

        async def ask(sid: str) -> None:
            with pytest.raises(ClientGone) as gone:
                await chat.adapter.call("question", to=sid)
            errors.append(gone.value)

        async with chat.client() as (client, sid), anyio.create_task_group() as tasks:
            tasks.start_soon(ask, sid)
            tasks.start_soon(ask, sid)
            await client.receive()
            await client.receive()
            client.close()
        assert [error.sid for error in errors] == [sid, sid]
        with pytest.raises(ClientGone):
            await chat.clients[sid].call("question")
        with pytest.raises(ClientGone):
            await chat.clients[sid].emit("question")
        with pytest.raises(ClientGone):
            await chat.clients[sid].join("lobby")


async def test_a_call_that_waits_for_room_fails_when_the_client_goes() -> None:
    failed: list[str] = []

    async def call(client: Client) -> None:
        with pytest.raises(ClientGone):
            await client.call("question")
        failed.append("call")

    async def emit(client: Client) -> None:
        with suppress(ClientGone):
            while True:
                await client.emit("tick")
        failed.append("emit")

    async with (
        Chat(outbox_messages=1, send_seconds=60.0).running() as chat,
        chat.client(max_frames=1) as (client, sid),
        anyio.create_task_group() as tasks,
    ):
        client.pause()
        tasks.start_soon(emit, chat.clients[sid])
        await wait_idle()
        tasks.start_soon(call, chat.clients[sid])
        await wait_idle()
        assert failed == []
        client.drop()
    assert sorted(failed) == ["call", "emit"]


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    async with Chat(max_acks=1).running() as chat, chat.client() as (client, sid):
        for _ in range(3):
            with anyio.move_on_after(1):
                await chat.clients[sid].call("question")
        client.on_call("add", lambda data: 3)
        assert await chat.clients[sid].call("add") == 3


async def test_a_handler_stuck_on_its_own_full_outbox_ends_with_the_stall(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat(outbox_messages=2, send_seconds=5.0)

    @chat.adapter.on("flood")
    async def flood(event: str, client: Client, data: Any) -> None:
        with suppress(ClientGone):
            while True:
                await client.emit("tick")
        chat.handled.append(("gave up", anyio.current_time()))

    async with chat.running():
        async with chat.client(max_frames=1) as (client, sid):
            client.pause()
            began = anyio.current_time()
            await client.emit("flood")
            await anyio.sleep(6.0)
        assert chat.handled == [("gave up", began + 5.0)]
        assert chat.gone == [(sid, 1013, "too slow: write deadline")]
        assert chat.adapter.statistics().stalls == 1
    assert "too slow" in caplog.text


async def test_its_own_client_leaving_is_no_failure_of_a_handler() -> None:
    chat = Chat()

    @chat.adapter.on("say")
    async def say(event: str, client: Client, data: Any) -> None:
        await client.disconnect(4000, "first")
        await client.disconnect(4001, "second")
        await client.emit("said")

    async with chat.running(), chat.client() as (client, sid):
        await client.emit("say")
        assert await client.wait_closed() == 4000
        await until(lambda: chat.gone)
        assert chat.gone == [(sid, 4000, "first")]
    assert chat.adapter.statistics().handler_errors == 0


async def test_another_client_leaving_may_be_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.on("tell")
    async def tell(event: str, client: Client, data: Any) -> None:
        await chat.clients[data].emit("told")

    async with chat.running(), chat.client() as (client, _):
        async with chat.client() as (_, other_sid):
            pass
        with pytest.raises(EventError):
            await client.call("tell", other_sid)
    assert chat.adapter.statistics().handler_errors == 1
