from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from greenroom import ActorSystem, Overflow, Undelivered
from greenroom.adapter import Frame
from greenroom.adapter._acks import Acks
from greenroom.adapter._addressee import STALLED, TOO_LARGE, TOO_MANY
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import wait_idle

from .desk import Desk, desk
from .support import on_asyncio, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["direct", "plain"], autouse=True)
def direct(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the transport takes messages at once."""
    monkeypatch.setattr(Desk, "direct", request.param == "direct")
    return Desk.direct


# Of what is seen of a message before a task has come for it.
at_once = pytest.mark.parametrize("direct", ["direct"], indirect=True)


async def test_frames_are_written_in_order() -> None:
    async with desk() as d:
        d.put("a", "b")
        assert await d.read(2) == ["a", "b"]
        d.put("c")
        assert await d.read(1) == ["c"]
        await wait_idle()
        assert d.outbox.statistics().handled == 3


async def test_the_rest_is_written_before_the_goodbye() -> None:
    async with desk() as d:
        d.put("a", "b")
        d.writer.finish(4000, "bye")
        d.writer.finish(4001, "again")
        assert d.outbox.closed
        d.put("too late")
        assert await d.read(2) == ["a", "b"]
        assert await d.close_code() == 4000
        await d.writer.ended.wait()
        assert d.buried() == []
        assert d.reports == []


@at_once
async def test_the_rest_may_be_dropped_for_a_quick_goodbye() -> None:
    async with desk(max_frames=1) as d:
        d.put("a", "b", "c")
        d.writer.finish(4000, "bye", drop=True)
        assert d.outbox.statistics().weight == 0
        assert await d.read(1) == ["a"]
        assert await d.close_code() == 4000
        assert d.buried() == [("b", Undelivered.STOPPED), ("c", Undelivered.STOPPED)]


async def test_abandoned_it_writes_nothing_more() -> None:
    async with desk(max_frames=1) as d:
        d.put("a", "b", "c", "d")
        await wait_idle()
        d.writer.abandon()
        d.writer.abandon()
        await d.writer.ended.wait()
        assert await d.read(1) == ["a"]
        assert d.buried() == [
            ("c", Undelivered.STOPPED),
            ("d", Undelivered.STOPPED),
            ("b", Undelivered.CANCELLED),
        ]
        d.writer.finish(4000, "too late")


async def test_abandoned_before_it_has_begun_it_ends_at_once() -> None:
    async with ActorSystem() as system:
        d = Desk(system, 16)
        d.put("a")
        d.writer.start()
        d.writer.abandon()
        await d.writer.ended.wait()
        assert d.buried() == [("a", Undelivered.STOPPED)]
        d.check()


async def test_a_transport_that_is_closed_is_reported() -> None:
    async with desk() as d:
        d.peer.close(4000, "gone")
        d.put("a", "b")
        await d.writer.ended.wait()
        assert d.reports == [(4000, "gone")]
        assert d.buried() == [
            ("b", Undelivered.STOPPED),
            ("a", Undelivered.CANCELLED),
        ]


async def test_a_transport_that_fails_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with desk() as d:
        d.peer.fail_sends(OSError("reset by peer"))
        d.put("a")
        await d.writer.ended.wait()
        assert d.reports == [(1006, "")]
        assert "reset by peer" in caplog.text
        assert d.buried() == [("a", Undelivered.CANCELLED)]


async def test_a_write_that_takes_too_long_is_a_stall() -> None:
    async with desk(send_seconds=5.0) as d:
        began = anyio.current_time()
        d.peer.stall()
        d.put("a", "b")
        await d.writer.ended.wait()
        assert anyio.current_time() - began == pytest.approx(5.0)
        assert d.reports == [STALLED]


async def test_each_write_has_its_own_time() -> None:
    async with desk(send_seconds=2.0, max_frames=1) as d:
        d.put(*map(str, range(10)))
        for n in range(10):
            await anyio.sleep(1.9)
            assert await d.read(1) == [str(n)]
        await anyio.sleep(10.0)
        assert d.reports == []
        # The time of the next one begins when it does.
        d.peer.stall()
        d.put("late")
        await anyio.sleep(1.9)
        assert d.reports == []
        await anyio.sleep(0.2)
        assert d.reports == [STALLED]


async def test_a_goodbye_that_takes_too_long_is_a_stall() -> None:
    async with desk(send_seconds=5.0) as d:
        d.peer.stall()
        d.writer.finish(4000, "bye")
        await d.writer.ended.wait()
        assert d.reports == [STALLED]


async def test_a_write_that_cannot_be_cancelled_is_given_up_in_time() -> None:
    async with desk(send_seconds=5.0) as d:
        d.peer.stall(shielded=True)
        d.put("a", "b")
        await anyio.sleep(5.1)
        assert d.reports == [STALLED]
        assert not d.writer.ended.opened
        assert d.buried() == [("b", Undelivered.STOPPED)]


async def test_a_full_outbox_is_reported_and_let_go_of() -> None:
    async with desk(outbox_messages=2, max_frames=1) as d:
        d.put("on the way", "in hand")
        await wait_idle()
        d.put("a", "b", "one too many", "and another")
        assert d.reports == [TOO_MANY]
        assert d.buried() == [
            ("one too many", Undelivered.OVERFLOW),
            ("a", Undelivered.STOPPED),
            ("b", Undelivered.STOPPED),
        ]
        assert d.outbox.statistics().refused == 1
        assert await d.read(2) == ["on the way", "in hand"]
        assert await d.close_code() == 1013


@pytest.mark.parametrize(
    ("overflow", "written"),
    [(Overflow.DROP_OLD, ["b", "c"]), (Overflow.DROP_NEW, ["a", "b"])],
)
async def test_a_full_outbox_may_drop(overflow: Overflow, written: list[str]) -> None:
    async with desk(outbox_messages=2, overflow=overflow, max_frames=1) as d:
        d.put("on the way", "in hand")
        await wait_idle()
        d.put("a", "b", "c")
        assert d.reports == ["counted: dropped"]
        assert await d.read(4) == ["on the way", "in hand", *written]


@at_once
async def test_a_volatile_message_is_dropped_whatever_the_policy() -> None:
    async with desk(outbox_messages=1, max_frames=1) as d:
        d.put("on the way", "in hand")
        await wait_idle()
        d.outbox.put(Outgoing("a", volatile=True))
        d.outbox.put(Outgoing("b", volatile=True))
        assert d.reports == ["counted: dropped"]
        assert d.buried() == [("b", Undelivered.OVERFLOW)]
        assert await d.read(3) == ["on the way", "in hand", "a"]


async def test_a_message_brings_its_own_policy() -> None:
    async with desk(outbox_messages=3, max_frames=1) as d:
        d.put("on the way", "in hand")
        await wait_idle()
        for frame, key in [("x1", "x"), ("y1", "y"), ("z1", "z"), ("y2", "y")]:
            d.outbox.put(Outgoing(frame, overflow=Overflow.CONFLATE, key=key))
        d.outbox.put(Outgoing("w1", overflow=Overflow.DROP_OLD, key="y"))
        assert d.buried() == [
            ("y1", Undelivered.OVERFLOW),
            ("x1", Undelivered.OVERFLOW),
        ]
        assert await d.read(5) == ["on the way", "in hand", "z1", "y2", "w1"]


async def test_an_outbox_is_bounded_by_bytes_too() -> None:
    async with desk(outbox_bytes=10, max_frames=1) as d:
        d.put("x" * 20)
        await wait_idle()
        d.put("x" * 20)
        await wait_idle()
        # In an empty outbox there is room for anything.
        d.put("x" * 20)
        d.put("y")
        assert d.reports == [TOO_LARGE]


@pytest.mark.parametrize(
    ("frame", "weight"), [("abc", 3), (b"abc", 3), ("aé", 8), ("", 0), (b"", 0)]
)
def test_a_frame_weighs_at_least_what_it_has_on_the_wire(
    frame: str | bytes, weight: int
) -> None:
    assert Outgoing(frame).weight == weight
    on_wire = frame.encode() if isinstance(frame, str) else frame
    assert len(on_wire) <= weight


async def test_a_callback_is_waited_for_from_the_write_on() -> None:
    async with desk(max_frames=1) as d:
        d.put("first", "second")
        d.outbox.put(Outgoing("third", id=7, callback=print, seconds=5.0))
        await wait_idle()
        assert len(d.acks) == 0
        await d.read(2)
        await wait_idle()
        assert len(d.acks) == 1
        assert d.acks.answered(7, None) is print


async def test_it_yields_although_the_transport_does_not() -> None:
    async with desk(outbox_messages=1000) as d:
        d.peer.drop(silent=True)
        d.put(*map(str, range(1000)))
        passes = 0
        while d.outbox.pending:
            passes += 1
            await anyio.lowlevel.checkpoint()
        assert passes > 20


async def test_a_native_cancel_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    if not on_asyncio():
        pytest.skip("asyncio's own")
    tasks: list[asyncio.Task[Any] | None] = []

    def call_back(*_: object) -> None:
        tasks.append(asyncio.current_task())

    monkeypatch.setattr(Acks, "call_back", call_back)
    async with desk() as d:
        d.peer.stall()
        d.outbox.put(Outgoing("a", id=1, callback=print))
        await until(lambda: tasks)
        (task,) = tasks
        assert task is not None
        task.cancel()
        await d.writer.ended.wait()
        assert d.reports == [(1006, "")]


async def test_the_end_of_the_world_is_not_reported() -> None:
    async with ActorSystem() as system:
        d = Desk(system, 16)
        d.writer.start()
        d.peer.stall()
        d.put("a")
        await wait_idle()
    await until(lambda: d.writer.ended.opened)
    assert d.reports == []


@at_once
async def test_room_that_comes_free_in_the_midst_of_a_write_is_used_in_order() -> None:
    async with desk(outbox_messages=1) as d:
        outbox = d.outbox
        assert outbox.promise(Outgoing("a"))
        waiting = outbox.wait_for_room(Outgoing("b"))
        assert waiting is not None
        outbox.keep_promise(Outgoing("a"))
        assert waiting.admitted
        assert await d.read(2) == ["a", "b"]
        numbers = outbox.statistics()
        assert (numbers.accepted, numbers.handled, numbers.pending) == (2, 2, 0)


@at_once
async def test_what_is_to_be_written_when_all_tasks_end_is_a_dead_letter() -> None:
    async with desk(max_frames=1) as d:
        d.put("a")
        d.system.runtime.closing = True
        d.put("b")
        d.system.runtime.closing = False
        assert d.writer.ended.opened
        assert d.buried() == [("b", Undelivered.STOPPED)]


class Slow:
    """A transport that writes when the test says so."""

    direct = True
    unsent = False

    def __init__(self) -> None:
        self.writing = anyio.Event()
        self.room = anyio.Event()

    def try_send(self, message: object) -> bool:
        return False

    async def send(self, frame: Frame) -> None:
        self.writing.set()
        await self.room.wait()


@at_once
async def test_abandoned_as_a_write_comes_to_its_end_it_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with desk() as d:
        # From now on there is no task but for what has to wait.
        d.put("direct")
        assert await d.read(1) == ["direct"]
        slow = Slow()
        monkeypatch.setattr(d.writer, "_transport", slow)
        d.put("written")
        await slow.writing.wait()
        # Its task is awake already, so nothing cancels it.
        slow.room.set()
        d.writer.abandon()
        with anyio.fail_after(1):
            await d.writer.ended.wait()
        monkeypatch.undo()


class Half(Slow):
    """Takes half of a message."""

    unsent = True

    def try_send(self, message: object) -> bool:
        return True


async def test_what_was_taken_in_part_as_everything_ends_is_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with desk() as d:
        monkeypatch.setattr(d.writer, "_transport", Half())
        monkeypatch.setattr(d.system.runtime, "closing", True)
        d.put("cut")
        assert d.writer.ended.opened
        assert d.outbox.pending == 0
        assert d.buried() == [("cut", Undelivered.CANCELLED)]
        monkeypatch.undo()
