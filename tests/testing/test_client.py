from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import AckFailed, ActorAdapter, Client
from greenroom.testing import (
    Event,
    EventError,
    Refused,
    TransportClosed,
    connect,
    connect_raw,
    wait_idle,
    websocket_scope,
)
from greenroom.testing._client import bare_task_group

pytestmark = pytest.mark.anyio


@pytest.fixture
def adapter() -> ActorAdapter:
    """An adapter with a handler of each kind."""
    adapter = ActorAdapter(path="/chat")

    @adapter.on("say")
    async def say(event: str, client: Client, data: Any) -> object:
        await adapter.broadcast("said", data)
        return {"ok": True}

    @adapter.on("say", namespace="/other")
    async def say_other(event: str, client: Client, data: Any) -> None:
        await client.emit("said", data)

    @adapter.on("fail")
    async def fail(event: str, client: Client, data: Any) -> None:
        raise EventError("busy", "later")

    @adapter.on("ask me")
    async def ask_me(event: str, client: Client, data: Any) -> object:
        try:
            return await client.call("question", data)
        except AckFailed as error:
            return [error.code, error.message]

    @adapter.on("flood me")
    async def flood_me(event: str, client: Client, data: Any) -> None:
        for n in range(data):
            await client.emit("flood", n)

    @adapter.on("kick me")
    async def kick_me(event: str, client: Client, data: Any) -> None:
        await client.disconnect(4000, "kicked")

    return adapter


async def test_a_handler_is_tested_in_three_lines(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect(adapter) as client:
        await client.emit("say", "hi")
        assert await client.receive() == Event("said", "hi")
        assert await client.call("say", "hi") == {"ok": True}


async def test_events_have_namespaces(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect(adapter) as client:
        await client.emit("say", "hi", "/other")
        assert await client.receive() == Event("said", "hi", "/other")
        assert await client.call("say", "hi", "/other") is None


async def test_what_has_come_can_be_taken_at_once(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect(adapter) as client:
        assert client.received() == []
        # An answer comes after what its handler has emitted.
        await client.call("say", 1)
        await client.call("say", 2)
        assert client.received() == [Event("said", 1), Event("said", 2)]
        assert client.received() == []


async def test_an_error_is_raised_where_the_answer_was_due(
    adapter: ActorAdapter,
) -> None:
    async with adapter.running(), connect(adapter) as client:
        with pytest.raises(EventError) as error:
            await client.call("fail")
        assert (error.value.code, error.value.message) == ("busy", "later")
        await client.emit("fail")
        with pytest.raises(EventError) as error:
            await client.receive()
        assert (error.value.code, error.value.message) == ("busy", "later")


async def test_calls_of_the_server_are_answered(adapter: ActorAdapter) -> None:
    async def think(data: Any) -> object:
        await anyio.lowlevel.checkpoint()
        return data * 2

    def refuse(data: Any) -> object:
        raise EventError("no", "not now")

    async with adapter.running(), connect(adapter) as client:
        client.on_call("question", lambda data: data + 1)
        assert await client.call("ask me", 20) == 21
        client.on_call("question", think)
        assert await client.call("ask me", 21) == 42
        client.on_call("question", refuse)
        assert await client.call("ask me", 21) == ["no", "not now"]


async def test_calls_of_the_server_can_be_answered_by_hand(
    adapter: ActorAdapter,
) -> None:
    async with adapter.running(), connect(adapter) as client:
        answers: list[object] = []

        async def ask(data: object) -> None:
            answers.append(await client.call("ask me", data))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 7)
            question = await client.receive()
            assert (question.event, question.data) == ("question", 7)
            await client.answer(question, "seven")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 8)
            await client.fail(await client.receive(), "hm", "what?")
        assert answers == ["seven", ["hm", "what?"]]

        await client.emit("say")
        with pytest.raises(ValueError, match="wants an answer"):
            await client.answer(await client.receive())


async def test_the_close_code_is_told(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect(adapter) as client:
        assert client.close_code is None
        await client.emit("kick me")
        assert await client.wait_closed() == 4000
        assert client.close_reason == "kicked"
        with pytest.raises(TransportClosed) as closed:
            await client.receive()
        assert closed.value.code == 4000
        with pytest.raises(TransportClosed):
            await client.call("say")


async def test_what_came_before_the_end_can_be_received_after_it(
    adapter: ActorAdapter,
) -> None:
    async with adapter.running(), connect(adapter) as client:
        await client.call("say", "hi")
        await client.emit("kick me")
        await client.wait_closed()
        assert await client.receive() == Event("said", "hi")


async def test_leaving_the_block_waits_for_on_disconnect(
    adapter: ActorAdapter,
) -> None:
    codes: list[int | None] = []

    @adapter.on_disconnect()
    async def bye(event: str, client: Client, data: Any) -> None:
        await anyio.lowlevel.checkpoint()
        codes.append(client.close_code)

    async with adapter.running():
        async with connect(adapter):
            pass
        assert codes == [1000]
        async with connect(adapter) as client:
            client.close(4000, "my own")
        async with connect(adapter) as client:
            client.drop()
    assert codes == [1000, 4000, 1006]


async def test_a_paused_client_reads_nothing(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect(adapter) as client:
        client.pause()
        client.pause()
        for n in range(3):
            await client.emit("say", n)
        await wait_idle()
        # One read had begun before the pause.
        assert len(client.received()) <= 1
        client.resume()
        assert (await client.call("say", 3)) == {"ok": True}
        assert client.received()[-1] == Event("said", 3)


async def test_events_pile_up_to_a_bound(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect(adapter) as client:
        await client.emit("flood me", 2000)
        await wait_idle()
        assert adapter.statistics().outbound.pending > 0
        events = [await client.receive() for _ in range(2000)]
        assert [event.data for event in events] == list(range(2000))


async def test_the_scope_of_the_handshake_is_what_was_asked_for(
    adapter: ActorAdapter,
) -> None:
    seen: list[object] = []

    @adapter.on_connect()
    def hello(event: str, client: Client, data: Any) -> None:
        seen.extend([client.headers, client.query_params, client.scope["path"]])

    async with (
        adapter.running(),
        connect(adapter, query="room=1&x=", headers={"X-Token": "t"}) as client,
    ):
        await client.call("say")
    assert seen == [{"x-token": "t"}, {"room": "1", "x": ""}, "/chat"]


def test_a_scope_is_that_of_a_websocket() -> None:
    scope = websocket_scope("/ws/röm")
    assert scope["type"] == "websocket"
    assert scope["path"] == "/ws/röm"
    assert scope["headers"] == []


async def test_a_refused_client_learns_the_status(adapter: ActorAdapter) -> None:
    with pytest.raises(Refused, match="503"):
        async with connect(adapter):
            raise AssertionError("not reached")


async def test_a_failing_test_fails_with_its_own_error(adapter: ActorAdapter) -> None:
    async with adapter.running():
        with pytest.raises(ZeroDivisionError):
            async with connect(adapter):
                raise ZeroDivisionError
        with pytest.raises(KeyboardInterrupt):
            async with connect(adapter):
                raise KeyboardInterrupt


async def test_an_answer_that_fails_fails_the_test(adapter: ActorAdapter) -> None:
    async def run() -> None:
        async with connect(adapter) as client:
            client.on_call("question", lambda data: 1 / 0)
            await client.call("ask me")

    async with adapter.running():
        with pytest.raises(ZeroDivisionError):
            await run()


async def test_several_errors_come_as_a_group() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        async with bare_task_group() as tasks:
            tasks.start_soon(fail)
            tasks.start_soon(fail)

    with pytest.raises(ExceptionGroup) as group:
        await run()
    assert len(group.value.exceptions) == 2


async def test_a_cancelled_test_is_cancelled(adapter: ActorAdapter) -> None:
    async with adapter.running():
        with anyio.CancelScope() as scope:
            async with connect(adapter):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught


async def test_a_server_that_fails_fails_the_test(
    adapter: ActorAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(adapter, "serve", broken)
    with pytest.raises(ZeroDivisionError):
        async with connect(adapter):
            raise AssertionError("not reached")


async def test_raw_frames_go_where_envelopes_do_not(adapter: ActorAdapter) -> None:
    async with adapter.running(), connect_raw(adapter) as peer:
        await peer.send('{"event": "fail", "id": 1}')
        assert (
            await peer.receive()
            == '{"ack":1,"error":{"code":"busy","message":"later"}}'
        )


async def test_a_wire_of_its_own_needs_raw_frames() -> None:
    def shout(event: str, data: object) -> str:
        return f"{event}!"

    adapter = ActorAdapter(post_process_payload=shout)

    @adapter.on("ws")
    async def echo(event: str, client: Client, data: Any) -> None:
        await client.emit("pong")

    async with adapter.running():
        async with connect_raw(adapter) as peer:
            await peer.send("ping")
            assert await peer.receive() == "pong!"

        async def ping() -> None:
            async with connect(adapter) as client:
                await client.emit("ping")
                await client.receive()

        with pytest.raises(ValueError, match="connect_raw"):
            await ping()
