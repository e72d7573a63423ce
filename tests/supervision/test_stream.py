"""A function on many items, as Elixir's async_stream tests have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import pytest

from greenroom import (
    Actor,
    ActorNotAlive,
    ActorSystem,
    AskCycle,
    ItemFailed,
    Killed,
    Shutdown,
    Stream,
    TaskSupervisor,
    TooManyChildren,
)
from greenroom.testing import virtual_backend, wait_idle

from .kit import Boom, Stubborn, now

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def supervising(**options: Any) -> AsyncGenerator[TaskSupervisor]:
    """A task supervisor; in the end no task is left, and no message lost."""
    tasks = TaskSupervisor(**options)
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")
        yield tasks
        assert tasks.children() == ()
        assert system.dead_letters.total == 0


class Load:
    """What streams run: how many at a time, and which began."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.running = 0
        self.peak = 0

    async def work(self, item: Any) -> Any:
        """Take *item* seconds, and return it; fail with what is no number."""
        self.began.append(item)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if not isinstance(item, int | float):
                raise Boom(item)
            await anyio.sleep(item)
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(item)
            raise
        finally:
            self.running -= 1
        self.ended.append(item)
        return item


@pytest.fixture
def load() -> Load:
    return Load()


async def take(stream: Stream[object], taken: list[object] | None = None) -> None:
    """Take all results; write them down in *taken*."""
    async with stream as results:
        async for each in results:
            if taken is not None:
                taken.append(each)


# -- order and bounds --------------------------------------------------------


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


# -- failures ----------------------------------------------------------------


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


# -- timeouts ----------------------------------------------------------------


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


# -- leaving -----------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
async def test_leaving_the_iteration_stops_the_unused_tasks(
    load: Load, ordered: bool
) -> None:
    """Behaviour 122: async_stream shuts down unused tasks."""
    async with supervising() as tasks:
        began = now()
        async with tasks.stream(
            [1, 100, 200, 300], load.work, max_concurrency=3, ordered=ordered
        ) as results:
            async for each in results:
                assert each == 1
                break
            assert load.running == 2
        assert load.running == 0
        assert sorted(load.cancelled) == [100, 200]
        assert 300 not in load.began
        assert now() - began == pytest.approx(1)
        await wait_idle()
        assert tasks.children() == ()


async def test_leaving_by_an_exception_stops_the_unused_tasks(load: Load) -> None:
    """Behaviour 122: async_stream with outer failure."""
    async with supervising() as tasks:

        async def leave() -> None:
            async with tasks.stream([1, 100], load.work) as results:
                async for _ in results:
                    raise Boom

        with pytest.raises(Boom):
            await leave()
        assert load.cancelled == [100]
        assert load.running == 0


async def test_a_consumer_that_is_cancelled_leaves_no_task(load: Load) -> None:
    """Behaviour 122: async_stream shuts down unused tasks."""
    async with supervising() as tasks:
        with anyio.move_on_after(1):
            await take(tasks.stream([100, 200], load.work))
        await wait_idle()
        assert sorted(load.cancelled) == [100, 200]


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"])
@pytest.mark.parametrize("moment", range(8))
async def test_a_consumer_that_is_cancelled_natively_leaves_no_task(
    load: Load, moment: int
) -> None:
    async with supervising() as tasks:
        consumer = asyncio.create_task(take(tasks.stream([0, 100, 200], load.work)))
        for _ in range(moment):
            await asyncio.sleep(0)
        consumer.cancel()
        await wait_idle()
        assert consumer.cancelled()
        assert load.running == 0


class Consumer(Actor[TaskSupervisor | str]):
    """Takes results of tasks that may ask it back."""

    def __init__(self, load: Load, *, asks_back: bool = False) -> None:
        self._load = load
        self._asks_back = asks_back

    async def receive(self, message: TaskSupervisor | str) -> object:
        if isinstance(message, str):
            return message
        function = self.ask_back if self._asks_back else self._load.work
        async with message.stream([100, 200], function) as results:
            return [each async for each in results]

    async def ask_back(self, item: object) -> object:
        with pytest.raises(AskCycle):
            await self.context.ref.ask("hello")
        return item


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_consumer_that_ends_leaves_no_task(load: Load, how: str) -> None:
    """Behaviour 122: async_stream shuts down unused tasks."""
    tasks = TaskSupervisor()
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")
        consumer = await system.spawn(Consumer(load), name="consumer")
        consumer.tell(tasks)
        await wait_idle()
        assert load.running == 2
        began = now()
        if how == "kill":
            consumer.kill()
            assert await consumer.wait_stopped() == Killed()
            assert now() == began
        else:  # within the deadline of its supervisor
            await system.stop_child("consumer")
        await wait_idle()
        assert load.running == 0
        assert tasks.children() == ()


async def test_a_task_that_asks_its_consumer_back_is_told(load: Load) -> None:
    tasks = TaskSupervisor()
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")
        consumer = await system.spawn(Consumer(load, asks_back=True), name="consumer")
        tasks_done = await consumer.ask(tasks)
        assert tasks_done == [100, 200]


async def test_a_consumer_does_not_wait_for_what_waits_for_it() -> None:
    tasks = TaskSupervisor()
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")
        stream: list[AsyncIterator[object]] = []

        class Late(Actor[str]):
            async def receive(self, message: str) -> object:
                if message == "hello":
                    return message
                await wait_idle()
                with pytest.raises(AskCycle):
                    await anext(stream[0])
                return "told"

        late = await system.spawn(Late())

        async def ask_back(_: object) -> object:
            return await late.ask("hello", timeout=None)

        async with tasks.stream([1], ask_back) as results:
            stream.append(aiter(results))
            # Begun by somebody else, whom the task need not know of.
            reply = late.request("go")
            with anyio.move_on_after(0):
                await anext(stream[0])
            assert await reply.wait() == "told"
            assert await anext(stream[0]) == "hello"


async def test_a_task_that_will_not_end_holds_up_the_block_no_longer_than_that() -> (
    None
):
    stubborn = Stubborn()
    async with supervising(shutdown=2.0) as tasks:
        async with tasks.stream([1], stubborn) as results:
            with anyio.move_on_after(1):
                await anext(results)
            began = now()
        assert now() - began == pytest.approx(2.5)
        stubborn.release.set()
        await stubborn.over.wait()


async def test_the_end_of_the_supervisor_fails_what_is_left(load: Load) -> None:
    tasks = TaskSupervisor()
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")

        async def stop() -> None:
            await wait_idle()
            await system.stop_child("tasks")

        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            with pytest.raises(ItemFailed) as caught:
                await take(tasks.stream([100], load.work))
            assert isinstance(caught.value.__cause__, ActorNotAlive)
            assert caught.value.__cause__.reason == Shutdown()


# -- limits and misuse -------------------------------------------------------


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
