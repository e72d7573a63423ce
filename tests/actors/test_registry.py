from __future__ import annotations

import logging
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import (
    ActorNotAlive,
    ActorRef,
    MailboxOptions,
    NameTaken,
    Overflow,
    Registry,
    Shutdown,
    Undelivered,
)
from greenroom.actors import Cell, Mailbox
from greenroom.testing._clock import wait_idle

from .kit import Owner, balanced
from .stage import Nanny, Puppet, Stage

pytestmark = pytest.mark.anyio


async def hold(cell: Cell[Any]) -> anyio.Event:
    """Keep the actor busy until the event is set."""
    go = anyio.Event()
    begun = anyio.Event()

    async def wait(_: Puppet) -> None:
        begun.set()
        await go.wait()

    cell.ref.tell(wait)
    await begun.wait()
    return go


@pytest.fixture
async def registry(stage: Stage) -> Registry:
    registry = Registry()
    await stage.spawn(registry, path="/registry")
    return registry


async def members_of(stage: Stage, count: int, **options: Any) -> list[Cell[Any]]:
    return [await stage.spawn(**options) for _ in range(count)]


def seen_by(cell: Cell[Any]) -> list[object]:
    assert isinstance(cell.actor, Puppet)
    return cell.actor.seen


def outbox(**options: Any) -> tuple[Mailbox[Any], Owner]:
    """A mailbox that is not an actor's own, like that of a writer."""
    from greenroom.actors._parking import running_parker

    owner = Owner()
    return Mailbox(MailboxOptions(**options), owner, running_parker()), owner


# -- names -----------------------------------------------------------------


async def test_a_name_is_held_until_it_is_unregistered(
    stage: Stage, registry: Registry
) -> None:
    ref = (await stage.spawn()).ref
    assert registry.whereis("lobby") is None
    await registry.register("lobby", ref)
    await registry.register("lobby", ref)
    assert registry.whereis("lobby") is ref
    await registry.unregister("lobby", ref)
    await registry.unregister("lobby", ref)

    assert registry.whereis("lobby") is None


async def test_a_name_that_is_taken_says_who_holds_it(
    stage: Stage, registry: Registry
) -> None:
    holder, other = [cell.ref for cell in await members_of(stage, 2)]
    await registry.register("lobby", holder)
    with pytest.raises(NameTaken) as caught:
        await registry.register("lobby", other)

    assert (caught.value.name, caught.value.holder) == ("lobby", holder)
    await registry.unregister("lobby", other)  # which does not hold it
    assert registry.whereis("lobby") is holder


async def test_names_are_told_apart_by_type(stage: Stage, registry: Registry) -> None:
    cells = await members_of(stage, 3)
    for key, cell in zip((1, 1.0, True), cells, strict=True):
        await registry.register(key, cell.ref)
        await registry.join(key, cell.ref)

    assert [registry.whereis(key) for key in (1, 1.0, True)] == [
        cell.ref for cell in cells
    ]
    assert registry.members(1) == (cells[0].ref,)
    assert registry.members(True) == (cells[2].ref,)


async def test_a_name_is_free_before_anybody_hears_that_its_holder_ended(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    await registry.register("lobby", cell.ref)
    await registry.join("room", cell.ref)
    heard: list[object] = []

    def hear(message: Puppet) -> None:
        message.context.bind_to(cell.ref)

    watcher = Puppet(
        stopped=lambda _, __: heard.append(
            (registry.whereis("lobby"), registry.members("room"))
        )
    )
    await (await stage.spawn(watcher)).ref.ask(hear)
    await cell.ref.stop()
    await wait_idle()

    assert heard == [(None, ())]


async def test_a_name_is_kept_over_a_restart(stage: Stage, registry: Registry) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    await registry.register("lobby", cell.ref)
    await registry.join("room", cell.ref)
    cell.ref.kill()
    await wait_idle()
    assert cell.incarnation == 2

    assert registry.whereis("lobby") is cell.ref
    assert registry.members("room") == (cell.ref,)


async def test_an_actor_that_has_ended_gets_no_name_and_joins_nothing(
    stage: Stage, registry: Registry
) -> None:
    ref = (await stage.spawn()).ref
    await ref.stop(Shutdown("over"))
    for change in (registry.register, registry.join):
        with pytest.raises(ActorNotAlive) as caught:
            await change("lobby", ref)
        assert caught.value.reason == Shutdown("over")

    assert registry.whereis("lobby") is None
    assert registry.members("lobby") == ()
    assert dict(registry.sizes()) == {}


async def test_one_of_many_spawns_and_all_get_the_same(
    stage: Stage, registry: Registry
) -> None:
    spawned: list[ActorRef[Any]] = []
    got: list[ActorRef[Any]] = []

    async def spawn() -> ActorRef[Any]:
        await checkpoint()
        spawned.append((await stage.spawn()).ref)
        return spawned[-1]

    async def get() -> None:
        got.append(await registry.get_or_spawn("lobby", spawn))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(get)

    assert len(spawned) == 1
    assert got == spawned * 5
    assert await registry.get_or_spawn("lobby", spawn) is spawned[0]


async def test_when_a_spawn_fails_the_next_in_line_spawns(
    stage: Stage, registry: Registry
) -> None:
    outcomes: list[object] = []
    tries: list[int] = []

    async def spawn() -> ActorRef[Any]:
        tries.append(1)
        await checkpoint()
        if len(tries) == 1:
            raise ZeroDivisionError
        return (await stage.spawn()).ref

    async def get() -> None:
        try:
            outcomes.append(await registry.get_or_spawn("lobby", spawn))
        except ZeroDivisionError:
            outcomes.append("failed")

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(get)

    holder = registry.whereis("lobby")
    assert len(tries) == 2
    assert outcomes == ["failed", holder, holder]


async def test_who_spawned_too_late_gets_the_holder_and_its_own_is_stopped(
    stage: Stage, registry: Registry
) -> None:
    rival = (await stage.spawn()).ref
    mine = await stage.spawn()

    async def spawn() -> ActorRef[Any]:
        await registry.register("lobby", rival)
        return mine.ref

    assert await registry.get_or_spawn("lobby", spawn) is rival
    await mine.ref.wait_stopped()
    assert rival.alive


# -- groups ----------------------------------------------------------------


async def test_groups_know_their_members_in_the_order_of_joining(
    stage: Stage, registry: Registry
) -> None:
    first, second = [cell.ref for cell in await members_of(stage, 2)]
    for group, ref in (("a", first), ("a", second), ("b", first), ("a", first)):
        await registry.join(group, ref)
    await registry.register("name", first)

    assert registry.members("a") == (first, second)
    assert registry.groups_of(first) == ("a", "b")
    assert registry.is_member("b", first)
    assert not registry.is_member("b", second)
    assert not registry.is_member("c", first)
    assert registry.groups_of(second) == ("a",)
    assert dict(registry.sizes()) == {"a": 2, "b": 1}


async def test_leaving_ends_a_membership_and_leaving_again_does_nothing(
    stage: Stage, registry: Registry
) -> None:
    first, second = [cell.ref for cell in await members_of(stage, 2)]
    await registry.leave("a", first)
    for ref in (first, second):
        await registry.join("a", ref)
    await registry.leave("a", first)
    await registry.leave("a", first)
    await registry.leave("b", second)

    assert registry.members("a") == (second,)
    assert registry.groups_of(first) == ()
    await registry.leave("a", second)
    assert dict(registry.sizes()) == {}


async def test_leaving_all_frees_the_names_too(
    stage: Stage, registry: Registry
) -> None:
    ref = (await stage.spawn()).ref
    await registry.register("lobby", ref)
    await registry.join("a", ref)
    await registry.join("b", ref)
    await registry.leave_all(ref)
    await registry.leave_all(ref)

    assert registry.whereis("lobby") is None
    assert registry.groups_of(ref) == ()
    assert ref.alive
    await registry.join("a", ref)  # and may begin anew
    await ref.stop()
    assert registry.members("a") == ()


async def test_a_group_ends_with_its_last_member(
    stage: Stage, registry: Registry
) -> None:
    cells = await members_of(stage, 2)
    for cell in cells:
        await registry.join("a", cell.ref)
    await cells[0].ref.stop()
    assert registry.members("a") == (cells[1].ref,)
    await cells[1].ref.stop()

    assert dict(registry.sizes()) == {}


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
    cells = await members_of(stage, 3)
    for cell in cells:
        await registry.join("a", cell.ref)
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
    results: list[bool] = []

    async def deliver() -> None:
        results.append(await registry.deliver(mailbox, "delivered"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deliver)
        await wait_idle()
        assert results == []
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
    results: list[bool] = []

    async def deliver() -> None:
        results.append(await registry.deliver(mailbox, "second"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deliver)
        await wait_idle()
        assert results == []
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
    results: list[bool] = []

    async def deliver() -> None:
        results.append(await registry.deliver(mailbox, "second"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deliver)
        await wait_idle()
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
    mailbox, _ = outbox()
    await registry.publish(["nobody"], "to keep it busy")
    assert await registry.deliver(mailbox, "promised")
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
    mailbox, _ = outbox()
    await registry.publish(["nobody"], "to keep it busy")
    assert await registry.deliver(mailbox, "promised")
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
    mailbox, _ = outbox()
    await registry.publish(["nobody"], "to keep it busy")
    assert await registry.deliver(mailbox, "promised")
    later = cell.mailbox.queue[-1]
    await wait_idle()
    registry.receive(later)

    assert list(mailbox.queue) == ["promised"]
    assert balanced(mailbox)


# -- many members ----------------------------------------------------------


async def test_many_members_are_told_in_waves_and_each_once(
    stage: Stage, registry: Registry
) -> None:
    cells = await members_of(stage, 40)
    for cell in cells:
        await registry.join("a", cell.ref)
        await registry.join("b", cell.ref)
    await registry.publish(["a", "b"], "hello", skip=[cells[0].ref])
    await wait_idle()

    assert [seen_by(cell) for cell in cells] == [[]] + [["hello"]] * 39


async def test_a_wave_waits_only_so_long_for_members_that_do_not_progress(
    stage: Stage, registry: Registry
) -> None:
    cells = await members_of(stage, 40, capacity=1)
    gates = [await hold(cell) for cell in cells]
    for cell in cells:
        await registry.join("a", cell.ref)
    await registry.publish(["a"], "hello")
    await wait_idle()

    assert all(list(cell.mailbox.queue) == ["hello"] for cell in cells)
    assert all(cell.mailbox.overtaken for cell in cells)
    for go in gates:
        go.set()
    await wait_idle()
    assert [seen_by(cell) for cell in cells] == [["hello"]] * 40


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
