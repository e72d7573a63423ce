"""How much one client may send: throttled, struck or closed; on virtual time."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import anyio
import pytest

from greenroom import Client, EventError, Excess
from greenroom.testing import TransportClosed, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


def frame(data: object = None, event: str = "at", **fields: Any) -> str:
    return json.dumps({"event": event, "data": data, **fields})


class Timed(Chat):
    """Writes down when each event ``at`` was handled, in seconds since `begin`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.times: list[float] = []
        self.began = 0.0

        @self.adapter.on("at")
        def at(event: str, client: Client, data: Any) -> None:
            self.times.append(anyio.current_time() - self.began)

    def begin(self) -> None:
        self.began = anyio.current_time()

    async def until_handled(self, count: int) -> None:
        with anyio.fail_after(40):
            while len(self.times) < count:  # noqa: ASYNC110 - time is virtual
                await anyio.sleep(0.1)


async def test_a_throttled_client_loses_nothing_and_is_read_at_its_rate() -> None:
    chat = Timed(message_rate=2.0, message_burst=3, excess=Excess.THROTTLE)
    async with chat.running(), chat.peer(max_frames=4) as peer:
        chat.begin()
        for number in range(8):
            await peer.send(frame(number))
        await chat.until_handled(8)
        assert chat.times == pytest.approx([0, 0, 0, 0.5, 1, 1.5, 2, 2.5])
        statistics = chat.adapter.statistics()
        assert statistics.throttled == 5
        assert statistics.rate_limited == statistics.rate_closed == 0
        assert statistics.strikes == 0


async def test_a_throttled_client_is_pushed_back_and_no_other_waits() -> None:
    chat = Timed(message_rate=1.0, message_burst=1)
    async with (
        chat.running(),
        chat.client() as (other, _),
        chat.peer(max_frames=2) as peer,
    ):
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while True:
                await peer.send(frame())
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            await wait_idle()
            # One handled, one held by the reader, two on their way.
            assert (len(chat.times), sent) == (1, 4)
            await anyio.sleep(2)
            assert await other.call("echo", 1) == 1
            assert len(chat.times) <= 4
            tasks.cancel_scope.cancel()


async def test_bytes_have_a_rate_too() -> None:
    chat = Timed(byte_rate=100.0, byte_burst=1000)
    big = frame("x" * 2000)
    async with chat.running(), chat.peer() as peer:
        chat.begin()
        await peer.send(big)
        await peer.send(frame())
        await chat.until_handled(2)
        # The large one passed at once, and the small one had to wait for it.
        late = (len(big) + len(frame()) - 1000) / 100
        assert chat.times[0] == 0
        assert chat.times[1] == pytest.approx(late, abs=0.2)


@pytest.mark.parametrize("what", ["nonsense", '{"ack": 5}', frame(event="ping")])
async def test_all_that_a_client_sends_counts(what: str) -> None:
    chat = Timed(message_rate=1.0, message_burst=3)
    async with chat.running(), chat.peer() as peer:
        chat.begin()
        for _ in range(3):
            await peer.send(what)
        await peer.send(frame())
        await chat.until_handled(1)
        assert chat.times == pytest.approx([1.0])


async def test_with_strikes_it_is_told_and_the_message_is_not_handled() -> None:
    chat = Timed(message_rate=1.0, message_burst=2, excess=Excess.STRIKE, max_strikes=3)
    async with chat.running(), chat.client() as (client, _):  # it has asked for its sid
        await client.call("echo", 1)
        for _ in range(2):
            await client.emit("at")
            with pytest.raises(EventError) as error:
                await client.receive()
            assert error.value.code == "rate_limited"
            assert "0." in error.value.message or "1 s" in error.value.message
        assert chat.times == []
        await anyio.sleep(2)
        assert await client.call("echo", 2) == 2
        statistics = chat.adapter.statistics()
        assert (statistics.strikes, statistics.rate_limited) == (2, 2)
        assert statistics.throttled == 0

        await client.emit("at")  # what is left of the two seconds
        for _ in range(2):
            await client.emit("at")
        assert await client.wait_closed() == 1008
        assert client.close_reason == "too many messages"
    assert len(chat.times) == 1


async def test_with_close_the_first_one_too_many_is_the_end() -> None:
    chat = Timed(message_rate=1.0, message_burst=2, excess=Excess.CLOSE)
    async with chat.running(), chat.peer() as peer:
        for _ in range(2):
            await peer.send(frame())
        await until(lambda: len(chat.times) == 2)
        with contextlib.suppress(TransportClosed):
            for _ in range(4):
                await peer.send(frame())
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()
        assert (closed.value.code, closed.value.reason) == (1008, "too many messages")
        await until(lambda: chat.gone)
        # Counted once, whatever else it had sent.
        assert chat.adapter.statistics().rate_closed == 1
    assert len(chat.times) == 2


async def test_one_who_is_throttled_can_be_disconnected_at_once() -> None:
    chat = Timed(message_rate=0.001, message_burst=1)
    async with chat.running(), chat.peer() as peer:
        await peer.send(frame())
        await peer.send(frame())
        await until(lambda: chat.times and chat.adapter.statistics().throttled)
        began = anyio.current_time()
        (client,) = chat.clients.values()
        await client.disconnect(4000, "enough")
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()
        assert closed.value.code == 4000
        await until(lambda: chat.gone)
        assert anyio.current_time() - began < 10
    assert len(chat.times) == 1


# -- the bytes of an inbox ------------------------------------------------------


async def test_an_inbox_is_full_by_bytes() -> None:
    chat = Timed(inbox_bytes=1000, inbox_messages=64)
    async with chat.running(), chat.peer(max_frames=2) as peer:
        await peer.send(frame(event="wait"))
        await until(lambda: chat.waiting)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            for number in range(12):
                await peer.send(frame(["x" * 270, number]))
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            await wait_idle()
            # Three in the inbox, one with the reader, two on their way.
            assert sent == 6
            assert chat.adapter.statistics().inbound.pending == 1 + 3
            chat.release()
        await chat.until_handled(12)
        assert await _echo(peer) == "after"


async def test_what_is_larger_than_an_inbox_has_it_for_itself() -> None:
    chat = Timed(inbox_bytes=100)
    async with chat.running(), chat.peer() as peer:
        await peer.send(frame("x" * 500))
        await peer.send(frame("x" * 500))
        await chat.until_handled(2)
        assert await _echo(peer) == "after"


async def _echo(peer: Any) -> object:
    await peer.send(frame("after", "echo", id=1))
    answer: dict[str, object] = json.loads(await peer.receive())
    return answer["data"]
