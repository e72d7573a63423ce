"""The simulation finds bugs that only some orders of events show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, seed, settings

from greenroom import AskTimeout
from greenroom.testing import (
    Schedule,
    World,
    WorldStuck,
    explore,
    schedules,
    simulate,
)

from .planted import atomic, check_then_act, reorder, sessions, wake_up

Main = Callable[[World], Awaitable[None]]

BUGS = {
    "check then act": sessions(check_then_act),
    "lost wake-up": wake_up(loses=True),
    "three events": reorder(sorts=False),
}
RIGHT = {
    "check then act": sessions(atomic),
    "lost wake-up": wake_up(loses=False),
    "three events": reorder(sorts=True),
}
SEEDS = 500
FOUND = (AssertionError, AskTimeout, WorldStuck)


def replayed(error: BaseException) -> int:
    """The seed in the note of *error*."""
    return int(error.__notes__[-1].removeprefix("greenroom: replay with seed "))


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_by_a_seed_and_replayed(bug: str) -> None:
    with pytest.raises(FOUND) as found:
        explore(BUGS[bug], range(SEEDS))

    seed = replayed(found.value)
    for _ in range(3):
        with pytest.raises(type(found.value)) as again:
            simulate(BUGS[bug], seed)
        assert str(again.value) == str(found.value)


@pytest.mark.parametrize("bug", BUGS)
def test_the_right_version_passes_the_same_schedules(bug: str) -> None:
    explored = explore(RIGHT[bug], range(SEEDS))

    assert explored.schedules == SEEDS
    assert explored.distinct > 100


@pytest.mark.parametrize("bug", BUGS)
def test_without_delays_no_order_of_a_tick_shows_it(bug: str) -> None:
    # Nobody falls behind: this is what trio itself, or asyncio, would show.
    simulate(BUGS[bug], Schedule())


def shrunk(main: Main, examples: int) -> Schedule | None:
    """The least schedule with which *main* fails, if Hypothesis finds any."""
    failed: list[Schedule] = []

    @seed(4711)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
    )
    @given(schedules())
    def run(schedule: Schedule) -> None:
        try:
            simulate(main, schedule)
        except FOUND:
            failed.append(schedule)
            raise

    try:
        run()
    except FOUND:
        return failed[-1]
    return None


@pytest.mark.parametrize(
    ("bug", "least"),
    [
        # The first caller alone falls behind, just far enough.
        pytest.param("check then act", 2, id="check then act"),
        pytest.param("lost wake-up", 2, id="lost wake-up"),
        # Past the payment the order, and past both the refund.
        pytest.param("three events", 2, id="three events"),
    ],
)
def test_hypothesis_finds_it_and_shrinks_the_schedule(bug: str, least: int) -> None:
    schedule = shrunk(BUGS[bug], 1000)

    assert schedule is not None
    assert len(schedule) <= least
    with pytest.raises(FOUND):
        simulate(BUGS[bug], schedule)
    # No number of it could be smaller.
    for index, number in enumerate(schedule):
        if number:
            less = [*schedule[:index], number - 1, *schedule[index + 1 :]]
            simulate(BUGS[bug], Schedule(less))


@pytest.mark.parametrize("bug", BUGS)
def test_hypothesis_finds_nothing_in_the_right_version(bug: str) -> None:
    assert shrunk(RIGHT[bug], 100) is None
