"""Requests: asking now and waiting later, as OTP's send_request tests have it."""

from __future__ import annotations

import asyncio
import math

import anyio
import pytest

from greenroom import (
    ActorCrashed,
    ActorNotAlive,
    AskCycle,
    AskTimeout,
    MailboxFull,
    Overflow,
    PendingReply,
    Replies,
    Undelivered,
)
from greenroom.testing import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, after, asyncio_only, fail, takes

pytestmark = pytest.mark.anyio


async def test_a_request_is_answered_while_its_sender_does_other_things(
    stage: Stage,
) -> None:
    """Behaviour 109: send_request."""
    cell = await stage.spawn()
    reply = cell.ref.request(after(2, "done"))
    assert not reply.done
    with pytest.raises(RuntimeError, match="has not answered yet"):
        reply.result()
    assert repr(reply) == f"<PendingReply from {cell.path}, pending>"
    await anyio.sleep(3)

    assert reply.done
    assert repr(reply) == f"<PendingReply from {cell.path}, done>"
    assert reply.result() == "done"
    assert await reply.wait(timeout=0) == "done"


async def test_who_has_waited_in_vain_can_wait_again(stage: Stage) -> None:
    """Behaviour 109: send_request."""
    cell = await stage.spawn()
    reply = cell.ref.request(after(3, "done"))
    for _ in range(2):
        with pytest.raises(TimeoutError, match="has not answered within 1 s") as caught:
            await reply.wait(timeout=1)
        assert not isinstance(caught.value, AskTimeout)
    with anyio.move_on_after(0.5):
        await reply.wait()

    assert await reply.wait(timeout=1) == "done"


async def test_a_request_fails_when_the_actor_crashes_or_ends(stage: Stage) -> None:
    """Behaviour 109: send_request."""
    cell = await stage.spawn()
    first, queued = cell.ref.request(fail), cell.ref.request("queued")
    with pytest.raises(ActorCrashed) as caught:
        await first.wait()
    assert caught.value.__cause__ is ERROR
    with pytest.raises(ActorCrashed):
        await queued.wait()

    other = await stage.spawn()
    pending = other.ref.request(after(10, "never"))
    other.ref.tell("behind")
    await wait_idle()
    other.ref.kill()
    with pytest.raises(ActorNotAlive):
        await pending.wait()
    with pytest.raises(ActorNotAlive):
        other.ref.request("too late")


async def test_a_request_outlives_a_restart_unless_it_was_in_flight(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    first, queued = cell.ref.request(fail), cell.ref.request("queued")

    assert await queued.wait() == "queued"
    with pytest.raises(ActorCrashed):
        first.result()


async def test_a_request_that_finds_no_room_is_refused_or_dropped(
    stage: Stage,
) -> None:
    cell = await stage.spawn(capacity=1)
    cell.ref.tell(takes(1))
    await wait_idle()
    fits = cell.ref.request("fits")
    with pytest.raises(MailboxFull):
        cell.ref.request("does not")
    assert await fits.wait() == "fits"

    drops = await stage.spawn(capacity=1, overflow=Overflow.DROP_OLD)
    drops.ref.tell(takes(1))
    await wait_idle()
    old, new = drops.ref.request("old"), drops.ref.request("new")
    with pytest.raises(MailboxFull):
        await old.wait()
    assert await new.wait() == "new"


async def test_a_request_expires_at_its_deadline_whoever_waits(stage: Stage) -> None:
    """Behaviour 109: send_request."""
    cell = await stage.spawn()
    cell.ref.tell(takes(3))
    reply = cell.ref.request("in time?", timeout=2)
    await anyio.sleep(1)
    with pytest.raises(AskTimeout, match="within 2 s"):
        await reply.wait()
    with pytest.raises(AskTimeout):
        await reply.wait()
    await anyio.sleep(2)

    assert stage.lost == [("in time?", Undelivered.EXPIRED)]


async def test_a_request_made_over_an_ask_expires_with_it(stage: Stage) -> None:
    one, two = await stage.spawn(), await stage.spawn()
    two.ref.tell(takes(10))
    replies: list[PendingReply[object]] = []
    deadlines: list[float] = []

    async def pass_on(_: Puppet) -> None:
        replies.append(two.ref.request("passed on"))
        deadlines.append(replies[0].ask.deadline)

    asked = anyio.current_time()
    await one.ref.ask(pass_on, timeout=4)
    with pytest.raises(AskTimeout):
        await replies[0].wait()

    assert deadlines == [pytest.approx(asked + 4)]
    assert two.ref.request("free").ask.deadline == math.inf


async def test_a_request_that_is_abandoned_is_skipped(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    reply = cell.ref.request("nobody cares")
    reply.abandon()
    reply.abandon()
    with pytest.raises(anyio.ClosedResourceError):
        await reply.wait()
    await wait_idle()

    assert puppet.seen == []
    assert stage.lost == [("nobody cares", Undelivered.EXPIRED)]


async def test_a_late_answer_to_an_abandoned_request_is_dropped(stage: Stage) -> None:
    cell = await stage.spawn()
    reply = cell.ref.request(after(1, "late"))
    await wait_idle()
    reply.abandon()
    await anyio.sleep(2)

    with pytest.raises(anyio.ClosedResourceError):
        reply.result()


async def test_one_task_at_a_time_waits_for_a_request(stage: Stage) -> None:
    cell = await stage.spawn()
    reply = cell.ref.request(after(1, "done"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reply.wait)
        await wait_idle()
        with pytest.raises(anyio.BusyResourceError):
            await reply.wait()

    assert reply.result() == "done"


@asyncio_only
async def test_a_wait_that_is_cancelled_natively_leaves_the_request_standing(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    reply = cell.ref.request(after(1, "done"))
    replies = Replies([cell.ref.request("next")])
    for wait in (reply.wait, replies.next):
        task = asyncio.create_task(wait())
        await wait_idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await reply.wait() == "done"
    assert (await replies.next()).result() == "next"


async def test_a_ring_is_refused_where_a_request_is_waited_for(stage: Stage) -> None:
    one, two = await stage.spawn(), await stage.spawn()

    async def ask_back(_: Puppet) -> None:
        await one.ref.ask("you first", timeout=None)

    async def wait_for_two(_: Puppet) -> object:
        reply = two.ref.request(ask_back)  # asking alone closes no ring
        await wait_idle()
        with pytest.raises(AskCycle) as caught:
            await reply.wait()
        return caught.value.cycle

    assert await one.ref.ask(wait_for_two) == (one.path, two.path, one.path)


async def test_a_ring_is_refused_that_closes_while_a_request_is_waited_for(
    stage: Stage,
) -> None:
    one, two = await stage.spawn(), await stage.spawn()

    async def ask_back(_: Puppet) -> object:
        await wait_idle()
        with pytest.raises(AskCycle):
            await one.ref.ask("you first")
        return "refused"

    async def wait_for_two(_: Puppet) -> object:
        return await two.ref.request(ask_back).wait()

    assert await one.ref.ask(wait_for_two) == "refused"
    assert one.waits == ()


async def test_what_an_actor_asks_itself_it_must_not_wait_for(stage: Stage) -> None:
    cell = await stage.spawn()
    replies: list[PendingReply[object]] = []

    async def ask_oneself(puppet: Puppet) -> None:
        replies.append(puppet.context.ref.request("later"))
        with pytest.raises(AskCycle):
            await replies[0].wait()

    await cell.ref.ask(ask_oneself)
    assert await replies[0].wait() == "later"
