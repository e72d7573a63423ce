"""Simulating: one world, or as many as it takes to find what is wrong.

async def main(world: World) -> None:
    async with ActorSystem() as system:
        ...

explore(main)          # finds a seed with which it fails,
simulate(main, 4711)   # and shows it as often as you like
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, final

from ._engine import Engine
from ._schedule import Choices, Schedule, Scheduled, Seeded
from ._trio import Loop
from ._trio_check import check_trio
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
    results: list[T] = []
    _run(main, [seed], max_steps, lambda _, result: results.append(result))
    return results[0]


def explore(
    main: Main[object],
    seeds: Iterable[int] = range(1000),
    *,
    max_steps: int = MAX_STEPS,
) -> Exploration:
    """Simulate *main* with each of *seeds*, until it fails with one.

    Meanwhile the library logs nothing; `simulate` with the seed shows all.

    Args:
        main: See `simulate`.
        seeds: Which.
        max_steps: See `simulate`.

    Raises:
        BaseException: What `simulate` raised, with the seed as a note.
    """
    schedules, steps = 0, 0
    distinct: set[int] = set()

    def count(engine: Engine, _: object) -> None:
        nonlocal schedules, steps
        schedules += 1
        steps += engine.steps
        distinct.add(engine.fingerprint)

    # A thousand worlds would fill a log that nobody reads.
    log = logging.getLogger("greenroom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        _run(main, seeds, max_steps, count)
    finally:
        log.setLevel(level)
    return Exploration(schedules, len(distinct), steps)


def _run(
    main: Main[T],
    seeds: Iterable[int | Schedule],
    max_steps: int,
    succeeded: Callable[[Engine, T], None],
) -> None:
    _require_count("max_steps", max_steps)
    check_trio()
    engine: Engine | None = None
    seed: int | Schedule = 0
    loop = Loop()

    async def run_all() -> None:
        nonlocal engine, seed
        for seed in seeds:
            engine, world = _make(seed, max_steps)
            succeeded(engine, await engine.run(loop, lambda w=world: main(w)))

    state = random.getstate()
    try:
        loop.run(run_all)
    except BaseException as error:
        failure = error if engine is None else engine.failure or error
        if engine is not None:
            kind = "seed" if isinstance(seed, int) else "schedule"
            failure.add_note(f"greenroom: replay with {kind} {seed!r}")
        if failure is error:
            raise
        raise failure from error
    finally:
        random.setstate(state)


def _make(seed: int | Schedule, max_steps: int) -> tuple[Engine, World]:
    choices: Choices
    if isinstance(seed, Schedule):
        choices, number = Scheduled(seed), 0
    elif isinstance(seed, int) and not isinstance(seed, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  # said, not known
        choices, number = Seeded(seed), seed
    else:
        raise TypeError(f"seed must be an int or a Schedule, got {seed!r}")
    random.seed(number)
    engine = Engine(choices, max_steps)
    return engine, World(engine, number)


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}")
