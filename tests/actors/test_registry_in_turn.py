"""What is done in the registry's turn: nothing comes before or between."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from greenroom import ActorNotAlive, ActorRef, Registry
from greenroom.actors import Left
from greenroom.testing._clock import wait_idle

from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


async def member(stage: Stage) -> tuple[ActorRef[Any], list[object]]:
    cell = await stage.spawn()
    assert isinstance(cell.actor, Puppet)
    return cell.ref, cell.actor.seen


async def test_what_is_published_is_made_when_its_turn_has_come(
    stage: Stage, registry: Registry
) -> None:
    ref, seen = await member(stage)
    skipped, nothing = await member(stage)
    await registry.join("room", ref)
    await registry.join("room", skipped)
    made: list[object] = []

    def make(message: object) -> object:
        made.append(message)
        return f"{message}, number {len(made)}"

    await registry.publish(["room"], "a", in_turn=make, skip=[skipped])
    await registry.publish(["room"], "b", in_turn=make, skip=[skipped])
    assert made == []
    await registry.publish(["room"], "c", skip=[skipped])
    await wait_idle()

    assert made == ["a", "b"]
    assert seen == ["a, number 1", "b, number 2", "c"]
    assert nothing == []


async def test_it_is_made_even_if_nobody_is_there(registry: Registry) -> None:
    made: list[object] = []
    await registry.publish(["empty"], "a", in_turn=made.append)
    await wait_idle()

    assert made == ["a"]


async def test_what_cannot_be_made_is_logged_and_not_told(
    stage: Stage, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    ref, seen = await member(stage)
    await registry.join("room", ref)

    def fail(message: object) -> object:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        await registry.publish(["room"], "a", in_turn=fail)
        await registry.publish(["room"], "b")
        await wait_idle()

    assert seen == ["b"]
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_who_joins_may_do_something_in_the_same_turn(
    stage: Stage, registry: Registry
) -> None:
    ref, seen = await member(stage)
    published: list[object] = []

    def publish(message: object) -> object:
        published.append(message)
        return message

    def look() -> list[object]:
        assert registry.is_member("room", ref)
        return list(published)

    results: list[object] = []
    async with anyio.create_task_group() as tasks:

        async def join() -> None:
            results.append(await registry.join("room", ref, in_turn=look))

        for number in range(10):
            await registry.publish(["room"], number, in_turn=publish)
            if number == 4:
                tasks.start_soon(join)
            await anyio.lowlevel.checkpoint()
    await wait_idle()

    # Each number is in what was found, or came after, and none is in both.
    (found,) = results
    assert isinstance(found, list)
    assert found + seen == list(range(10))
    assert found[:4] == [0, 1, 2, 3]


async def test_a_join_returns_nothing_by_itself(
    stage: Stage, registry: Registry
) -> None:
    ref, _ = await member(stage)
    assert await registry.join("room", ref) is None


@pytest.mark.parametrize("was_in", [False, True])
async def test_who_fails_in_its_turn_has_not_joined(
    stage: Stage, registry: Registry, was_in: bool
) -> None:
    ref, _ = await member(stage)
    if was_in:
        await registry.join("room", ref)
    heard: list[object] = []
    registry.listen(heard.append)

    def fail() -> object:
        raise ZeroDivisionError("in its turn")

    with pytest.raises(ZeroDivisionError, match="in its turn"):
        await registry.join("room", ref, in_turn=fail)

    assert registry.is_member("room", ref) == was_in
    assert (heard[-1:] == [Left("room", ref)]) == (not was_in)
    # The registry is none the worse for it.
    assert await registry.join("room", ref, in_turn=lambda: 7) == 7


async def test_nothing_is_done_for_one_who_has_ended(
    stage: Stage, registry: Registry
) -> None:
    ref, _ = await member(stage)
    await ref.stop()
    done: list[None] = []
    with pytest.raises(ActorNotAlive):
        await registry.join("room", ref, in_turn=lambda: done.append(None))

    assert done == []
