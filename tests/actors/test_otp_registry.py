"""One holder to a name, as Elixir's Registry tests have it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import ActorRef, AskCycle, NameTaken, Registry
from greenroom.actors import Cell, Joined, Left, Registered, RegistryEvent, Unregistered
from greenroom.testing import wait_idle

from .members import refs
from .stage import Puppet, Stage, takes

pytestmark = pytest.mark.anyio


# -- 123..127: unique names ------------------------------------------------


async def test_a_second_registration_of_a_name_returns_the_holder(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 123: has unique registrations (across processes)."""
    holder, other = await refs(stage, 2)
    await registry.register("lobby", holder)
    with pytest.raises(NameTaken) as caught:
        await registry.register("lobby", other)

    assert caught.value.holder is holder
    assert registry.whereis("lobby") is holder


async def test_an_actor_registers_itself_under_many_names(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 123: has unique registrations (across processes)."""
    cell = await stage.spawn()

    async def register(puppet: Puppet) -> None:
        for name in ("lobby", "hall"):
            await registry.register(name, puppet.context.ref)

    await cell.ref.ask(register)
    assert registry.whereis("lobby") is registry.whereis("hall") is cell.ref


async def test_the_name_of_a_dead_holder_can_be_taken_at_once(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 124: has unique registrations even if partition is delayed."""
    holder, other = await refs(stage, 2)
    await registry.register("lobby", holder)
    busy = await stage.spawn()
    # A registry that is far behind delays no one: the end frees the name.
    for number in range(100):
        await registry.publish(["room"], number)
    holder.kill()
    await holder.wait_stopped()
    assert registry.whereis("lobby") is None

    await registry.register("lobby", other)
    assert registry.whereis("lobby") is other
    await busy.ref.stop()


async def test_a_crash_takes_the_actor_out_of_the_registry(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 125: cleans up registry on process crash."""
    cell = await stage.spawn()
    await registry.register("lobby", cell.ref, "a value")
    await registry.join("room", cell.ref, value="a value")
    cell.ref.tell(lambda _: 1 // 0)
    await cell.ref.wait_stopped()

    assert registry.whereis("lobby") is None
    assert registry.entry("lobby") is None
    assert registry.entries("room") == ()


async def test_unregistering_takes_one_name_and_twice_is_fine(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 126: unregisters process by key."""
    (ref,) = await refs(stage, 1)
    await registry.register("lobby", ref)
    await registry.register("hall", ref)
    for _ in range(2):
        await registry.unregister("lobby", ref)

    assert registry.whereis("lobby") is None
    assert registry.whereis("hall") is ref


async def test_unregistering_what_was_never_registered_is_fine(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 126: unregisters with no entries."""
    holder, other = await refs(stage, 2)
    await registry.register("lobby", holder)
    await registry.unregister("hall", other)
    await registry.unregister("lobby", other)
    await registry.leave("room", other)
    await registry.leave_all(other)

    assert registry.whereis("lobby") is holder


async def test_a_registration_that_fails_leaves_nothing_behind(
    stage: Stage, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour 127: doesn't grow ets on already_registered."""
    watched = count_watches(monkeypatch)
    holder, other = await refs(stage, 2)
    await registry.register("lobby", holder)
    heard: list[RegistryEvent] = []
    registry.listen(heard.append)
    for _ in range(100):
        with pytest.raises(NameTaken):
            await registry.register("lobby", other)

    assert heard == []
    assert watched == [holder]
    await other.stop()  # and takes nothing along
    assert registry.whereis("lobby") is holder


# -- 129, 130: listeners and watches ---------------------------------------


async def test_listeners_hear_of_registrations_and_their_ends(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 129: allows listeners."""
    one, two = await refs(stage, 2)
    heard: list[RegistryEvent] = []
    forget = registry.listen(heard.append)
    await registry.register("lobby", one, "value")
    await registry.join("room", two, value=1)
    await registry.join("room", two, value=2)
    await registry.unregister("lobby", one)
    await two.stop()
    forget()
    await registry.register("lobby", one)

    assert heard == [
        Registered("lobby", one, "value"),
        Joined("room", two, 1),
        Joined("room", two, 2),
        Unregistered("lobby", one),
        Left("room", two),
    ]


def count_watches(monkeypatch: pytest.MonkeyPatch) -> list[ActorRef[Any]]:
    """Who is watched for its end, as the registry asks for it and takes it back."""
    watched: list[ActorRef[Any]] = []
    at_end: Any = Cell[Any].at_end
    not_at_end: Any = Cell[Any].not_at_end

    def begin(cell: Cell[Any], release: Any) -> None:
        watched.append(cell.ref)
        at_end(cell, release)

    def end(cell: Cell[Any], release: Any) -> None:
        watched.remove(cell.ref)
        not_at_end(cell, release)

    monkeypatch.setattr(Cell, "at_end", begin)
    monkeypatch.setattr(Cell, "not_at_end", end)
    return watched


async def test_the_last_unregistration_ends_the_watch(
    stage: Stage, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour 130: links and unlinks on register/unregister."""
    watched = count_watches(monkeypatch)
    (ref,) = await refs(stage, 1)
    await registry.register("lobby", ref)
    await registry.register("hall", ref)
    await registry.join("room", ref)
    assert watched == [ref]
    await registry.unregister("lobby", ref)
    await registry.leave("room", ref)
    assert watched == [ref]
    await registry.unregister("hall", ref)
    assert watched == []


# -- 136: get or spawn -----------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 3])
async def test_who_gets_or_spawns_waits_for_a_holder_that_is_stopping(
    stage: Stage, registry: Registry, seconds: float
) -> None:
    old = await stage.spawn(Puppet(stopped=takes(seconds)))
    await registry.register("lobby", old.ref)
    old.ref.stop_nowait()
    await wait_idle()
    assert registry.whereis("lobby") is (old.ref if seconds else None)

    async def spawn() -> ActorRef[Any]:
        assert registry.whereis("lobby") is None
        return (await stage.spawn()).ref

    got: list[ActorRef[Any]] = []

    async def get() -> None:
        got.append(await registry.get_or_spawn("lobby", spawn))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(get)

    assert len(set(got)) == 1
    assert got[0] is not old.ref
    assert registry.whereis("lobby") is got[0]


async def test_who_spawns_beside_a_holder_that_is_stopping_takes_its_name(
    stage: Stage, registry: Registry
) -> None:
    rival, mine = await stage.spawn(Puppet(stopped=takes(3))), await stage.spawn()

    async def spawn() -> ActorRef[Any]:
        await registry.register("lobby", rival.ref)
        rival.ref.stop_nowait()
        return mine.ref

    assert await registry.get_or_spawn("lobby", spawn) is mine.ref
    assert mine.ref.alive
    assert registry.whereis("lobby") is mine.ref


async def test_an_actor_that_is_stopping_does_not_wait_for_its_own_name(
    stage: Stage, registry: Registry
) -> None:
    cycles: list[tuple[str, ...]] = []

    async def spawn() -> ActorRef[Any]:
        raise AssertionError("the name is taken")

    async def replace(puppet: Puppet, _: object) -> None:
        with pytest.raises(AskCycle) as caught:
            await registry.get_or_spawn("lobby", spawn)
        cycles.append(caught.value.cycle)

    cell = await stage.spawn(Puppet(stopped=replace))
    await registry.register("lobby", cell.ref)
    await cell.ref.stop()

    assert cycles == [(cell.path, cell.path)]
