"""A schedule says each choice of a world, number by number."""

from __future__ import annotations

import traceback
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import find, given, settings
from hypothesis import strategies as st

from greenroom.testing import Schedule, World, schedules, simulate


async def overtaken(world: World) -> int:
    """How many steps another task makes while this one is in a pause."""
    steps = before = after = 0
    done = False

    async def run() -> None:
        nonlocal steps
        while not done:
            await checkpoint()
            steps += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await checkpoint()
        before = steps
        await world.pause()
        after = steps
        done = True
    return after - before


@pytest.mark.parametrize("ticks", range(16))
def test_a_number_is_for_how_many_ticks_a_task_falls_behind(ticks: int) -> None:
    assert simulate(overtaken, Schedule([ticks])) == ticks


def test_beyond_its_end_nobody_falls_behind() -> None:
    assert simulate(overtaken, Schedule()) == 0


def test_ticks_in_which_nobody_could_run_take_no_steps() -> None:
    async def main(world: World) -> int:
        before = world.steps
        await world.pause()
        return world.steps - before

    assert simulate(main, Schedule([15])) == 1


def test_all_that_fall_behind_keep_their_distance() -> None:
    async def main(world: World) -> str:
        seen: list[str] = []

        async def task(name: str) -> None:
            await world.pause()
            seen.append(name)

        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(task, name)
        return "".join(seen)

    assert simulate(main, Schedule([3, 2, 1])) == "cba"
    assert simulate(main, Schedule([1, 15, 2])) == "acb"
    assert simulate(main, Schedule([0, 0, 0])) == "abc"


def test_a_pause_that_falls_behind_can_be_cancelled() -> None:
    async def main(world: World) -> str:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await world.pause()
            return "not cancelled"
        return "cancelled"

    assert simulate(main, Schedule([0])) == "not cancelled"
    assert simulate(main, Schedule([1])) == "cancelled"


def test_who_is_about_to_answer_cannot_be_cancelled() -> None:
    async def main(world: World) -> str:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await world.pause("reply")
        return "answered"

    assert simulate(main, Schedule([5])) == "answered"


def test_a_failure_says_which_schedule_replays_it() -> None:
    async def main(_: World) -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the only one
        simulate(main, Schedule([1, 2]))

    shown = traceback.format_exception(caught.value)
    assert shown[-1] == "greenroom: replay with schedule Schedule([1, 2])\n"


@pytest.mark.parametrize("number", [-1, 16, 1.5, "1"])
def test_a_number_is_from_0_to_15(number: Any) -> None:
    with pytest.raises(ValueError, match="a number must be from 0 to 15, got"):
        Schedule([number])


@given(schedules(max_size=3))
def test_the_strategy_makes_schedules(schedule: Schedule) -> None:
    assert isinstance(schedule, Schedule)
    assert len(schedule) <= 3


def test_hypothesis_makes_a_schedule_smaller() -> None:
    quick = settings(database=None, max_examples=1000)
    assert find(schedules(), lambda each: sum(each) > 20, settings=quick) in (
        Schedule([6, 15]),
        Schedule([15, 6]),
    )


@given(st.data())
def test_it_may_be_drawn_within_a_test(data: st.DataObject) -> None:
    schedule = data.draw(schedules())
    assert simulate(overtaken, schedule) == simulate(overtaken, schedule)
