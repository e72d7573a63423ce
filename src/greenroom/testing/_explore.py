"""Exploring: as many worlds as it takes to find what is wrong.

async def main(world: World) -> None:
    async with ActorSystem() as system:
        ...

explore(main)          # finds a seed with which it fails,
simulate(main, 4711)   # and this shows it as often as you like
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from ._errors import NotRepeated
from ._fork import in_processes
from ._simulate import MAX_STEPS, Main, Series, require_count


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


def explore(
    main: Main[object],
    seeds: Iterable[int] = range(1000),
    *,
    processes: int = 1,
    max_steps: int = MAX_STEPS,
) -> Exploration:
    """Simulate *main* with each of *seeds*, until it fails with one.

    Meanwhile the library logs nothing; `simulate` with the seed shows all.

    Args:
        main: See `simulate`.
        seeds: Which.
        processes: How many share the work; they are forks of this one, so what
            *main* leaves outside of its world stays in them, and no debugger or
            coverage tool follows.  A world that fails is run again in this one.
        max_steps: See `simulate`.

    Raises:
        BaseException: What `simulate` raised, with the seed as a note.
        NotRepeated: The world of that seed fails, but not again: something of
            it is not decided by the seed.
    """
    require_count("processes", processes)
    series = Series(main, max_steps)
    with _quiet():
        if processes == 1:
            series.run(seeds)
            return _sum([_Share.of(series)])
        shares = _divide(list(seeds), processes)
        found = in_processes(
            [functools.partial(_explore, main, share, max_steps) for share in shares]
        )
        for share in found:
            if share.failed is not None:
                series.run([share.failed])
                raise NotRepeated(share.failed)
        return _sum(found)


@final
@dataclass(frozen=True, slots=True)
class _Share:
    """What one process has seen."""

    schedules: int
    steps: int
    fingerprints: frozenset[int]
    failed: int | None = None

    @staticmethod
    def of(series: Series[object], failed: int | None = None) -> _Share:
        prints = frozenset(series.fingerprints)
        return _Share(series.schedules, series.steps, prints, failed)


def _divide(seeds: Sequence[int], processes: int) -> list[Sequence[int]]:
    return [seeds[first::processes] for first in range(processes)]


def _explore(main: Main[object], seeds: Sequence[int], max_steps: int) -> _Share:
    series = Series(main, max_steps)
    try:
        series.run(seeds)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # pytest.fail() raises one that is no Exception
        # What it was, can be seen where it is run again.
        assert isinstance(series.seed, int)
        return _Share.of(series, series.seed)
    return _Share.of(series)


def _sum(shares: Sequence[_Share]) -> Exploration:
    fingerprints = frozenset[int]().union(*(share.fingerprints for share in shares))
    return Exploration(
        schedules=sum(share.schedules for share in shares),
        distinct=len(fingerprints),
        steps=sum(share.steps for share in shares),
    )


@contextmanager
def _quiet() -> Generator[None]:
    """A thousand worlds would fill a log that nobody reads."""
    log = logging.getLogger("greenroom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
