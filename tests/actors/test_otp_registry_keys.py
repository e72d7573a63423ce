"""Many under one key, and keys told apart, as Elixir's Registry tests have it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import anyio
import pytest

from greenroom import Entry, Registry
from greenroom.testing import wait_idle

from .members import refs
from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


# -- 132, 133: many under one key ------------------------------------------


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


# -- 134: keys -------------------------------------------------------------


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
