"""Simulating: one world, or as many as it takes to find what is wrong.

    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ...

    explore(main)          # finds a seed with which it fails,
    simulate(main, 4711)   # and shows it as often as you like
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, final

from ._engine import Engine
from ._schedule import Choices, Schedule, Scheduled, Seeded
from ._world import World

T = TypeVar("T")

Main: TypeAlias = Callable[[World], Awaitable[T]]

MAX_STEPS = 100_000


@final
@dataclass(frozen=True, slots=True)
class Exploration:
    """What `explore` has seen.

    Attributes:
        schedules: How many worlds it ran.
        distinct: How many different orders of events there were among them.
        steps: How many steps their tasks made, together.
    """

    schedules: int
    distinct: int
    steps: int


def simulate(
    main: Main[T], seed: int | Schedule = 0, *, max_steps: int = MAX_STEPS
) -> T:
    """Run ``main(world)`` in a world in which *seed* decides every order of events.

    Time is virtual.  Runs with equal seeds are equal, step for step, in every
    process; also Python's own `random` is seeded, and put back.  It runs on Trio,
    in the calling thread, which must have no event loop; no other thread may run
    trio meanwhile.  There are no sockets and no worker threads.

    If it fails, the seed is a note of the exception.

    Args:
        main: What is simulated.
        seed: Any number; or a schedule, which says each choice.
        max_steps: After so many steps of all tasks together it hangs.

    Returns:
        What *main* returns.

    Raises:
        InvariantBroken: A mailbox lost a message, or invented one; or what
            `World.invariant` was told did not hold.
        WorldStuck: It came to no end.
        TrioChanged: This version of trio cannot be simulated.
    """
    _require_count("max_steps", max_steps)
    with _own_random():
        return _run(main, seed, max_steps)[1]


def explore(
    main: Main[object],
    seeds: Iterable[int] = range(1000),
    *,
    max_steps: int = MAX_STEPS,
) -> Exploration:
    """Simulate *main* with each of *seeds*, until it fails with one.

    Args:
        main: See `simulate`.
        seeds: Which.
        max_steps: See `simulate`.

    Raises:
        BaseException: What `simulate` raised, with the seed as a note.
    """
    _require_count("max_steps", max_steps)
    schedules, steps = 0, 0
    distinct: set[int] = set()
    with _own_random():
        for seed in seeds:
            engine, _ = _run(main, seed, max_steps)
            schedules += 1
            steps += engine.steps
            distinct.add(engine.fingerprint)
    return Exploration(schedules, len(distinct), steps)


def _run(main: Main[T], seed: int | Schedule, max_steps: int) -> tuple[Engine, T]:
    choices: Choices
    if isinstance(seed, Schedule):
        choices, number, replay = Scheduled(seed), 0, f"schedule {seed!r}"
    elif isinstance(seed, int) and not isinstance(seed, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  # said, not known
        choices, number, replay = Seeded(seed), seed, f"seed {seed}"
    else:
        raise TypeError(f"seed must be an int or a Schedule, got {seed!r}")
    engine = Engine(choices, max_steps)
    world = World(engine, number)
    random.seed(number)
    try:
        return engine, engine.run(lambda: main(world))
    except BaseException as error:
        error.add_note(f"greenroom: replay with {replay}")
        raise


@contextmanager
def _own_random() -> Generator[None]:
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}")
