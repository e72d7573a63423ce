"""On asyncio too a seed decides who falls behind, in virtual time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import Actor, ActorSystem
from greenroom.testing import VirtualEventLoop, virtual_backend


async def order() -> str:
    """In which order four tasks end that begin one after the other."""
    seen: list[str] = []

    async def task(name: str) -> None:
        for _ in range(3):
            await checkpoint()
        seen.append(name)

    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(task, name)
    return "".join(seen)


def run(seed: int | None) -> str:
    """The order that *seed* decides."""
    name, options = virtual_backend("asyncio", seed=seed)
    return anyio.run(order, backend=name, backend_options=options)


def test_without_a_seed_nobody_falls_behind() -> None:
    assert {run(None) for _ in range(5)} == {"abcd"}


def test_equal_seeds_are_equal_orders() -> None:
    orders = [run(seed) for seed in range(50)]

    assert orders == [run(seed) for seed in range(50)]
    assert len(set(orders)) > 10


def test_actors_live_on_such_a_loop() -> None:
    class Echo(Actor[int]):
        def receive(self, message: int) -> int:
            return message

    async def main() -> list[int]:
        async with ActorSystem() as system:
            ref = await system.spawn(Echo())
            await asyncio.sleep(100)
            return [await ref.ask(number) for number in range(10)]  # type: ignore[misc]

    for seed in range(20):
        with asyncio.Runner(loop_factory=partial(VirtualEventLoop, seed)) as runner:
            assert runner.run(main()) == list(range(10))


def test_what_is_no_step_of_a_task_is_never_late() -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_soon(seen.append, number)
        for _ in range(100):
            await asyncio.sleep(0)
        return seen

    for seed in range(10):
        with asyncio.Runner(loop_factory=partial(VirtualEventLoop, seed)) as runner:
            assert runner.run(main()) == list(range(20))


def test_trio_is_simulated_and_not_seeded() -> None:
    with pytest.raises(ValueError, match="seed must be None on trio, got 1"):
        virtual_backend("trio", seed=1)


@pytest.mark.parametrize("backend", ["curio", "", None])
def test_there_are_two_backends(backend: Any) -> None:
    with pytest.raises(ValueError, match="backend must be 'asyncio' or 'trio'"):
        virtual_backend(backend)
