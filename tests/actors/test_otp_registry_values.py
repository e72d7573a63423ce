"""A name's value is for its holder to change, as Elixir's Registry tests have it."""

from __future__ import annotations

import anyio
import pytest

from greenroom import Entry, NotOwner, Registry

from .members import refs
from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


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
