"""The root of a tree, as a block."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorNotAlive,
    ActorSystem,
    ChildExists,
    ChildNotFound,
    Restart,
)

from .kit import (
    Boom,
    Journal,
    Worker,
)

pytestmark = pytest.mark.anyio


class Counter(Actor[int]):
    """Adds up."""

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def receive(self, message: int) -> int:
        self.total += message
        return self.total


async def test_an_actor_or_what_makes_one_is_spawned() -> None:
    async with ActorSystem() as system:
        refs = [
            await system.spawn(Counter(1)),
            await system.spawn(Counter, restart=Restart.PERMANENT),
            await system.spawn(lambda: Counter(3), restart=Restart.TRANSIENT),
            await system.spawn(partial(Counter, 4)),
            await system.spawn(Counter, name="five"),
        ]
        assert [ref.path for ref in refs] == [
            "/Counter-1",
            "/Counter-2",
            "/lambda-3",
            "/actor-4",
            "/five",
        ]
        assert [await ref.ask(1) for ref in refs] == [2, 1, 4, 5, 1]


async def test_an_actor_itself_cannot_be_restarted() -> None:
    async with ActorSystem() as system:
        for restart in (Restart.PERMANENT, Restart.TRANSIENT):
            with pytest.raises(ValueError, match="actor must be a factory to be"):
                await system.spawn(Counter(), restart=restart)


async def test_a_name_is_taken_once() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter(), name="counter")
        with pytest.raises(ChildExists) as exists:
            await system.spawn(Counter(), name="counter")
        assert exists.value.ref is ref
        await system.stop_child("counter")
        assert not ref.alive
        with pytest.raises(ChildNotFound):
            await system.stop_child("counter")
        assert (await system.spawn(Counter(), name="counter")).alive


async def test_actors_stop_in_the_reverse_of_their_start() -> None:
    journal = Journal()
    async with ActorSystem() as system:
        for name in "abcde":
            await system.spawn(Worker(name, journal))
    assert journal.of("gone") == list("edcba")


async def test_the_children_of_the_root_are_listed() -> None:
    async with ActorSystem() as system:
        await system.spawn(Counter(), name="counter")
        assert [info.id for info in system.children()] == ["_registry", "counter"]
        ref = await system.spawn(Counter())
        await system.registry.register("key", ref)
        assert system.registry.whereis("key") is ref
        assert system.dead_letters.total == 0


async def test_a_system_is_entered_only_once() -> None:
    system = ActorSystem()
    with pytest.raises(RuntimeError, match="has not been entered"):
        _ = system.runtime
    system.stop()  # no block to end yet
    async with system:
        with pytest.raises(RuntimeError, match="only once"):
            await system.__aenter__()
    with pytest.raises(RuntimeError, match="only once"):
        await system.__aenter__()


async def test_nothing_is_spawned_before_the_block_or_after_it() -> None:
    system = ActorSystem()
    with pytest.raises(ActorNotAlive):
        await system.spawn(Counter())
    async with system:
        pass
    with pytest.raises(ActorNotAlive):
        await system.spawn(Counter())


@pytest.mark.parametrize("timeout", [-1, math.nan, None, "30"])
async def test_a_wrong_shutdown_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(ValueError, match="shutdown_timeout must be seconds"):
        ActorSystem(shutdown_timeout=timeout)


async def test_the_block_can_be_ended_from_anywhere_inside_it() -> None:
    journal = Journal()

    class Ender(Worker):
        async def receive(self, message: object) -> None:
            assert isinstance(message, ActorSystem)
            message.stop()

    async with ActorSystem() as system:
        await system.spawn(Worker("a", journal))
        ref = await system.spawn(Ender("b", journal))
        ref.tell(system)
        await anyio.sleep_forever()
    assert journal.of("gone") == ["b", "a"]


async def test_the_error_of_the_block_comes_out_as_it_is() -> None:
    journal = Journal()
    error = Boom()

    async def run() -> None:
        async with ActorSystem() as system:
            await system.spawn(Worker("a", journal))
            raise error

    with pytest.raises(Boom) as raised:
        await run()
    assert raised.value is error
    assert journal.of("gone") == ["a"]
