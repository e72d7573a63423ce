"""A publication reaches each member once; who is slow holds up nobody for long."""

from __future__ import annotations

import logging

import pytest
from anyio.lowlevel import checkpoint

from greenroom import Overflow, Registry, Shutdown, Undelivered
from greenroom.testing._clock import wait_idle

from .members import group_a, hold, members_of, outbox
from .stage import Puppet, Stage, seen_by

pytestmark = pytest.mark.anyio


# -- publishing ------------------------------------------------------------


async def test_a_publication_reaches_each_member_of_several_groups_once(
    stage: Stage, registry: Registry
) -> None:
    cells = await members_of(stage, 3)
    for group, chosen in (("a", cells[:2]), ("b", cells[1:])):
        for cell in chosen:
            await registry.join(group, cell.ref)
    await registry.publish(["a", "b", "nobody"], "hello")
    await registry.publish(["b"], "bye")
    await wait_idle()

    assert [seen_by(cell) for cell in cells] == [
        ["hello"],
        ["hello", "bye"],
        ["hello", "bye"],
    ]


async def test_a_publication_skips_who_shall_be_skipped(
    stage: Stage, registry: Registry
) -> None:
    cells = await group_a(stage, registry, 3)
    await registry.publish(["a"], "hello", skip=[cells[1].ref])
    await wait_idle()

    assert [seen_by(cell) for cell in cells] == [["hello"], [], ["hello"]]


async def test_publications_arrive_in_order(stage: Stage, registry: Registry) -> None:
    cell = await stage.spawn()
    await registry.join("a", cell.ref)
    for number in range(200):
        await registry.publish(["a"], number)
    await wait_idle()

    assert seen_by(cell) == list(range(200))


async def test_joining_twice_means_one_copy_to_the_last_mailbox(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    first, _ = outbox()
    last, _ = outbox()
    await registry.join("a", cell.ref, mailbox=first)
    await registry.join("a", cell.ref, mailbox=last)
    await registry.publish(["a"], "hello")
    await wait_idle()

    assert (list(first.queue), list(last.queue)) == ([], ["hello"])
    assert seen_by(cell) == []


async def test_what_a_full_member_refuses_is_a_dead_letter(
    stage: Stage, registry: Registry
) -> None:
    full, other = await stage.spawn(capacity=1), await stage.spawn()
    go = await hold(full)
    full.ref.tell("in the way")
    for cell in (full, other):
        await registry.join("a", cell.ref)
    await registry.publish(["a"], "hello")
    await wait_idle()

    assert seen_by(other) == ["hello"]
    assert stage.lost == [("hello", Undelivered.OVERFLOW)]
    assert stage.letters[0].recipient == full.path
    go.set()


async def test_a_member_that_has_ended_meanwhile_is_not_missed(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    mailbox, _ = outbox()
    mailbox.close()
    await registry.join("a", cell.ref, mailbox=mailbox)
    await registry.publish(["a"], "hello")
    await wait_idle()

    assert stage.lost == []


async def test_a_member_that_overflows_while_others_are_told_may_end(
    stage: Stage, registry: Registry
) -> None:
    slow = await stage.spawn(capacity=1, overflow=Overflow.STOP)
    others = await members_of(stage, 2)
    go = await hold(slow)
    slow.ref.tell("in the way")
    for cell in (others[0], slow, others[1]):
        await registry.join("a", cell.ref)
    await registry.publish(["a"], "hello")
    await wait_idle()
    assert not slow.ref.alive
    go.set()
    await wait_idle()

    assert [seen_by(cell) for cell in others] == [["hello"], ["hello"]]
    assert registry.members("a") == (others[0].ref, others[1].ref)
    assert ("hello", Undelivered.OVERFLOW) in stage.lost


async def test_a_member_whose_end_is_published_takes_itself_out_of_the_loop(
    stage: Stage, registry: Registry
) -> None:
    cells = [stage.cell() for _ in range(2)]
    mailbox, owner = outbox(capacity=1, overflow=Overflow.STOP)
    mailbox.put("in the way")
    # Ends in place, in the middle of the publication.
    owner.on_overflow = lambda: cells[0].end(Shutdown("slow"))
    await registry.join("a", cells[0].ref, mailbox=mailbox)
    await registry.join("a", cells[1].ref)
    await registry.publish(["a"], "hello")
    await wait_idle()

    assert registry.members("a") == (cells[1].ref,)
    assert list(cells[1].mailbox.queue) == ["hello"]
    cells[1].end(Shutdown())


async def test_a_mailbox_function_that_raises_harms_its_own_member_only(
    stage: Stage, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def weigh(message: object) -> int:
        raise ZeroDivisionError("no weight")

    broken = await stage.spawn(weigh=weigh, max_weight=10)
    other = await stage.spawn()
    for cell in (broken, other):
        await registry.join("a", cell.ref)
    with caplog.at_level(logging.ERROR, "greenroom.actors"):
        await registry.publish(["a"], "hello")
        await wait_idle()

    assert f"the mailbox of {broken.path} failed" in caplog.text
    assert seen_by(other) == ["hello"]


async def test_a_fast_publisher_does_not_overrun_a_member_that_keeps_up(
    stage: Stage, registry: Registry
) -> None:
    seen: list[object] = []

    class Writer(Puppet):
        async def receive(self, message: object) -> None:
            await checkpoint()
            seen.append(message)

    cell = await stage.spawn(Writer(), capacity=8)
    await registry.join("a", cell.ref)
    for number in range(100):
        await registry.publish(["a"], number)
    await wait_idle()

    assert seen == list(range(100))
    assert stage.lost == []


async def test_a_member_that_makes_no_progress_is_not_waited_for_again(
    stage: Stage, registry: Registry
) -> None:
    stuck, well = await stage.spawn(capacity=4), await stage.spawn()
    go = await hold(stuck)
    for cell in (stuck, well):
        await registry.join("a", cell.ref)
    for number in range(3):
        await registry.publish(["a"], number)
    await wait_idle()
    assert stuck.mailbox.overtaken
    for number in range(3, 20):
        await registry.publish(["a"], number)
    # One pass for the registry and one for the member is all that this takes.
    for _ in range(4):
        await checkpoint()
    assert seen_by(well) == list(range(20))
    go.set()
    await wait_idle()

    assert seen_by(stuck) == [0, 1, 2, 3]
    assert not stuck.mailbox.overtaken
    assert [message for message, _ in stage.lost] == list(range(4, 20))


async def test_a_member_that_closes_while_it_is_waited_for_is_let_be(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    mailbox, _ = outbox(capacity=1)
    await registry.join("a", cell.ref, mailbox=mailbox)
    await registry.publish(["a"], "hello")
    await checkpoint()
    mailbox.close()
    await wait_idle()

    assert not mailbox.overtaken


# -- many members ----------------------------------------------------------


async def test_many_members_are_told_in_waves_and_each_once(
    stage: Stage, registry: Registry
) -> None:
    cells = await group_a(stage, registry, 40)
    for cell in cells:
        await registry.join("b", cell.ref)
    await registry.publish(["a", "b"], "hello", skip=[cells[0].ref])
    await wait_idle()

    assert [seen_by(cell) for cell in cells] == [[]] + [["hello"]] * 39


async def test_a_wave_waits_only_so_long_for_members_that_do_not_progress(
    stage: Stage, registry: Registry
) -> None:
    cells = await group_a(stage, registry, 40, capacity=1)
    gates = [await hold(cell) for cell in cells]
    await registry.publish(["a"], "hello")
    await wait_idle()

    assert all(list(cell.mailbox.queue) == ["hello"] for cell in cells)
    assert all(cell.mailbox.overtaken for cell in cells)
    for go in gates:
        go.set()
    await wait_idle()
    assert [seen_by(cell) for cell in cells] == [["hello"]] * 40
