"""A name has one holder and a group its members, for as long as they live."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import ActorNotAlive, ActorRef, NameTaken, Registry, Shutdown
from greenroom.testing._clock import wait_idle

from .members import group_a, members_of
from .stage import Nanny, Puppet, Stage

pytestmark = pytest.mark.anyio


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
    cells = await group_a(stage, registry, 2)
    await cells[0].ref.stop()
    assert registry.members("a") == (cells[1].ref,)
    await cells[1].ref.stop()

    assert dict(registry.sizes()) == {}
