from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import anyio
import pytest
import sniffio

from greenroom import (
    AckFailed,
    AckTimeout,
    AdapterError,
    Client,
    ClientGone,
    EventError,
    NotEncodable,
    Overflow,
    Undelivered,
)
from greenroom.testing import Event, TransportClosed, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


# -- on_connect -------------------------------------------------------------------


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


async def test_reject_works_in_on_connect_only() -> None:
    chat = Chat()

    @chat.adapter.on("reject me")
    def reject(event: str, client: Client, data: Any) -> str:
        with pytest.raises(RuntimeError, match="disconnect"):
            client.reject()
        return "no"

    @chat.adapter.on_disconnect()
    def bye(event: str, client: Client, data: Any) -> None:
        with pytest.raises(RuntimeError, match="on_connect"):
            client.reject()
        chat.handled.append("bye")

    async with chat.running():
        async with chat.client() as (client, _):
            assert await client.call("reject me") == "no"
        assert chat.handled == ["bye"]


async def test_on_connect_that_was_cancelled_is_over() -> None:
    chat = Chat()

    @chat.adapter.on_connect()
    async def stuck(event: str, client: Client, data: Any) -> None:
        await anyio.sleep_forever()

    @chat.adapter.on_disconnect()
    def bye(event: str, client: Client, data: Any) -> None:
        with pytest.raises(RuntimeError, match="on_connect"):
            client.reject()
        chat.handled.append("bye")

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


# -- handlers -----------------------------------------------------------------------


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
    if sniffio.current_async_library() != "asyncio":
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


# -- bad input ------------------------------------------------------------------------


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
    async with Chat(outbox_messages=2, max_strikes=1000).running() as chat:
        async with chat.peer(max_frames=1) as peer:
            while not chat.gone:
                await peer.send("{")
                await wait_idle()
            assert chat.gone[0][1:] == (1013, "too slow: overflow")


# -- sending ------------------------------------------------------------------------------


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
    async with Chat(outbox_messages=1, send_seconds=60.0).running() as chat:
        async with (
            chat.client(max_frames=1) as (client, sid),
            anyio.create_task_group() as tasks,
        ):
            client.pause()

            async def call() -> None:
                with pytest.raises(ClientGone):
                    await chat.clients[sid].call("question")

            async def emit() -> None:
                with pytest.raises(ClientGone):
                    for _ in range(20):
                        await chat.clients[sid].emit("tick")

            tasks.start_soon(emit)
            tasks.start_soon(call)
            await wait_idle()
            client.drop()


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
        with pytest.raises(ClientGone):
            while True:
                await client.emit("tick")
        chat.handled.append("gave up")

    async with chat.running():
        async with chat.client(max_frames=1) as (client, sid):
            client.pause()
            began = anyio.current_time()
            await client.emit("flood")
            while not chat.gone:
                await anyio.sleep(0.1)
            assert anyio.current_time() - began == pytest.approx(5.0, abs=0.2)
        assert chat.handled == ["gave up"]
        assert chat.gone == [(sid, 1013, "too slow: stalled")]
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


# -- rooms ---------------------------------------------------------------------------------


async def test_rooms_are_entered_and_left() -> None:
    async with (
        Chat().running() as chat,
        chat.client("one", "two") as (client, sid),
        chat.client("one") as (other, _),
    ):
        seen = chat.clients[sid]
        assert seen.rooms == {"one", "two"}
        await client.call("join", "one")
        await client.call("leave", "two")
        await client.call("leave", "never in it")
        assert seen.rooms == {"one"}
        await chat.adapter.emit("a", room="one")
        await chat.adapter.emit("b", room="two")
        await chat.adapter.emit("c", room="one")
        for who in (client, other):
            assert [(await who.receive()).event for _ in range(2)] == ["a", "c"]


async def test_rooms_belong_to_a_namespace() -> None:
    chat = Chat()

    @chat.adapter.on("join", namespace="/n")
    async def join(event: str, client: Client, data: Any) -> list[str]:
        await client.join(data)
        return sorted(client.rooms)

    async with chat.running(), chat.client("root") as (client, _):
        assert await client.call("join", "inner", "/n") == ["inner"]
        await chat.adapter.emit("a", room="inner")
        await chat.adapter.emit("b", room="root", namespace="/n")
        await chat.adapter.emit("c", room="inner", namespace="/n")
        assert await client.receive() == Event("c", None, "/n")


async def test_on_disconnect_sees_the_rooms_that_were_left() -> None:
    chat = Chat()
    seen: list[object] = []

    @chat.adapter.on_disconnect()
    async def bye(event: str, client: Client, data: Any) -> None:
        seen.append((event, sorted(client.rooms), data, client.data, client.connected))
        await chat.adapter.emit("left", client.sid, room="lobby")
        await client.leave("lobby")
        await client.disconnect()

    async with chat.running(), chat.client("lobby") as (other, _):
        async with chat.client("lobby", "bar") as (_, sid):
            pass
        assert seen == [("disconnect", ["bar", "lobby"], None, None, False)]
        assert await other.receive() == Event("left", sid)


@pytest.mark.parametrize("room", ["", 5, None, b"lobby", "~somebody"])
async def test_a_room_has_a_name(room: object) -> None:
    async with Chat().running() as chat, chat.client() as (_, sid):
        with pytest.raises(ValueError, match="room must"):
            await chat.clients[sid].join(room)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="room must"):
            await chat.clients[sid].leave(room)  # type: ignore[arg-type]


async def test_a_client_is_in_so_many_rooms_at_most() -> None:
    chat = Chat(max_rooms=2)

    @chat.adapter.on_connect()
    async def fill(event: str, client: Client, data: Any) -> None:
        await client.join("a")
        await client.join("b")
        with pytest.raises(ValueError, match="2 rooms"):
            await client.join("c")

    async with chat.running(), chat.client() as (_, sid):
        client = chat.clients[sid]
        with pytest.raises(ValueError, match="2 rooms"):
            await client.join("c")
        await client.join("b")
        await client.leave("a")
        await client.join("c")
        assert client.rooms == {"b", "c"}
        assert chat.adapter.statistics().handler_errors == 0


# -- ending -----------------------------------------------------------------------------------


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
    chat.adapter.on_disconnect()(lambda event, client, data: 1 / 0)

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
    async with Chat(overflow=Overflow.DROP_NEW, outbox_messages=1).running() as chat:
        async with chat.client("lobby", max_frames=1) as (client, sid):
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
