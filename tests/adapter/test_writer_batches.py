"""Several messages at a time are written in one piece, where nothing is before them."""

from __future__ import annotations

import gc

import anyio
import pytest

from greenroom.actors import Batch
from greenroom.adapter import Bundle, Frame, Message
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import wait_idle

from .desk import Desk, desk

pytestmark = pytest.mark.anyio


def outgoing(*frames: str) -> Batch:
    return Batch(Outgoing(frame) for frame in frames)


async def directly(d: Desk) -> None:
    """The transport has shown that it takes messages without a task."""
    d.put("first")
    assert await d.read(1) == ["first"]


async def test_a_batch_is_written_where_it_comes() -> None:
    async with desk() as d:
        await directly(d)
        assert d.outbox.put_through(outgoing("a", "b", "c")) == 3
        assert d.outbox.statistics().handled == 4
        assert await d.read(3) == ["a", "b", "c"]


async def test_of_a_batch_is_written_what_the_transport_takes() -> None:
    async with desk(max_frames=2) as d:
        await directly(d)
        batch = outgoing("a", "b", "c")
        assert d.outbox.put_through(batch) == 2
        assert d.outbox.statistics().pending == 0
        # The rest waits as any message does.
        assert d.outbox.put_through(Batch(batch[2:])) == 1
        assert d.outbox.statistics().pending == 1
        assert await d.read(3) == ["a", "b", "c"]


async def test_nothing_of_a_batch_overtakes_what_waits() -> None:
    async with desk(max_frames=1) as d:
        d.put("a", "b", "c")
        assert d.outbox.put_through(outgoing("d", "e")) == 2
        assert d.outbox.statistics().pending == 4
        assert await d.read(5) == ["a", "b", "c", "d", "e"]


async def test_no_batch_is_written_to_a_client_that_is_seen_off() -> None:
    async with desk() as d:
        d.writer.finish(1000, "")
        assert d.outbox.put_through(outgoing("a", "b")) == 0
        assert await d.close_code() == 1000


async def test_a_batch_is_no_larger_than_what_may_be_buffered() -> None:
    async with desk() as d:
        await directly(d)
        large = outgoing(*("x" * 6000 for _ in range(4)))
        assert d.outbox.put_through(large) == 2
        # One that is too large by itself is none: it goes by the queue.
        assert d.outbox.put_through(outgoing("x" * 20_000, "y")) == 2
        assert await d.read(4) == ["x" * 6000, "x" * 6000, "x" * 20_000, "y"]


async def test_acks_are_expected_of_what_was_written() -> None:
    answers: list[object] = []
    async with desk(max_frames=2) as d:
        await directly(d)
        batch = Batch(
            Outgoing(str(id), id=id, callback=answers.append, seconds=1.0)
            for id in range(3)
        )
        assert d.outbox.put_through(batch) == 2
        assert [d.acks.answered(id, None) is not None for id in range(3)] == [
            True,
            True,
            False,
        ]


class Parting:
    """A transport that takes the messages of a batch in part."""

    direct = True
    unsent = False

    def __init__(self) -> None:
        self.flushed = anyio.Event()

    def try_send_all(self, bundle: Bundle[Message]) -> int:
        self.unsent = True
        return 2

    async def flush(self) -> None:
        self.unsent = False
        self.flushed.set()

    async def send(self, frame: Frame) -> None:
        raise AssertionError("nothing is to be sent")


async def test_the_last_that_was_taken_in_part_is_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with desk() as d:
        parting = Parting()
        monkeypatch.setattr(d.writer, "_transport", parting)
        assert d.outbox.put_through(outgoing("a", "b", "c")) == 2
        numbers = d.outbox.statistics()
        assert (numbers.accepted, numbers.handled, numbers.pending) == (2, 1, 1)
        await parting.flushed.wait()
        await wait_idle()
        assert d.outbox.statistics().handled == 2
        monkeypatch.undo()


async def test_nothing_keeps_a_batch_that_has_been_told() -> None:
    async with desk() as d:
        batch = outgoing("kept by nobody", "nor this")
        assert d.outbox.put_through(batch) == 2
        assert await d.read(2) == ["kept by nobody", "nor this"]
        del batch
        gc.collect()
        kept = [each for each in gc.get_objects() if isinstance(each, Outgoing)]
        frames = {each.frame for each in kept}
        assert not frames & {"kept by nobody", "nor this"}
