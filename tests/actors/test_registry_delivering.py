"""A delivery comes after what was published before, and waits for room."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import Overflow, Registry
from greenroom.actors import Mailbox
from greenroom.testing._clock import wait_idle

from .kit import balanced
from .members import delivering, members_of, outbox
from .stage import Nanny, Stage

pytestmark = pytest.mark.anyio


async def promised(registry: Registry) -> Mailbox[Any]:
    """A mailbox that a registry, which is busy, has promised a message."""
    mailbox, _ = outbox()
    await registry.publish(["nobody"], "to keep it busy")
    assert await registry.deliver(mailbox, "promised")
    return mailbox


# -- delivering ------------------------------------------------------------


async def test_a_delivery_to_a_mailbox_with_room_is_done_at_once(
    registry: Registry,
) -> None:
    mailbox, _ = outbox()
    with anyio.CancelScope() as scope:
        scope.cancel()  # a checkpoint would raise
        assert await registry.deliver(mailbox, "hello")

    assert list(mailbox.queue) == ["hello"]


async def test_a_delivery_comes_after_what_was_published_before(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    mailbox, _ = outbox()
    await registry.join("a", cell.ref, mailbox=mailbox)
    await registry.publish(["a"], "published")
    assert await registry.deliver(mailbox, "delivered")
    await registry.publish(["a"], "published later")
    assert mailbox.promised == 1
    assert balanced(mailbox)
    await wait_idle()

    assert list(mailbox.queue) == ["published", "delivered", "published later"]
    assert (mailbox.promised, mailbox.accepted) == (0, 3)


async def test_a_delivery_without_room_waits_behind_what_was_published(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    mailbox, _ = outbox(capacity=1)
    await registry.join("a", cell.ref, mailbox=mailbox)
    await registry.publish(["a"], "published")
    mailbox.promise("another's")
    async with delivering(registry, mailbox, "delivered") as results:
        mailbox.keep_promise("another's")
        assert mailbox.take() == "another's"
        mailbox.done()

    assert results == [True]
    assert list(mailbox.queue) == ["delivered"]
    assert balanced(mailbox)


async def test_a_delivery_waits_while_the_mailbox_is_full_whatever_its_policy(
    registry: Registry,
) -> None:
    mailbox, owner = outbox(capacity=1, overflow=Overflow.DROP_OLD)
    mailbox.put("first")
    async with delivering(registry, mailbox, "second") as results:
        mailbox.take()

    assert results == [True]
    assert owner.drops == []


async def test_a_delivery_to_a_closed_mailbox_is_false(
    stage: Stage, registry: Registry
) -> None:
    mailbox, _ = outbox()
    mailbox.close()
    assert not await registry.deliver(mailbox, "idle registry")
    await registry.publish(["nobody"], "to keep it busy")

    assert not await registry.deliver(mailbox, "busy registry")
    assert balanced(mailbox)


async def test_a_delivery_is_false_when_the_mailbox_closes_while_it_waits(
    registry: Registry,
) -> None:
    mailbox, _ = outbox(capacity=1)
    mailbox.put("first")
    async with delivering(registry, mailbox, "second") as results:
        mailbox.close()

    assert results == [False]


async def test_a_delivery_waits_for_a_registry_that_is_full(stage: Stage) -> None:
    registry = Registry()
    await stage.spawn(registry, capacity=1)
    cell = await stage.spawn()
    mailbox, _ = outbox()
    await registry.join("a", cell.ref, mailbox=mailbox)
    await registry.publish(["a"], "published")
    assert not registry.context.mailbox.has_room(cast("Any", "more"))
    assert await registry.deliver(mailbox, "delivered")

    assert list(mailbox.queue) == ["published", "delivered"]


@pytest.mark.parametrize("killed", [False, True])
async def test_what_was_promised_is_delivered_when_the_registry_ends(
    stage: Stage, killed: bool
) -> None:
    registry = Registry()
    cell = await stage.spawn(registry)
    mailbox = await promised(registry)
    if killed:
        cell.ref.kill()
    else:
        cell.ref.stop_nowait()
    await wait_idle()

    assert list(mailbox.queue) == ["promised"]
    assert mailbox.promised == 0
    assert balanced(mailbox)


async def test_what_was_promised_is_kept_by_the_next_incarnation(
    stage: Stage,
) -> None:
    registry = Registry()
    cell = await stage.spawn(registry, Nanny())
    mailbox = await promised(registry)
    cell.ref.kill()
    await wait_idle()

    assert cell.incarnation == 2
    assert list(mailbox.queue) == ["promised"]
    assert mailbox.accepted == 1
    assert balanced(mailbox)


async def test_a_delivery_whose_promise_was_kept_is_not_made_again(
    stage: Stage,
) -> None:
    registry = Registry()
    cell = await stage.spawn(registry)
    mailbox = await promised(registry)
    later = cell.mailbox.queue[-1]
    await wait_idle()
    registry.receive(later)

    assert list(mailbox.queue) == ["promised"]
    assert balanced(mailbox)


# -- many members ----------------------------------------------------------


async def test_a_delivery_comes_after_a_publication_that_is_still_going_round(
    stage: Stage, registry: Registry
) -> None:
    cells = await members_of(stage, 40)
    mailbox, _ = outbox()
    for cell in cells[1:]:
        await registry.join("a", cell.ref)
    await registry.join("a", cells[0].ref, mailbox=mailbox)
    await registry.publish(["a"], "published")
    await checkpoint()  # it has begun
    assert await registry.deliver(mailbox, "delivered")
    await wait_idle()

    assert list(mailbox.queue) == ["published", "delivered"]
