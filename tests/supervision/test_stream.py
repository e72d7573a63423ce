"""A function on many items, so many at a time, as Elixir's tests have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from greenroom import TaskSupervisor, TooManyChildren

from .kit import now
from .streams import Load, supervising, take

pytestmark = pytest.mark.anyio


# -- order and bounds ------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_stream_of_nothing_is_over_at_once(load: Load, ordered: bool) -> None:
    """Behaviour 122: async_stream."""
    async with (
        supervising() as tasks,
        tasks.stream([], load.work, ordered=ordered) as results,
    ):
        assert [each async for each in results] == []


async def test_results_come_in_the_order_of_the_items(load: Load) -> None:
    """Behaviour 122: async_stream."""
    items = [3, 1, 2, 1, 3]
    async with (
        supervising() as tasks,
        tasks.stream(items, load.work, max_concurrency=3) as results,
    ):
        assert [each async for each in results] == items
        assert load.ended != items


async def test_the_slowest_first_holds_up_the_results_and_not_their_order(
    load: Load,
) -> None:
    """Behaviour 122: async_stream with slowest first."""
    items = list(range(8, 0, -1))
    async with supervising() as tasks:
        began = now()
        async with tasks.stream(items, load.work, max_concurrency=8) as results:
            assert [each async for each in results] == items
        assert now() - began == pytest.approx(8)
        assert load.ended == list(range(1, 9))


async def test_unordered_results_come_as_they_are_done(load: Load) -> None:
    """Behaviour 122: async_stream with ordered: false."""
    async with (
        supervising() as tasks,
        tasks.stream(
            [4, 1, 2, 1.5], load.work, max_concurrency=3, ordered=False
        ) as results,
    ):
        assert [each async for each in results] == [1, 2, 1.5, 4]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_no_more_run_at_a_time_than_max_concurrency(
    load: Load, ordered: bool, limit: int
) -> None:
    """Behaviour 122: async_stream with max_concurrency."""
    async with (
        supervising() as tasks,
        tasks.stream(
            [1] * 10, load.work, max_concurrency=limit, ordered=ordered
        ) as results,
    ):
        assert [each async for each in results] == [1] * 10
        assert load.peak == min(limit, 10)


@pytest.mark.parametrize("ordered", [True, False])
async def test_items_are_taken_no_faster_than_results(
    load: Load, ordered: bool
) -> None:
    """Behaviour 122: async_stream is lazy."""
    taken: list[int] = []

    def forever() -> Iterator[int]:
        while True:
            taken.append(0)
            yield 0

    async with supervising() as tasks:
        stream = tasks.stream(forever(), load.work, max_concurrency=3, ordered=ordered)
        async with stream as results:
            assert taken == []
            count = 0
            async for _ in results:
                count += 1
                await anyio.sleep(5)
                assert len(taken) == count + 2
                if count == 4:
                    break


async def test_a_slow_consumer_loses_no_result_to_a_timeout(load: Load) -> None:
    """Behaviour 122: async_stream with timeout."""
    async with (
        supervising() as tasks,
        tasks.stream([1] * 4, load.work, max_concurrency=2, timeout=2) as results,
    ):
        count = 0
        async for _ in results:
            await anyio.sleep(10)
            count += 1
        assert count == 4


async def test_a_stream_may_be_within_a_stream(load: Load) -> None:
    """Behaviour 122: async_stream within async_stream."""
    async with supervising() as tasks:

        async def total(items: list[int]) -> int:
            summed = 0
            async with tasks.stream(items, load.work) as results:
                async for each in results:
                    summed += each
            return summed

        async with tasks.stream([[1, 2], [3, 4]], total) as totals:
            assert [each async for each in totals] == [3, 7]


# -- limits and misuse -----------------------------------------------------


async def test_a_stream_needs_room_for_its_tasks(load: Load) -> None:
    """Behaviours 121, 122: async_stream raises when :max_children is reached."""
    async with supervising(max_children=2) as tasks:
        with pytest.raises(TooManyChildren):
            await take(tasks.stream([1] * 3, load.work, max_concurrency=3))
        assert tasks.children() == ()
        # As many at a time as there is room for is fine, however many in all.
        async with tasks.stream([1] * 9, load.work, max_concurrency=2) as results:
            assert [each async for each in results] == [1] * 9


async def test_a_stream_is_taken_in_its_block(load: Load) -> None:
    async with supervising() as tasks:
        stream = tasks.stream([1], load.work)
        with pytest.raises(RuntimeError, match="only in its block"):
            await anext(stream)
        async with stream:
            pass
        with pytest.raises(RuntimeError, match="only in its block"):
            await anext(stream)


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"timeout": -1},
        {"on_timeout": "ignore"},
        {"on_error": None},
    ],
)
def test_wrong_options_are_refused(load: Load, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TaskSupervisor().stream([1], load.work, **options)
