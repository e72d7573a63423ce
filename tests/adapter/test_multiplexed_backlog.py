"""What waits for the window of one stream, in place of hypercorn's own buffer."""

from __future__ import annotations

from types import SimpleNamespace

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from hypercorn.protocol.h2 import BufferCompleteError

from greenroom.adapter._multiplexed import Backlog

from .multiplex import Pushing

pytestmark = pytest.mark.anyio

HIGH = 32 * 1024
LOW = 16 * 1024

TEXT = b"\x81"
CLOSE = b"\x88\x00"
PING = b"\x89\x00"
PONG = b"\x8a\x00"


def backlog(*, closed: bool = False) -> Backlog:
    return Backlog(SimpleNamespace(streams={1: SimpleNamespace(closed=closed)}), 1)


async def test_who_sends_waits_until_enough_is_taken() -> None:
    it = backlog()
    await it.push(TEXT + bytes(HIGH - 2))
    async with anyio.create_task_group() as group:
        pushings = [Pushing(group, it.push, TEXT) for _ in range(2)]
        for size, taken in ((0, b""), (1, TEXT), (LOW + 1, bytes(LOW + 1))):
            await wait_all_tasks_blocked()
            assert [pushing.done for pushing in pushings] == [False, False]
            assert await it.pop(size) == taken
        await wait_all_tasks_blocked()
        assert [pushing.done for pushing in pushings] == [True, True]
    assert await it.pop(HIGH) == bytes(LOW - 3) + TEXT + TEXT


async def test_below_the_mark_nobody_waits() -> None:
    it = backlog()
    with anyio.fail_after(0):
        await it.push(TEXT + bytes(HIGH - 2))


async def test_what_is_closed_lets_everybody_go_and_keeps_nothing() -> None:
    it = backlog()
    async with anyio.create_task_group() as group:
        pushing = Pushing(group, it.push, TEXT + bytes(HIGH))
        await wait_all_tasks_blocked()
        assert not pushing.done
        await it.close()
        await wait_all_tasks_blocked()
        assert pushing.done
    assert it.complete
    await it.drain()
    assert await it.pop(HIGH) == b""
    with pytest.raises(BufferCompleteError):
        await it.push(TEXT)


@pytest.mark.parametrize("gone", ["reset", "forgotten"])
async def test_nothing_is_kept_for_a_stream_that_is_no_more(gone: str) -> None:
    it = backlog(closed=True)
    if gone == "forgotten":
        it = Backlog(SimpleNamespace(streams={}), 1)
    await it.push(TEXT)
    assert await it.pop(0) == b""
    assert it.complete


async def test_answers_to_pings_never_wait_and_only_so_many_are_kept() -> None:
    it = backlog()
    full = TEXT + bytes(HIGH)
    async with anyio.create_task_group() as group:
        pushing = Pushing(group, it.push, full)
        await wait_all_tasks_blocked()
        with anyio.fail_after(0):
            for _ in range(3000):
                await it.push(PONG)
                await it.push(PING)
        assert await it.pop(len(full)) == full
        assert await it.pop(HIGH) == (PONG + PING) * 1024
        await wait_all_tasks_blocked()
        assert pushing.done
    # It has been caught up with: as many again.
    async with anyio.create_task_group() as group:
        Pushing(group, it.push, full)
        await wait_all_tasks_blocked()
        await it.push(PONG)
        assert await it.pop(HIGH * 2) == full + PONG


async def test_a_close_frame_never_waits_and_is_the_last() -> None:
    it = backlog()
    full = TEXT + bytes(HIGH)
    async with anyio.create_task_group() as group:
        Pushing(group, it.push, full)
        await wait_all_tasks_blocked()
        with anyio.fail_after(0):
            await it.push(CLOSE)
        with pytest.raises(BufferCompleteError):
            await it.push(TEXT)
        assert not it.complete
        assert await it.pop(2 * HIGH) == full + CLOSE
        assert it.complete


async def test_the_end_is_waited_for() -> None:
    it = backlog()
    await it.push(TEXT)
    it.set_complete()
    async with anyio.create_task_group() as group:
        drained = Pushing(group, it.drain)
        assert await it.pop(0) == b""
        await wait_all_tasks_blocked()
        assert not drained.done
        assert not it.complete
        assert await it.pop(1) == TEXT
        await wait_all_tasks_blocked()
        assert drained.done
    assert it.complete


async def test_what_has_been_empty_may_be_filled_again() -> None:
    it = backlog()
    assert await it.pop(1) == b""
    await it.push(TEXT)
    async with anyio.create_task_group() as group:
        drained = Pushing(group, it.drain)
        await wait_all_tasks_blocked()
        assert not drained.done
        await it.pop(1)
