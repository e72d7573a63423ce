"""A send waits for room in turn, and no longer than it may."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from greenroom.actors import ActorNotAlive, Killed, Overflow, SendTimeout, Undelivered
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Stage, asyncio_only, seen_by
from .waiting import error_of, full, while_waiting

pytestmark = pytest.mark.anyio


async def test_sending_does_not_yield_while_there_is_room(stage: Stage) -> None:
    cell = await stage.spawn()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await cell.ref.send(1)
    assert not scope.cancelled_caught
    assert seen_by(cell) == []
    await wait_idle()
    assert seen_by(cell) == [1]


async def test_senders_wait_first_come_first_served(stage: Stage) -> None:
    cell = await full(stage)
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(cell.ref.send, number)
            await wait_idle()
        # Nobody gets in before those in line, room or not.
        assert not cell.ref.try_tell("pushy")
    await wait_idle()
    assert seen_by(cell) == ["first", 0, 1, 2]


async def test_a_sender_waits_whatever_the_policy_is(stage: Stage) -> None:
    cell = await full(stage, overflow=Overflow.DROP_NEW)
    await cell.ref.send("second")
    await wait_idle()
    assert seen_by(cell) == ["first", "second"]
    assert stage.lost == []


async def test_a_sender_waits_only_so_long(stage: Stage) -> None:
    cell = await full(stage)
    began = stage.runtime.now()
    with pytest.raises(SendTimeout, match=r"no room in .* within 2 s"):
        await cell.ref.send("second", timeout=2)
    assert stage.runtime.now() - began == pytest.approx(2)
    await cell.ref.send("third")
    await wait_idle()
    assert seen_by(cell) == ["first", "third"]


@pytest.mark.parametrize("how", ["send", "ask", "request"])
async def test_a_timeout_that_is_no_number_is_refused(stage: Stage, how: str) -> None:
    cell = await stage.spawn()
    with pytest.raises(
        ValueError, match="timeout must be a number of seconds, got nan"
    ):
        await getattr(cell.ref, how)(1, timeout=float("nan"))
    await wait_idle()
    assert seen_by(cell) == []


async def test_a_sender_is_told_when_the_actor_ends(stage: Stage) -> None:
    cell = await full(stage)
    async with while_waiting(cell.ref.send("second")) as errors:
        cell.ref.kill()
    [error] = errors
    assert isinstance(error, ActorNotAlive)
    assert (error.message, error.reason) == ("second", Killed())
    assert await error_of(cell.ref.send("third")) is not None


async def test_a_sender_that_is_cancelled_leaves_the_line(stage: Stage) -> None:
    cell = await full(stage)
    with anyio.move_on_after(1):
        await cell.ref.send("second")
    await anyio.sleep(10)
    assert seen_by(cell) == ["first"]
    assert cell.mailbox.accepted == cell.mailbox.handled == 2


@asyncio_only
async def test_a_sender_cancelled_natively_loses_nothing(stage: Stage) -> None:
    cell = await full(stage)
    task = asyncio.ensure_future(cell.ref.send("second"))
    await wait_idle()
    task.cancel()
    assert await error_of(asyncio.wait([task])) is None
    await anyio.sleep(11)
    assert seen_by(cell) == ["first"]


@asyncio_only
async def test_a_sender_cancelled_natively_as_it_is_admitted_has_sent(
    stage: Stage,
) -> None:
    cell = await stage.spawn(capacity=1)
    task: list[asyncio.Future[None]] = []
    cell.ref.tell(lambda _: anyio.sleep(1))
    await wait_idle()
    # Taking it makes room for the sender; handling it cancels the sender.
    cell.ref.tell(lambda _: task[0].cancel())
    task.append(asyncio.ensure_future(cell.ref.send("second")))
    with pytest.raises(asyncio.CancelledError):
        await task[0]
    await wait_idle()
    assert seen_by(cell) == ["second"]
    assert cell.mailbox.pending == 0


async def test_a_sender_waits_for_the_next_incarnation_too(stage: Stage) -> None:
    nanny = Nanny(later=True)
    cell = await full(stage, nanny)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cell.ref.send, "second")
        await wait_idle()
        cell.ref.kill()
        await cell.wait_stopped()
        cell.start()
    await wait_idle()
    assert seen_by(cell) == ["first", "second"]


async def test_dropping_the_mailbox_lets_the_senders_in(stage: Stage) -> None:
    cell = await full(stage, Nanny(later=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cell.ref.send, "second")
        await wait_idle()
        cell.ref.kill()
        await cell.wait_stopped()
        cell.drop_mailbox()
    assert stage.lost[1:] == [("first", Undelivered.RESTARTED)]
    cell.start()
    await wait_idle()
    assert seen_by(cell) == ["second"]
