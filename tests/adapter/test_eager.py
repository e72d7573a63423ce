"""A transport that cannot say whether it takes something, and seldom has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from greenroom import Undelivered
from greenroom.actors import Batch
from greenroom.adapter import Frame, TransportClosed
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import wait_idle

from .desk import Desk, desk
from .support import on_asyncio

pytestmark = pytest.mark.anyio

COLOUR: ContextVar[str] = ContextVar("colour", default="none")


class Plain:
    """As plain ASGI is: all it has is `send`, in the hands of the test."""

    direct = False
    unsent = False

    def __init__(self) -> None:
        self.sent: list[Frame] = []
        # What each send does before it is done; by default nothing.
        self.meanwhile: Callable[[Frame], Any] | None = None
        self.closed: list[int] = []

    def try_send(self, message: object) -> bool:
        return False

    async def send(self, frame: Frame) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(frame)
        self.sent.append(frame)

    async def close(self, code: int, reason: str) -> None:
        self.closed.append(code)


@asynccontextmanager
async def plain(
    monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncGenerator[tuple[Desk, Plain]]:
    """A writer whose task sleeps, and what it writes to."""
    async with desk(**options) as d:
        transport = Plain()
        monkeypatch.setattr(d.writer, "_transport", transport)
        d.put("first")
        await wait_idle()
        assert transport.sent == ["first"]
        transport.sent.clear()
        yield d, transport
        monkeypatch.undo()


class Door:
    """Something to wait for."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.open = anyio.Event()

    async def __call__(self, frame: Frame) -> None:
        self.reached.set()
        await self.open.wait()


async def test_what_need_not_wait_is_written_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain(monkeypatch) as (d, transport):
        d.put("a", "b")
        at_once = ["a", "b"] if on_asyncio() else []
        assert transport.sent == at_once
        assert d.outbox.put_through(Batch([Outgoing("c"), Outgoing("d")])) == 2
        assert transport.sent == [*at_once, *("c", "d")[: len(at_once)]]
        await wait_idle()
        assert transport.sent == ["a", "b", "c", "d"]
        assert d.outbox.statistics().handled == 5


async def test_what_must_wait_holds_up_what_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain(monkeypatch) as (d, transport):
        transport.meanwhile = door = Door()
        assert d.outbox.put_through(Batch(map(Outgoing, "abc"))) > 0
        d.put(*"abc"[d.outbox.accepted - 1 :])
        d.put("d")
        await door.reached.wait()
        assert transport.sent == []
        assert d.outbox.pending == 4
        door.open.set()
        await wait_idle()
        assert transport.sent == ["a", "b", "c", "d"]


async def test_a_write_that_waits_has_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain(monkeypatch, send_seconds=2.0) as (d, transport):
        transport.meanwhile = Door()
        began = anyio.current_time()
        d.put("a")
        await d.writer.ended.wait()
        assert d.reports == ["write deadline"]
        assert anyio.current_time() - began == pytest.approx(2.0, abs=0.6)
        assert d.buried() == [("a", Undelivered.CANCELLED)]


async def test_it_runs_in_the_writers_task_and_context_from_first_to_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks: list[int] = []
    colours: list[str] = []
    token = COLOUR.set("the sender's")

    async def look(frame: Frame) -> None:
        for _ in range(2):
            tasks.append(anyio.get_current_task().id)
            colours.append(COLOUR.get())
            COLOUR.set("the writer's")
            with anyio.move_on_after(1):
                await anyio.sleep(2)

    try:
        async with plain(monkeypatch, send_seconds=30.0) as (d, transport):
            transport.meanwhile = look
            d.put("a")
            await anyio.sleep(5)
            assert transport.sent == ["a"]
            assert len(tasks) == 2
            assert tasks[0] == tasks[1] != anyio.get_current_task().id
            assert colours[0] != colours[1] == "the writer's"
            assert COLOUR.get() == "the sender's"
    finally:
        COLOUR.reset(token)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_write_that_fails_is_nobodys_failure_but_the_clients(
    waits: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(frame: Frame) -> None:
        if waits:
            await anyio.sleep(1)
        raise LookupError("in the middleware")

    async with plain(monkeypatch) as (d, transport):
        transport.meanwhile = fail
        d.put("a", "b")
        await anyio.sleep(2)
        assert d.reports == [(1006, "")]
        d.writer.abandon()
        await d.writer.ended.wait()
        assert "in the middleware" in caplog.text
        assert ("a", Undelivered.CANCELLED) in d.buried()


async def test_a_write_that_finds_it_closed_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def closed(frame: Frame) -> None:
        raise TransportClosed(1001, "gone")

    async with plain(monkeypatch) as (d, transport):
        transport.meanwhile = closed
        d.put("a")
        await wait_idle()
        assert d.reports == [(1001, "gone")]
        assert caplog.records == []


async def test_what_it_sends_while_it_writes_comes_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain(monkeypatch) as (d, transport):

        async def echo(frame: Frame) -> None:
            if frame == "a":
                d.put("the echo")

        transport.meanwhile = echo
        d.put("a", "b")
        await wait_idle()
        assert sorted(transport.sent) == ["a", "b", "the echo"]
        assert transport.sent.index("the echo") > transport.sent.index("a")


async def test_what_ends_it_while_it_writes_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain(monkeypatch) as (d, transport):

        async def finish(frame: Frame) -> None:
            d.writer.finish(4000, "enough")

        transport.meanwhile = finish
        d.put("a")
        await d.writer.ended.wait()
        assert transport.sent == ["a"]
        assert transport.closed == [4000]


async def test_abandoned_before_its_second_step_it_takes_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []

    async def wait(frame: Frame) -> None:
        steps.append("began")
        try:
            await anyio.sleep(1)
            steps.append("went on")
        finally:
            steps.append("ended")

    async with plain(monkeypatch) as (d, transport):
        transport.meanwhile = wait
        d.put("a")
        d.writer.abandon()
        await d.writer.ended.wait()
        assert steps in ([], ["began", "ended"])
        assert transport.sent == []
        [(message, _)] = d.buried()
        assert message == "a"


async def test_cancelled_while_it_waits_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bool] = []

    async def wait(frame: Frame) -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            told.append(True)
            raise

    async with plain(monkeypatch) as (d, transport):
        transport.meanwhile = wait
        d.put("a")
        await wait_idle()
        d.writer.abandon()
        await d.writer.ended.wait()
        assert told == [True]


async def test_who_sends_need_not_be_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    if not on_asyncio():
        pytest.skip("on Trio everything is a task")
    async with plain(monkeypatch) as (d, transport):
        asyncio.get_running_loop().call_soon(d.put, "a")
        await wait_idle()
        assert transport.sent == ["a"]


async def test_a_cancellation_of_its_own_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not on_asyncio():
        pytest.skip("on Trio nobody else can raise one")

    async def cancelled(frame: Frame) -> None:
        raise asyncio.CancelledError

    async with plain(monkeypatch) as (d, transport):
        transport.meanwhile = cancelled
        d.put("a")
        await wait_idle()
        assert d.reports == [(1006, "")]
