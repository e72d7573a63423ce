"""An item that fails or is late, as Elixir's async_stream tests have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import anyio
import pytest

from greenroom import ActorNotAlive, ItemFailed, Killed
from greenroom.testing import wait_idle

from .kit import Boom, now
from .streams import Load, supervising, take

pytestmark = pytest.mark.anyio


# -- failures --------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_failure_is_raised_where_its_result_is_taken(
    load: Load, ordered: bool
) -> None:
    """Behaviour 122: async_stream with exits."""
    async with supervising() as tasks:
        taken: list[object] = []
        stream = tasks.stream(
            [1, "bad", 50], load.work, max_concurrency=2, ordered=ordered
        )
        with pytest.raises(ItemFailed, match="item 1 failed: Boom") as caught:
            await take(stream, taken)
        assert (caught.value.index, caught.value.item) == (1, "bad")
        assert isinstance(caught.value.__cause__, Boom)
        assert taken == ([1] if ordered else [])
        assert load.running == 0


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_failure_may_be_yielded_with_its_item(
    load: Load, ordered: bool
) -> None:
    """Behaviour 122: async_stream with exits and zip_input_on_exit."""
    async with (
        supervising() as tasks,
        tasks.stream(
            [1, "bad", 2], load.work, on_error="yield", ordered=ordered
        ) as results,
    ):
        taken = [each async for each in results]
        (failure,) = [each for each in taken if isinstance(each, ItemFailed)]
        assert failure.item == "bad"
        assert taken.index(failure) == (1 if ordered else 0)
        assert [each for each in taken if each is not failure] == [1, 2]


async def test_a_failure_may_be_left_out(load: Load) -> None:
    """Behaviour 122: async_stream with exits."""
    async with (
        supervising() as tasks,
        tasks.stream(["bad", 1, "bad", 2, "bad"], load.work, on_error="skip") as rest,
    ):
        assert [each async for each in rest] == [1, 2]


async def test_an_item_whose_task_somebody_ends_has_failed(load: Load) -> None:
    """Behaviour 122: async_stream with exits."""
    async with (
        supervising() as tasks,
        tasks.stream([100, 1], load.work, on_error="yield") as results,
    ):

        async def kill() -> None:
            await wait_idle()
            first = tasks.children()[0].ref
            assert first is not None
            first.kill()

        failure: object = None
        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            failure = await anext(results)
        assert isinstance(failure, ItemFailed)
        assert isinstance(failure.__cause__, ActorNotAlive)
        assert failure.__cause__.reason == Killed()
        assert await anext(results) == 1


async def test_a_source_that_raises_ends_the_stream(load: Load) -> None:
    """Behaviour 122: async_stream with inner failure."""

    def source() -> Iterator[int]:
        yield 100
        raise LookupError("no more")

    async with supervising() as tasks:
        with pytest.raises(LookupError, match="no more"):
            await take(tasks.stream(source(), load.work))
        assert load.running == 0


# -- timeouts --------------------------------------------------------------


async def test_an_item_that_takes_too_long_is_raised(load: Load) -> None:
    """Behaviour 122: async_stream with timeout."""
    async with supervising() as tasks:
        began = now()
        with pytest.raises(ItemFailed) as caught:
            await take(tasks.stream([1, 100], load.work, timeout=3))
        assert now() - began == pytest.approx(3)
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert str(caught.value.__cause__) == "took over 3 s"
        assert load.cancelled == [100]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("policy", ["yield", "skip"])
async def test_a_timeout_ends_its_own_item_alone(
    load: Load, ordered: bool, policy: Literal["yield", "skip"]
) -> None:
    """Behaviour 122: async_stream with on_timeout: kill_task."""
    async with (
        supervising() as tasks,
        tasks.stream(
            [100, 1, 100, 2],
            load.work,
            max_concurrency=4,
            timeout=3,
            on_timeout=policy,
            ordered=ordered,
        ) as results,
    ):
        taken = [each async for each in results]
        late = [each for each in taken if isinstance(each, ItemFailed)]
        assert sorted(each.index for each in late) == (
            [0, 2] if policy == "yield" else []
        )
        assert [each for each in taken if each not in late] == [1, 2]
        assert load.cancelled == [100, 100]


async def test_the_time_of_an_item_counts_from_its_own_start(load: Load) -> None:
    """Behaviour 122: async_stream with timeout."""
    async with (
        supervising() as tasks,
        tasks.stream([2] * 5, load.work, max_concurrency=1, timeout=3) as results,
    ):
        assert [each async for each in results] == [2] * 5
