"""Simulating: what runs in a world is decided by its seed."""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar, cast, final

from ._engine import Engine
from ._schedule import Choices, Schedule, Scheduled, Seeded
from ._trio import Loop
from ._trio_check import check_trio
from ._world import World

T = TypeVar("T")

Main: TypeAlias = Callable[[World], Awaitable[T]]

MAX_STEPS = 100_000


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
    return Series(main, max_steps).run([seed])


@final
class Series(Generic[T]):
    """Worlds, one after the other.

    Attributes:
        seed: That of the last one.
        schedules: How many have come to a good end.
        steps: How many steps their tasks have made.
        fingerprints: Of the orders of their steps.
    """

    def __init__(self, main: Main[T], max_steps: int) -> None:
        require_count("max_steps", max_steps)
        self._main = main
        self._max_steps = max_steps
        self._engine: Engine | None = None
        self.seed: int | Schedule | None = None
        self.schedules: int = 0
        self.steps: int = 0
        self.fingerprints: set[int] = set()

    def run(self, seeds: Iterable[int | Schedule]) -> T:
        """Run a world for each of *seeds*, until one fails; return its result."""
        check_trio()
        loop = Loop()
        state = random.getstate()
        try:
            return loop.run(lambda: self._run_all(loop, seeds))
        except BaseException as error:
            engine, self._engine = self._engine, None
            if engine is None:
                raise
            failure = engine.failure or error
            kind = "seed" if isinstance(self.seed, int) else "schedule"
            failure.add_note(f"greenroom: replay with {kind} {self.seed!r}")
            if failure is error:
                raise
            # It comes first: what was raised besides came of it.
            raise failure from error
        finally:
            random.setstate(state)

    async def _run_all(self, loop: Loop, seeds: Iterable[int | Schedule]) -> T:
        result: Any = None
        for seed in seeds:
            self.seed = seed
            self._engine, world = _make(seed, self._max_steps)
            result = await self._engine.run(loop, functools.partial(self._main, world))
            self.schedules += 1
            self.steps += self._engine.steps
            self.fingerprints.add(self._engine.fingerprint)
            self._engine = None
        return cast("T", result)


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


def require_count(name: str, value: object) -> None:
    """Refuse what is not a number of things."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}")
