"""Functions below a supervisor, as Elixir's Task tests have them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    ActorRef,
    ActorSystem,
    AskCycle,
    ChildStatus,
    Context,
    Crashed,
    Killed,
    Shutdown,
    Task,
    TaskSupervisor,
    TooManyChildren,
)
from greenroom.supervision import ChildInfo
from greenroom.testing import wait_idle

from .kit import Boom, Stubborn, fail, now

pytestmark = pytest.mark.anyio


async def after(seconds: float, value: object = None) -> object:
    await anyio.sleep(seconds)
    return value


async def fail_after(seconds: float) -> None:
    await anyio.sleep(seconds)
    raise Boom


@asynccontextmanager
async def running(
    tasks: TaskSupervisor,
) -> AsyncGenerator[ActorSystem]:
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")
        yield system


class Owner(Actor[Callable[["Owner"], object]]):
    """Does what it is told to; remembers how it ended."""

    def __init__(self) -> None:
        self.tasks: list[Task[Any]] = []

    async def receive(self, message: Callable[[Owner], object]) -> object:
        result = message(self)
        if isinstance(result, Coroutine):
            return cast("object", await result)
        return result


async def start_linked(tasks: TaskSupervisor, owner: ActorRef[Any]) -> Task[Any]:
    """A task of 100 s that *owner* has started, and is linked to."""

    def start(owner: Owner) -> Task[object]:
        return tasks.start(after, 100, owner=owner.context)

    task: Any = await owner.ask(start)
    return cast("Task[Any]", task)


# -- start, wait -------------------------------------------------------------


async def test_a_task_returns_what_its_function_returns() -> None:
    """Behaviour 119: async, async_nolink."""
    tasks = TaskSupervisor()
    async with running(tasks):
        task = tasks.start(after, 2, "done")
        assert task.path == "/tasks/after-1"
        assert repr(task) == "<Task /tasks/after-1, pending>"
        assert not task.done
        with pytest.raises(RuntimeError):
            task.result()
        assert await task.wait() == "done"
        assert task.result() == "done"
        assert repr(task) == "<Task /tasks/after-1, done>"
        # It has left its room when it is done.
        assert tasks.children() == ()


async def test_a_task_is_seen_below_its_supervisor() -> None:
    tasks = TaskSupervisor()
    async with running(tasks):
        task = tasks.start(partial(after, 2))
        assert tasks.children() == (
            ChildInfo("task-1", task.ref, ChildStatus.RUNNING, 1, False, None),
        )
        assert tasks.start(lambda: after(1)).path == "/tasks/lambda-2"


async def test_a_crash_of_a_task_is_raised_where_it_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 119: async_nolink."""
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())

        async def start_and_wait(_: Owner) -> object:
            task = tasks.start(fail_after, 1)
            with pytest.raises(ActorCrashed) as caught:
                await task.wait()
            return caught.value.__cause__

        assert isinstance(await owner.ask(start_and_wait), Boom)
        assert owner.alive
        # It is nobody else's, but it is in the log, once.
        errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "/tasks/fail_after-1 failed" in errors[0].getMessage()
        assert system.dead_letters.total == 0


async def test_a_crash_of_a_linked_task_ends_its_owner() -> None:
    """Behaviour 119: async."""
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        actor = Owner()
        owner = await system.spawn(actor)
        monitor = owner.monitor()

        async def start_and_work(owner: Owner) -> None:
            tasks.start(fail_after, 1, owner=owner.context)
            await anyio.sleep(100)

        began = now()
        owner.tell(start_and_work)
        reason = (await monitor.wait()).reason

        assert now() - began == pytest.approx(1)
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, ActorCrashed)
        assert isinstance(reason.error.__cause__, Boom)


def stop(ref: ActorRef[Any]) -> None:
    ref.stop_nowait()


def kill(ref: ActorRef[Any]) -> None:
    ref.kill()


@pytest.mark.parametrize("end", [stop, kill])
async def test_the_end_of_an_owner_ends_its_linked_task(
    end: Callable[[ActorRef[Any]], None],
) -> None:
    """Behaviour 119: async."""
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())
        linked: list[Task[object]] = []

        def start(owner: Owner) -> None:
            linked.append(tasks.start(after, 100, owner=owner.context))
            tasks.start(after, 3)

        await owner.ask(start)
        began = now()
        end(owner)
        with pytest.raises(ActorNotAlive):
            await linked[0].wait()

        assert now() == began
        assert [info.id for info in tasks.children()] == ["after-2"]


async def test_a_linked_task_that_ends_well_changes_nothing() -> None:
    """Behaviour 119: async."""
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())

        async def start_and_wait(owner: Owner) -> object:
            return await tasks.start(after, 1, "done", owner=owner.context).wait()

        assert await owner.ask(start_and_wait) == "done"
        await wait_idle()
        assert await owner.ask(lambda _: "still there") == "still there"


async def test_a_linked_task_that_is_killed_ends_its_owner_too() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())
        task = await start_linked(tasks, owner)
        monitor = owner.monitor()
        task.ref.kill()
        reason = (await monitor.wait()).reason

        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, ActorNotAlive)
        assert reason.error.reason == Killed()


async def test_a_task_cannot_be_linked_to_an_owner_that_has_ended() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        actor = Owner()
        owner = await system.spawn(actor)
        context: Context[Any] = actor.context
        await owner.stop()
        with pytest.raises(ActorNotAlive):
            tasks.start(after, 100, owner=context)
        await wait_idle()
        assert tasks.children() == ()


# -- 120: await, ignore ------------------------------------------------------


async def test_one_task_at_a_time_waits_for_a_task() -> None:
    """Behaviour 120: await raises when invoked from a non-owner."""
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        task = tasks.start(after, 1, "done")
        other = await system.spawn(Owner())

        async def wait_too(_: Owner) -> None:
            with pytest.raises(anyio.BusyResourceError):
                await task.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(task.wait)
            await wait_idle()
            await other.ask(wait_too)
        assert task.result() == "done"


async def test_a_wait_that_times_out_raises_and_the_task_goes_on() -> None:
    """Behaviour 120: exits on timeout."""
    tasks = TaskSupervisor()
    async with running(tasks):
        task = tasks.start(after, 3, "done")
        began = now()
        with pytest.raises(TimeoutError):
            await task.wait(timeout=1)
        assert now() - began == pytest.approx(1)

        assert await task.wait(timeout=5) == "done"


async def test_what_an_ignored_task_returns_late_is_dropped() -> None:
    """Behaviour 120: ignore discards late replies."""
    tasks = TaskSupervisor()
    finished: list[str] = []

    async def work() -> str:
        await anyio.sleep(1)
        finished.append("yes")
        return "late"

    async with running(tasks):
        task = tasks.start(work)
        task.ignore()
        with pytest.raises(anyio.ClosedResourceError):
            await task.wait()
        await anyio.sleep(2)
        assert finished == ["yes"]
        with pytest.raises(anyio.ClosedResourceError):
            task.result()


async def test_a_late_failure_of_an_ignored_task_is_not_its_owners() -> None:
    """Behaviour 120: ignore discards late failures."""
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())

        def start(owner: Owner) -> None:
            tasks.start(fail_after, 1, owner=owner.context).ignore()

        await owner.ask(start)
        await anyio.sleep(2)
        assert owner.alive
        assert tasks.children() == ()


async def test_who_waits_for_a_task_that_asks_it_back_is_told() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())

        async def ask_back() -> object:
            with pytest.raises(AskCycle) as caught:
                await owner.ask(lambda _: None)
            return caught.value.cycle

        async def start_and_wait(_: Owner) -> object:
            return await tasks.start(ask_back).wait()

        cycle = await owner.ask(start_and_wait)
        assert cycle == ("/tasks/ask_back-1", "/Owner-1", "/tasks/ask_back-1")


# -- ending one --------------------------------------------------------------


async def test_a_task_that_is_cancelled_says_so_and_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        owner = await system.spawn(Owner())
        task = await start_linked(tasks, owner)
        task.cancel()
        task.cancel()
        with pytest.raises(ActorNotAlive) as caught:
            await task.wait()
        assert caught.value.reason == Shutdown()
        await wait_idle()
        assert owner.alive
        assert system.dead_letters.total == 0

    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_stop_waits_until_the_task_has_ended() -> None:
    tasks = TaskSupervisor()
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep(100)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            cleaned.append("yes")

    async with running(tasks):
        task = tasks.start(work)
        await wait_idle()
        await task.stop()
        assert cleaned == ["yes"]
        assert task.done
        await task.stop()


async def test_a_task_that_is_cancelled_before_its_turn_never_runs() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        task = tasks.start(fail)
        task.cancel()
        with pytest.raises(ActorNotAlive):
            await task.wait()
        assert system.dead_letters.total == 0


async def test_a_task_that_will_not_end_is_killed_and_given_up() -> None:
    tasks = TaskSupervisor(shutdown=2.0)
    stubborn = Stubborn()
    async with running(tasks):
        task = tasks.start(stubborn)
        await wait_idle()
        began = now()
        task.cancel()
        with pytest.raises(ActorNotAlive):
            await task.wait()
        assert now() - began == pytest.approx(2.5)
        stubborn.release.set()
        await stubborn.over.wait()


async def test_the_end_of_the_supervisor_ends_all_tasks_at_once() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        started = [tasks.start(after, 100) for _ in range(3)]
        await wait_idle()
        await system.stop_child("tasks")
        for task in started:
            with pytest.raises(ActorNotAlive):
                task.result()
        with pytest.raises(ActorNotAlive):
            tasks.start(after, 1)


async def test_what_is_told_to_a_task_is_of_no_use() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        task = tasks.start(after, 1, "done")
        task.ref.tell("hello")
        assert await task.wait() == "done"
        other = tasks.start(partial(after, 1))
        other.ref.tell("hello")
        await other.wait()
        assert system.dead_letters.total == 2


async def test_what_a_task_watches_does_not_run_it_again() -> None:
    tasks = TaskSupervisor()
    runs: list[int] = []
    async with running(tasks) as system:
        other = await system.spawn(Owner())

        async def watch() -> str:
            runs.append(1)
            other.monitor()
            await other.stop()
            return "done"

        assert await tasks.start(watch).wait() == "done"
        assert runs == [1]


async def test_a_task_that_starts_as_everything_ends_is_cancelled() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as system:
        system.runtime.closing = True
        try:
            task = tasks.start(after, 1)
        finally:
            system.runtime.closing = False
        with pytest.raises(ActorNotAlive) as caught:
            task.result()
        assert caught.value.reason == Killed()


# -- 121: max_children -------------------------------------------------------


async def test_no_more_tasks_run_than_max_children() -> None:
    """Behaviour 121: raises when :max_children is reached."""
    tasks = TaskSupervisor(max_children=2)
    async with running(tasks):
        first = tasks.start(after, 1)
        tasks.start(after, 1)
        with pytest.raises(TooManyChildren) as caught:
            tasks.start(after, 1)
        assert caught.value.max_children == 2
        await first.wait()
        tasks.start(after, 1)


@pytest.mark.parametrize(
    "options", [{"max_children": -1}, {"max_children": "2"}, {"shutdown": -1}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TaskSupervisor(**options)
