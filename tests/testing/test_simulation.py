"""A simulated world is decided by its seed, and by nothing else."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from trio.lowlevel import checkpoint

from greenroom import Actor, ActorCrashed, ActorSystem, Restart
from greenroom.testing import (
    Exploration,
    Schedule,
    World,
    explore,
    simulate,
    wait_idle,
)

from .simulated_trace import Trace, abortable, trace_of

PROGRAM = Path(__file__).with_name("simulated_trace.py")


class Counter(Actor[int]):
    """Adds up."""

    def __init__(self) -> None:
        self.total = 0

    def receive(self, message: int) -> int:
        self.total += message
        return self.total


async def small(world: World) -> int:
    """A world with two actors, and two who ask them."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        for _ in range(2):
            ref = await system.spawn(Counter())
            tasks.start_soon(ref.ask, 1)
            tasks.start_soon(ref.ask, 2)
        await anyio.sleep(1)
    return world.fingerprint


async def order(world: World) -> str:
    """In which order three tasks end."""
    seen: list[str] = []

    async def task(name: str) -> None:
        for _ in range(3):
            await checkpoint()
        await world.pause()
        seen.append(name)

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(task, name)
    return "".join(seen)


# -- one seed, one world ----------------------------------------------------


def test_one_seed_is_one_trace_in_twenty_processes() -> None:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}

    def start(number: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), "1", "2", "3"],
            env={**environment, "PYTHONHASHSEED": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    traces: set[str] = set()
    for first in range(0, 20, 2):
        for process in [start(first), start(first + 1)]:
            output, _ = process.communicate()
            assert process.returncode == 0
            traces.add(output)

    assert len(traces) == 1
    # Of three worlds, each another.
    assert len(set(traces.pop().splitlines())) == 3


def test_another_seed_is_another_trace() -> None:
    traces = [trace_of(seed) for seed in range(10)]

    assert len(set(map(tuple, traces))) == 10
    aborts = [tuple(line for line in trace if "abort" in line) for trace in traces]
    assert len(set(aborts)) == 10


def test_a_seed_is_the_same_world_alone_and_among_others() -> None:
    among: list[int] = []

    async def main(world: World) -> None:
        among.append(await small(world))

    explore(main, range(20))

    assert among == [simulate(small, seed) for seed in range(20)]
    assert len(set(among)) > 10


def test_every_order_of_tasks_comes_up() -> None:
    orders = {simulate(order, seed) for seed in range(100)}

    assert orders == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_random_numbers_are_decided_by_the_seed() -> None:
    async def draw(world: World) -> tuple[float, float]:
        return random.random(), world.random.random()

    assert simulate(draw, 1) == simulate(draw, 1)
    assert simulate(draw, 1) != simulate(draw, 2)


def test_time_is_virtual_and_begins_at_zero() -> None:
    seen: list[float] = []

    async def main(world: World) -> None:
        seen.append(world.now)
        await anyio.sleep(3600)
        seen.append(anyio.current_time())
        assert world.now == anyio.current_time()

    began = time.monotonic()
    explore(main, range(3))

    assert seen == [0.0, 3600.0] * 3
    assert time.monotonic() - began < 60


def test_waiting_until_idle_takes_no_time() -> None:
    async def main(world: World) -> list[str]:
        seen: list[str] = []

        async def work() -> None:
            await checkpoint()
            seen.append("worked")
            await anyio.sleep(1)
            seen.append("slept")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await wait_idle()
            seen.append(f"idle at {world.now:g}")
        return seen

    assert simulate(main) == ["worked", "idle at 0", "slept"]


variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


def test_a_world_knows_nothing_of_the_one_before() -> None:
    async def main(world: World) -> None:
        assert variable.get() == 1
        assert world.steps < 10
        variable.set(2)

    token = variable.set(1)
    try:
        explore(main, range(5))
        assert variable.get() == 1
    finally:
        variable.reset(token)


def test_async_generators_are_finished() -> None:
    seen: list[str] = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            seen.append("closed")

    async def main(_: World) -> None:
        # Left to the garbage collector, which calls from no task.
        await anext(numbers())
        await anyio.sleep(1)

    with pytest.warns(ResourceWarning, match="garbage collected"):
        simulate(main)
    assert seen == ["closed"]


def test_the_seed_decides_how_long_a_supervisor_waits() -> None:
    class Failing(Actor[int]):
        def receive(self, message: int) -> None:
            raise ValueError(message)

    async def main(world: World) -> float:
        async with ActorSystem() as system:
            ref = await system.spawn(Failing, restart=Restart.PERMANENT)
            for number in range(3):
                with pytest.raises(ActorCrashed):
                    await ref.ask(number, timeout=None)
        return world.now

    assert len({simulate(main) for _ in range(5)}) == 1


def test_the_tasks_of_an_actor_are_cancelled_in_an_order_of_their_own() -> None:
    trace = Trace()

    class Parent(Actor[int]):
        async def started(self) -> None:
            for number in range(30):
                self.context.start_soon(abortable, str(number), trace)

    async def main(_: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Parent())
            await wait_idle()
            await ref.stop()

    simulate(main, Schedule())
    assert trace == [f"abort {number}" for number in range(30)]


# -- what it returns and raises ---------------------------------------------


def test_the_result_is_that_of_the_function() -> None:
    async def main(world: World) -> str:
        await world.pause()
        return "result"

    assert simulate(main) == "result"


def test_what_was_explored_is_counted() -> None:
    async def main(_: World) -> None:
        await checkpoint()

    explored = explore(main, range(7))

    assert (explored.schedules, explored.distinct) == (7, 1)
    assert explored.steps >= 7
    assert explore(small, range(20)).distinct > 10
    assert explore(main, []) == Exploration(0, 0, 0)


async def fail_at_42(world: World) -> None:
    """Fails with one seed."""
    if world.random.getstate() == random.Random(42).getstate():
        raise ValueError("found")


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda: simulate(fail_at_42, 42), id="simulate"),
        pytest.param(lambda: explore(fail_at_42), id="explore"),
    ],
)
def test_a_failure_says_which_seed_replays_it(run: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="found") as caught:
        run()

    shown = traceback.format_exception(caught.value)
    assert shown[-1] == "greenroom: replay with seed 42\n"


def test_exploring_ends_with_the_first_failure() -> None:
    seen: list[int] = []

    async def main(world: World) -> None:
        seen.append(len(seen))
        assert len(seen) < 3

    with pytest.raises(AssertionError):
        explore(main)
    assert seen == [0, 1, 2]


def test_exploring_is_quiet_and_simulating_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(_: World) -> None:
        logging.getLogger("greenroom.actors").error("something")

    explore(main, range(3))
    assert caplog.messages == []
    simulate(main)
    assert caplog.messages == ["something"]


@pytest.mark.parametrize("seed", ["1", 1.0, None, True])
def test_a_seed_is_a_number(seed: Any) -> None:
    with pytest.raises(TypeError, match="seed must be an int or a Schedule, got"):
        simulate(small, seed)


@pytest.mark.parametrize("steps", [0, -1, 1.0, True])
def test_the_limit_is_a_count(steps: Any) -> None:
    with pytest.raises(ValueError, match="max_steps must be an int of at least 1"):
        simulate(small, max_steps=steps)
    with pytest.raises(ValueError, match="max_steps must be an int of at least 1"):
        explore(small, max_steps=steps)


# -- what it leaves behind --------------------------------------------------


@contextmanager
def unchanged() -> Generator[None]:
    """Nothing of trio's, nor of Python's random numbers, differs afterwards."""
    core: Any = import_module("trio._core._run")

    context: dict[str, object] = core.GLOBAL_RUN_CONTEXT.__dict__

    def state() -> tuple[object, ...]:
        return (
            core._ALLOW_DETERMINISTIC_SCHEDULING,
            core._r,
            core.CancelStatus,
            core.sniffio_library.name,
            dict(context),
            sys.get_asyncgen_hooks(),
            random.getstate(),
            logging.getLogger("greenroom").level,
        )

    before = state()
    yield
    assert state() == before


async def stand_still(_: World) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()


async def misbehave(_: World) -> None:
    """Goes on whatever happens."""
    while True:
        try:
            await anyio.sleep_forever()
        except trio.Cancelled:
            continue


# What cannot be ended is given up, and Python complains as it throws it away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("main", [small, fail_at_42, stand_still, misbehave])
def test_everything_is_put_back(main: Callable[[World], Awaitable[Any]]) -> None:
    with unchanged():
        try:
            explore(main, range(41, 43))
        except Exception:
            assert main is not small
        gc.collect()

    async def later() -> float:
        return trio.current_time()

    assert trio.run(later) > 1000


def test_it_does_not_begin_inside_an_event_loop() -> None:
    async def main() -> None:
        with unchanged(), pytest.raises(RuntimeError, match="event loop of its own"):
            simulate(small)

    trio.run(main)
    asyncio.run(main())
