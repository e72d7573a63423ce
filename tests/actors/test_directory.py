from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from greenroom import ActorRef, Registry, Shutdown
from greenroom.actors import Joined, Left, Registered, RegistryEvent, Unregistered

from .stage import Stage

pytestmark = pytest.mark.anyio


async def test_a_listener_hears_of_every_change_once(
    stage: Stage, registry: Registry
) -> None:
    ref = (await stage.spawn()).ref
    heard: list[RegistryEvent] = []
    registry.listen(heard.append)
    for _ in range(2):
        await registry.register("name", ref)
        await registry.join("group", ref)
    for _ in range(2):
        await registry.unregister("name", ref)
        await registry.leave("group", ref)

    assert heard == [
        Registered("name", ref),
        Joined("group", ref),
        Unregistered("name", ref),
        Left("group", ref),
    ]


async def leave_all(registry: Registry, ref: ActorRef[Any]) -> None:
    await registry.leave_all(ref)


async def end(registry: Registry, ref: ActorRef[Any]) -> None:
    await ref.stop(Shutdown())


@pytest.mark.parametrize("way", [leave_all, end])
async def test_a_listener_hears_what_an_actor_had_in_the_order_it_came_by_it(
    stage: Stage, registry: Registry, way: Callable[[Registry, ActorRef[Any]], Any]
) -> None:
    ref = (await stage.spawn()).ref
    heard: list[RegistryEvent] = []
    await registry.join("a", ref)
    await registry.register("name", ref)
    await registry.join("b", ref)
    registry.listen(heard.append)
    await way(registry, ref)

    assert heard == [Left("a", ref), Unregistered("name", ref), Left("b", ref)]


async def test_a_listener_that_is_forgotten_hears_no_more(
    stage: Stage, registry: Registry
) -> None:
    ref = (await stage.spawn()).ref
    heard: list[RegistryEvent] = []
    also: list[RegistryEvent] = []
    forget = registry.listen(heard.append)
    registry.listen(also.append)
    await registry.join("a", ref)
    forget()
    forget()
    await registry.join("b", ref)

    assert heard == [Joined("a", ref)]
    assert also == [Joined("a", ref), Joined("b", ref)]


async def test_a_listener_that_raises_is_logged_and_harms_nobody(
    stage: Stage, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: RegistryEvent) -> None:
        raise ZeroDivisionError("broken listener")

    ref = (await stage.spawn()).ref
    heard: list[RegistryEvent] = []
    registry.listen(broken)
    registry.listen(heard.append)
    with caplog.at_level(logging.ERROR, "greenroom.actors"):
        await registry.join("a", ref)

    assert heard == [Joined("a", ref)]
    assert "broken listener" in caplog.text


async def test_an_actor_that_gave_up_all_it_had_is_not_kept_in_mind(
    stage: Stage, registry: Registry
) -> None:
    cell = await stage.spawn()
    heard: list[RegistryEvent] = []
    await registry.join("a", cell.ref)
    await registry.leave("a", cell.ref)
    registry.listen(heard.append)
    await cell.ref.stop()

    assert heard == []


async def test_sizes_cannot_be_changed_from_outside(registry: Registry) -> None:
    sizes: Any = registry.sizes()

    with pytest.raises(TypeError):
        sizes["a"] = 3
