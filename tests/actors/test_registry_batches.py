"""Publications that wait for the same members go to each of them together, in order."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from greenroom import MailboxOptions, Overflow, Registry, Undelivered
from greenroom.actors import Batch, Mailbox
from greenroom.actors._parking import running_parker
from greenroom.testing._clock import wait_idle

from .kit import Owner
from .members import hold, members_of
from .stage import Puppet, Stage, seen_by

pytestmark = pytest.mark.anyio


class Counter(Mailbox[Any]):
    """A mailbox that takes so many of a batch past its queue, as an outbox may."""

    def __init__(self, takes: int = 0, **options: Any) -> None:
        super().__init__(MailboxOptions(**options), Owner(), running_parker())
        self.takes = takes
        self.batches: list[tuple[Any, ...]] = []

    def put_through(self, batch: Batch) -> int:
        self.batches.append(tuple(batch))
        return self.takes


async def test_what_waits_for_the_same_members_is_one_batch(
    stage: Stage, registry: Registry
) -> None:
    mailbox = Counter(takes=2)
    await registry.join("a", (await stage.spawn()).ref, mailbox=mailbox)
    for number in range(4):
        await registry.publish(["a"], number)
    await wait_idle()

    assert mailbox.batches == [(0, 1, 2, 3)]
    # What was not taken at once is put as ever.
    assert list(mailbox.queue) == [2, 3]


async def test_one_that_comes_alone_is_no_batch(
    stage: Stage, registry: Registry
) -> None:
    mailbox = Counter()
    await registry.join("a", (await stage.spawn()).ref, mailbox=mailbox)
    for number in range(3):
        await registry.publish(["a"], number)
        await wait_idle()

    assert mailbox.batches == []
    assert list(mailbox.queue) == [0, 1, 2]


async def test_a_batch_has_an_end(stage: Stage, registry: Registry) -> None:
    mailbox = Counter(takes=16)
    await registry.join("a", (await stage.spawn()).ref, mailbox=mailbox)
    for number in range(40):
        await registry.publish(["a"], number)
    await wait_idle()

    assert [len(batch) for batch in mailbox.batches] == [16, 16, 8]


async def test_others_in_between_part_a_batch(stage: Stage, registry: Registry) -> None:
    first, other = await members_of(stage, 2)
    mailbox = Counter(takes=2)
    await registry.join("a", first.ref, mailbox=mailbox)
    await registry.join("b", other.ref)
    for groups, message, skip in (
        (["a"], 0, []),
        (["a"], 1, []),
        (["b"], 2, []),
        (["a"], 3, [other.ref]),
        (["a"], 4, [other.ref]),
    ):
        await registry.publish(groups, message, skip=skip)
    await wait_idle()

    assert mailbox.batches == [(0, 1), (3, 4)]
    assert seen_by(other) == [2]


async def test_who_joins_in_between_gets_what_comes_after(
    stage: Stage, registry: Registry
) -> None:
    early, late = await members_of(stage, 2)
    await registry.join("a", early.ref)
    for number in range(3):
        await registry.publish(["a"], number)
    await registry.join("a", late.ref)
    for number in range(3, 6):
        await registry.publish(["a"], number)
    await wait_idle()

    assert seen_by(early) == [0, 1, 2, 3, 4, 5]
    assert seen_by(late) == [3, 4, 5]


async def test_what_is_made_in_turn_may_begin_a_batch(
    stage: Stage, registry: Registry
) -> None:
    mailbox = Counter(takes=2)
    await registry.join("a", (await stage.spawn()).ref, mailbox=mailbox)
    await registry.publish(["a"], "made", in_turn=lambda message: f"{message} now")
    await registry.publish(["a"], "plain")
    await wait_idle()

    assert mailbox.batches == [("made now", "plain")]


async def test_the_registry_has_handled_each_of_a_batch(
    stage: Stage, registry: Registry
) -> None:
    before = registry.context.mailbox.statistics()
    for number in range(10):
        await registry.publish(["a"], number)
    await wait_idle()
    after = registry.context.mailbox.statistics()

    assert after.accepted == before.accepted + 10
    assert after.handled == before.handled + 10
    assert after.pending == 0


@pytest.mark.parametrize("members", [1, 40])
async def test_a_batch_does_not_overrun_members_that_keep_up(
    stage: Stage, registry: Registry, members: int
) -> None:
    seen: list[list[object]] = [[] for _ in range(members)]

    class Slow(Puppet):
        def __init__(self, seen: list[object]) -> None:
            super().__init__()
            self.seen = seen

        async def receive(self, message: object) -> None:
            await checkpoint()
            self.seen.append(message)

    for mine in seen:
        cell = await stage.spawn(Slow(mine), capacity=4)
        await registry.join("a", cell.ref)
    for number in range(100):
        await registry.publish(["a"], number)
    await wait_idle()

    assert seen == [list(range(100))] * members
    assert stage.lost == []


async def test_a_member_that_makes_no_progress_gets_its_batch_by_its_policy(
    stage: Stage, registry: Registry
) -> None:
    stuck = await stage.spawn(capacity=4, overflow=Overflow.DROP_OLD)
    well = await stage.spawn()
    go = await hold(stuck)
    for cell in (stuck, well):
        await registry.join("a", cell.ref)
    for number in range(10):
        await registry.publish(["a"], number)
    await wait_idle()

    assert seen_by(well) == list(range(10))
    assert list(stuck.mailbox.queue) == [6, 7, 8, 9]
    assert stage.lost == [(number, Undelivered.OVERFLOW) for number in range(6)]
    go.set()


async def test_a_member_that_fails_at_a_batch_harms_nobody(
    stage: Stage, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Counter):
        def put_through(self, batch: Batch) -> int:
            raise ZeroDivisionError

    broken, other = await members_of(stage, 2)
    mailbox = Broken()
    await registry.join("a", broken.ref, mailbox=mailbox)
    await registry.join("a", other.ref)
    with caplog.at_level(logging.ERROR, "greenroom.actors"):
        for number in range(2):
            await registry.publish(["a"], number)
        await wait_idle()

    assert f"the mailbox of {broken.path} failed" in caplog.text
    assert list(mailbox.queue) == [0, 1]
    assert seen_by(other) == [0, 1]


async def test_of_a_registry_that_is_killed_in_mid_batch_all_of_it_is_lost_aloud(
    stage: Stage, registry: Registry
) -> None:
    cells = await members_of(stage, 100)
    for cell in cells:
        await registry.join("a", cell.ref)
    mailbox, ref = registry.context.mailbox, registry.context.ref
    for number in range(3):
        await registry.publish(["a"], number)
    while not seen_by(cells[0]):
        await checkpoint()
    assert not seen_by(cells[-1])
    assert mailbox.pending == 3
    ref.kill()
    await ref.wait_stopped()

    orders: list[Any] = [each.message for each in stage.letters]
    lost = [
        (order.message, each.why)
        for order, each in zip(orders, stage.letters, strict=True)
    ]
    assert lost == [(number, Undelivered.CANCELLED) for number in range(3)]
    numbers = mailbox.statistics()
    assert numbers.accepted == numbers.handled + numbers.dead_lettered
