"""Who leaves a stream leaves no task, as Elixir's async_stream tests have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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
    TaskSupervisor,
)
from greenroom.testing import virtual_backend, wait_idle

from .kit import Boom, Stubborn, now
from .streams import Load, supervising, take

pytestmark = pytest.mark.anyio


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
