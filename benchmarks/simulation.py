"""Measure how many worlds a second are simulated.

``python -m benchmarks.simulation``, from the root of the repository.  A world is
begun, runs by its seed, is held to its laws after every step, and ends.  The first
figure is for one process, in processor time; the second is what the clock on the
wall says with as many processes as there are processors.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import anyio

from greenroom import Actor, ActorSystem, Intensity, Restart
from greenroom.testing import Faults, World, explore

from .harness.machine import describe

Main = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rate:
    """How many worlds of one kind.

    Attributes:
        world: The kind.
        steps: Steps of all tasks together, per world.
        per_second: Worlds per second of processor time, in one process.
        by_the_clock: Worlds per second of real time, in all processes.
    """

    world: str
    steps: float
    per_second: float
    by_the_clock: float


class Echo(Actor[int]):
    """Answers with what it was asked."""

    def receive(self, message: int) -> int:
        return message


async def tasks(world: World) -> None:
    """Three tasks that pause three times each."""

    async def run() -> None:
        for _ in range(3):
            await world.pause()

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(run)


async def system(world: World) -> None:
    """A system with one actor, asked three times."""
    async with ActorSystem() as running:
        ref = await running.spawn(Echo())
        for number in range(3):
            assert await ref.ask(number) == number


async def crowd(world: World) -> None:
    """A system with three actors, asked by three tasks three times each."""
    async with ActorSystem() as running, anyio.create_task_group() as group:

        async def ask() -> None:
            ref = await running.spawn(Echo())
            for number in range(3):
                assert await ref.ask(number) == number

        for _ in range(3):
            group.start_soon(ask)


async def faulty(world: World) -> None:
    """A system with two actors that crash now and then, and are restarted."""
    world.inject("/echo-*", Faults(crash=0.1, kill=0.05, cancel=0.05))
    patient = Intensity(max_restarts=1000, period=1.0)
    async with ActorSystem(intensity=patient, backoff=None) as running:
        for number in range(2):
            ref = await running.spawn(
                Echo, name=f"echo-{number}", restart=Restart.PERMANENT
            )
            for message in range(5):
                ref.try_tell(message)
        await anyio.sleep(1)


WORLDS: tuple[Main, ...] = (tasks, system, crowd, faulty)


def measure(main: Main, seeds: int, rounds: int) -> Rate:
    """Explore *main* with *seeds*, *rounds* times; the medians."""
    processors = len(os.sched_getaffinity(0))
    explored = explore(main, range(seeds))
    alone: list[float] = []
    together: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        explore(main, range(seeds))
        alone.append(seeds / (time.process_time() - began))
        began = time.perf_counter()
        explore(main, range(seeds), processes=processors)
        together.append(seeds / (time.perf_counter() - began))
    said = (main.__doc__ or "").rstrip(".")
    steps = explored.steps / explored.schedules
    return Rate(said, steps, median(alone), median(together))


def run() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()

    print(f"  {'world':68}{'steps':>6}{'per CPU s':>11}{'per s':>8}")
    rates: list[Rate] = []
    for main in WORLDS:
        rate = measure(main, arguments.seeds, arguments.rounds)
        rates.append(rate)
        print(
            f"  {rate.world:68}{rate.steps:>6.0f}{rate.per_second:>11,.0f}"
            f"{rate.by_the_clock:>8,.0f}",
            flush=True,
        )
    if arguments.json is not None:
        figures = {"machine": describe(), "rates": [asdict(rate) for rate in rates]}
        arguments.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    run()
