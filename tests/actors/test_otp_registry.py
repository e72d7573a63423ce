"""Names, groups, values and listeners, as Elixir's Registry tests have them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import anyio
import pytest

from greenroom import (
    ActorNotAlive,
    ActorRef,
    AskCycle,
    Down,
    Entry,
    NamedRef,
    NameTaken,
    NotOwner,
    Registry,
    Shutdown,
    UnknownName,
)
from greenroom.actors import (
    Cell,
    Joined,
    Left,
    Registered,
    RegistryEvent,
    Unregistered,
)
from greenroom.testing import wait_idle

from .stage import Nanny, Puppet, Stage, takes

pytestmark = pytest.mark.anyio


@pytest.fixture
async def registry(stage: Stage) -> Registry:
    registry = Registry()
    await stage.spawn(registry, path="/registry")
    return registry


async def refs(stage: Stage, count: int) -> list[ActorRef[Any]]:
    return [(await stage.spawn()).ref for _ in range(count)]


# -- 123..127: unique names --------------------------------------------------


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


# -- 128: values -------------------------------------------------------------


async def test_a_name_has_a_value_that_its_holder_alone_may_update(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 128: updates current process value."""
    holder, other = await refs(stage, 2)
    await registry.register("lobby", holder, 1)
    assert registry.entry("lobby") == Entry(holder, 1)

    async def update(_: Puppet) -> object:
        return await registry.update("lobby", lambda value: value + 1)

    assert await holder.ask(update) == 2
    assert registry.entry("lobby") == Entry(holder, 2)

    async def update_in_vain(_: object = None) -> None:
        with pytest.raises(NotOwner) as caught:
            await registry.update("lobby", lambda _: "mine")
        assert (caught.value.name, caught.value.holder) == ("lobby", holder)

    await other.ask(update_in_vain)
    await update_in_vain()
    assert registry.entry("lobby") == Entry(holder, 2)


async def test_the_value_of_a_name_that_nobody_holds_cannot_be_updated(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 128: updates current process value."""
    (ref,) = await refs(stage, 1)

    async def update(_: Puppet) -> None:
        with pytest.raises(NotOwner, match="'lobby' is for its holder to change"):
            await registry.update("lobby", lambda _: "mine")

    await ref.ask(update)
    await registry.register("lobby", ref)
    assert registry.entry("lobby") == Entry(ref, None)


async def test_an_update_is_in_its_turn_and_too_late_after_the_name(
    stage: Stage, registry: Registry
) -> None:
    (ref,) = await refs(stage, 1)
    await registry.register("lobby", ref, 1)

    async def update(_: Puppet) -> None:
        with pytest.raises(NotOwner):
            await registry.update("lobby", lambda value: value + 1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(registry.unregister, "lobby", ref)
        tasks.start_soon(ref.ask, update)

    assert registry.entry("lobby") is None


async def test_an_update_that_fails_changes_nothing(
    stage: Stage, registry: Registry
) -> None:
    (ref,) = await refs(stage, 1)
    await registry.register("lobby", ref, 1)

    async def update(_: Puppet) -> None:
        with pytest.raises(ZeroDivisionError):
            await registry.update("lobby", lambda value: value // 0)

    await ref.ask(update)
    assert registry.entry("lobby") == Entry(ref, 1)
    await registry.register("lobby", ref)  # without a value that stays
    assert registry.entry("lobby") == Entry(ref, 1)
    await registry.register("lobby", ref, 2)
    assert registry.entry("lobby") == Entry(ref, 2)


async def test_an_update_of_no_value_begins_with_none(
    stage: Stage, registry: Registry
) -> None:
    (ref,) = await refs(stage, 1)
    await registry.register("lobby", ref)

    async def update(_: Puppet) -> object:
        return await registry.update("lobby", lambda value: [value])

    assert await ref.ask(update) == [None]


# -- 129, 130: listeners and watches -----------------------------------------


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


# -- 131, 135: names in place of refs ----------------------------------------


async def test_a_name_is_usable_wherever_a_ref_is(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 131: via callbacks."""
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    lobby: NamedRef[Any] = registry.via("lobby")
    await registry.register("lobby", cell.ref)

    assert lobby.ref is cell.ref
    lobby.tell("told")
    assert lobby.try_tell("tried")
    await lobby.send("sent")
    assert await lobby.ask("asked") == "asked"
    assert await lobby.request("requested").wait() == "requested"
    assert puppet.seen == ["told", "tried", "sent", "asked", "requested"]
    assert lobby.alive
    monitor = lobby.monitor()
    assert await lobby.stop(Shutdown("done")) == Shutdown("done")
    assert await monitor.wait() == Down(cell.ref, Shutdown("done"))
    assert not lobby.alive
    assert repr(lobby) == "<NamedRef 'lobby'>"


async def test_a_name_is_looked_up_at_each_use(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 131: uses value provided in via."""
    one, two = await refs(stage, 2)
    lobby = registry.via("lobby")
    await registry.register("lobby", one, "first")
    assert (lobby.ref, registry.entry("lobby")) == (one, Entry(one, "first"))
    await one.stop()
    await registry.register("lobby", two, "second")

    assert (lobby.ref, registry.entry("lobby")) == (two, Entry(two, "second"))

    def path(puppet: Puppet) -> str:
        return puppet.context.path

    assert await lobby.ask(path) == two.path


async def test_a_name_stays_while_its_actor_restarts(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 131: via callbacks."""
    cell = await stage.spawn(Puppet, Nanny(later=True))
    await registry.register("lobby", cell.ref)
    lobby = registry.via("lobby")
    cell.ref.kill()
    await cell.ref.wait_stopped()
    lobby.tell("while it is down")
    assert lobby.alive
    cell.start()
    await wait_idle()

    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["while it is down"]


async def test_a_name_that_nobody_holds_is_an_error_of_its_own(
    registry: Registry,
) -> None:
    """Behaviour 135: raises on unknown registry name."""
    nobody: NamedRef[str] = registry.via("nobody")
    with pytest.raises(UnknownName, match="nobody holds the name 'nobody'") as caught:
        nobody.tell("hello")
    assert (caught.value.name, caught.value.message) == ("nobody", "hello")
    for use in (nobody.send, nobody.ask):
        with pytest.raises(UnknownName):
            await use("hello")
    with pytest.raises(UnknownName):
        nobody.request("hello")
    with pytest.raises(UnknownName):
        await nobody.stop()
    with pytest.raises(UnknownName):
        nobody.monitor()
    with pytest.raises(UnknownName):
        _ = nobody.ref

    assert not nobody.try_tell("hello")
    assert not nobody.alive


async def test_a_registry_that_does_not_run_is_an_error_of_its_own(
    stage: Stage,
) -> None:
    """Behaviour 135: raises on unknown registry name."""
    (ref,) = await refs(stage, 1)
    registry = Registry()
    with pytest.raises(ActorNotAlive, match="registry is not alive"):
        await registry.register("lobby", ref)
    with pytest.raises(ActorNotAlive):
        await registry.publish(["room"], "hello")
    with pytest.raises(ActorNotAlive):
        registry.lock("lobby")

    cell = await stage.spawn(registry)
    await registry.register("lobby", ref)
    await cell.ref.stop()
    with pytest.raises(ActorNotAlive):
        await registry.register("hall", ref)


# -- 132, 133: many under one key --------------------------------------------


async def test_a_dispatch_runs_in_the_caller_and_not_for_nobody(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 132: dispatches to a single key."""
    one, two = await refs(stage, 2)
    await registry.join("room", one, value=1)
    await registry.join("room", two, value=2)
    calls: list[tuple[object, tuple[Entry, ...]]] = []
    caller = await stage.spawn()

    async def dispatch(puppet: Puppet) -> tuple[bool, bool]:
        def function(entries: tuple[Entry, ...]) -> None:
            calls.append((puppet, entries))

        return registry.dispatch("room", function), registry.dispatch("hall", function)

    assert await caller.ref.ask(dispatch) == (True, False)
    assert calls == [(caller.actor, (Entry(one, 1), Entry(two, 2)))]


async def test_what_a_dispatch_raises_is_the_callers(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 132: dispatches to a single key."""
    (ref,) = await refs(stage, 1)
    await registry.join("room", ref)

    def fail(_: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        registry.dispatch("room", fail)
    assert registry.members("room") == (ref,)


async def test_a_dispatch_to_many_keys_is_one_for_each(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 132: dispatches to multiple keys in serial/parallel."""
    cells = [await stage.spawn() for _ in range(4)]
    for number, cell in enumerate(cells):
        await registry.join(number % 2, cell.ref, value=number)

    async def tell(key: int) -> None:
        def each(entries: tuple[Entry, ...]) -> None:
            for entry in entries:
                entry.ref.tell((key, entry.value))

        registry.dispatch(key, each)

    await tell(0)  # in serial
    await tell(1)
    async with anyio.create_task_group() as tasks:  # in parallel
        tasks.start_soon(tell, 0)
        tasks.start_soon(tell, 1)
    await wait_idle()

    for number, cell in enumerate(cells):
        assert isinstance(cell.actor, Puppet)
        assert cell.actor.seen == [(number % 2, number)] * 2


async def test_an_actor_may_be_under_one_key_more_than_once(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 133: has duplicate registrations (across processes)."""
    puppet = Puppet()
    one, (two,) = await stage.spawn(puppet), await refs(stage, 1)
    await registry.join("room", one.ref, value="a")
    await registry.join("room", two)
    await registry.join("room", one.ref, value="b")

    assert registry.entries("room") == (
        Entry(one.ref, "a"),
        Entry(one.ref, "b"),
        Entry(two, None),
    )
    # A publication is for a member, however many entries that has.
    assert registry.members("room") == (one.ref, two)
    await registry.publish(["room"], "hello")
    await wait_idle()
    assert puppet.seen == ["hello"]
    await registry.leave("room", one.ref)
    assert registry.entries("room") == (Entry(two, None),)


# -- 134: keys ---------------------------------------------------------------


class Point(NamedTuple):
    """A tuple of another class."""

    x: float
    y: float


ALIKE: list[list[Hashable]] = [
    [1, 1.0, True],
    ["1", b"1"],
    [(1, 2), (1.0, 2), (True, 2), Point(1, 2), Point(1, 2.0)],
    [("room", (1,)), ("room", (1.0,))],
    [frozenset({1}), frozenset({1.0}), frozenset({True})],
    [frozenset({(1, 0)}), frozenset({(True, 0)}), frozenset({(1, False)})],
]


@pytest.mark.parametrize("keys", ALIKE)
async def test_keys_that_only_compare_equal_are_different(
    stage: Stage, registry: Registry, keys: list[Hashable]
) -> None:
    """Behaviour 134: compares using ===."""
    holders = await refs(stage, len(keys))
    for key, ref in zip(keys, holders, strict=True):
        await registry.register(key, ref)
        await registry.join(key, ref)

    assert [registry.whereis(key) for key in keys] == holders
    assert [registry.members(key) for key in keys] == [(ref,) for ref in holders]
    held = registry.groups_of(holders[0])
    assert [(type(key), key) for key in held] == [(type(keys[0]), keys[0])]


# -- 136: get or spawn -------------------------------------------------------


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
