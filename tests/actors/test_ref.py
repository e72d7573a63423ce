"""Stopping, watching and naming an actor by its ref."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import anyio
import pytest

from greenroom.actors import (
    ActorNotAlive,
    AskCycle,
    Cell,
    Crashed,
    Down,
    Killed,
    Monitor,
    Normal,
    Shutdown,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, asyncio_only, fail, takes

pytestmark = pytest.mark.anyio


async def test_a_ref_has_the_name_and_the_path_of_its_actor(stage: Stage) -> None:
    ref = stage.cell(path="/chat/room-7").ref
    assert (ref.name, ref.path) == ("room-7", "/chat/room-7")
    assert repr(ref) == "<ActorRef /chat/room-7>"


async def test_a_ref_stays_the_same_over_restarts(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    ref = cell.ref
    ref.tell(fail)
    assert ref.alive
    assert await ref.ask("again") == "again"
    assert cell.incarnation == 2
    assert cell.ref is ref


async def test_a_ref_keeps_no_state_of_an_actor_that_has_ended(stage: Stage) -> None:
    class Visible(Puppet):
        """Can be referred to weakly."""

    actors: list[weakref.ref[Visible]] = []

    def make() -> Visible:
        visible = Visible()
        actors.append(weakref.ref(visible))
        return visible

    cell = await stage.spawn(make)
    await cell.ref.ask(1)
    await cell.ref.stop()
    await wait_idle()
    gc.collect()
    assert actors[0]() is None


# -- stopping --------------------------------------------------------------


async def test_stopping_waits_for_the_end_and_says_how_it_was(stage: Stage) -> None:
    puppet = Puppet(stopped=takes(1))
    cell = await stage.spawn(puppet)
    began = stage.runtime.now()
    assert await cell.ref.stop(Normal()) == Normal()
    assert stage.runtime.now() - began == pytest.approx(1)
    assert not cell.ref.alive


async def test_stopping_what_has_ended_says_how_it_ended(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(fail)
    assert await cell.ref.wait_stopped() == Crashed(ERROR)
    assert await cell.ref.stop() == Crashed(ERROR)


@pytest.mark.parametrize("how", ["stop", "wait_stopped"])
async def test_a_wait_for_the_end_may_be_limited(stage: Stage, how: str) -> None:
    cell = await stage.spawn(Puppet(stopped=takes(2)))
    cell.ref.stop_nowait()
    began = stage.runtime.now()
    with pytest.raises(TimeoutError):
        await getattr(cell.ref, how)(timeout=0.5)
    assert stage.runtime.now() - began == pytest.approx(0.5)
    # It stops all the same.
    assert await cell.ref.wait_stopped(timeout=5) == Shutdown()


async def test_everybody_who_waits_for_the_end_is_told(stage: Stage) -> None:
    cell = await stage.spawn()
    told: list[object] = []

    async def wait() -> None:
        told.append(await cell.ref.wait_stopped())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        await wait_idle()
        cell.ref.stop_nowait()
    assert told == [Shutdown()] * 3


async def test_stopping_ends_one_incarnation(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny(wants=lambda _: True))
    cell.ref.tell("before")
    assert await cell.ref.stop() == Shutdown()
    # Whose parent wants another: nothing of what waits is lost.
    assert await cell.ref.ask(lambda puppet: puppet.seen) == ["before"]
    assert cell.incarnation == 2


async def test_stopping_one_between_two_incarnations_does_nothing(
    stage: Stage,
) -> None:
    nanny = Nanny(later=True)
    cell = await stage.spawn(Puppet, nanny)
    cell.ref.tell(fail)
    await cell.wait_stopped()
    assert await cell.ref.stop() == Crashed(ERROR)
    assert cell.ref.alive
    cell.start()
    assert await cell.ref.ask("here") == "here"


async def test_a_stop_goes_before_everything_that_waits(stage: Stage) -> None:
    cell = await stage.spawn(capacity=2000)
    puppet = cell.actor
    assert isinstance(puppet, Puppet)
    for number in range(1500):
        cell.ref.tell(number)
    assert await cell.ref.stop() == Shutdown()
    assert puppet.seen == []


async def test_an_actor_cannot_wait_for_its_own_end(stage: Stage) -> None:
    cell = await stage.spawn()
    stop: Any = await cell.ref.ask(lambda _: catch(cell.ref.stop()))
    wait: Any = await cell.ref.ask(lambda _: catch(cell.ref.wait_stopped()))
    assert stop.cycle == wait.cycle == (cell.path, cell.path)
    assert cell.ref.alive


async def catch(awaitable: Any) -> object:
    try:
        return await awaitable
    except AskCycle as error:
        return error


async def test_a_task_of_an_actor_cannot_stop_it_and_wait_either(
    stage: Stage,
) -> None:
    errors: list[object] = []

    def start(puppet: Puppet) -> None:
        async def work() -> None:
            errors.append(await catch(puppet.context.ref.stop()))

        puppet.context.start_soon(work)

    cell = await stage.spawn()
    cell.ref.tell(start)
    await wait_idle()
    assert isinstance(errors[0], AskCycle)
    assert cell.ref.alive


async def test_one_that_asks_the_one_who_waits_for_its_end_is_told_at_once(
    stage: Stage,
) -> None:
    """A child that asks its parent while the parent drains it."""
    parent, child = await stage.spawn(), await stage.spawn()
    errors: list[object] = []

    async def ask_parent(_: Puppet) -> None:
        await anyio.sleep(1)
        errors.append(await catch(parent.ref.ask("are you there")))

    child.ref.tell(ask_parent)
    await wait_idle()
    reason = await parent.ref.ask(lambda _: child.ref.stop())
    assert reason == Shutdown()
    [error] = errors
    assert isinstance(error, AskCycle)
    assert error.cycle == (child.path, parent.path, child.path)


async def test_waiting_for_the_end_of_one_that_waits_is_refused(stage: Stage) -> None:
    one, other = await stage.spawn(), await stage.spawn()
    errors: list[object] = []

    async def stop_other(_: Puppet) -> str:
        errors.append(await catch(other.ref.stop()))
        return "answer"

    assert await other.ref.ask(lambda _: one.ref.ask(stop_other)) == "answer"
    [error] = errors
    assert isinstance(error, AskCycle)
    assert error.cycle == (one.path, other.path, one.path)
    # And it stops, now that it can.
    assert await other.ref.wait_stopped() == Shutdown()


async def test_an_actor_may_wait_for_the_end_of_another(stage: Stage) -> None:
    one, other = await stage.spawn(), await stage.spawn(Puppet, Nanny(lambda _: True))
    assert await one.ref.ask(lambda _: other.ref.stop()) == Shutdown()
    # The next incarnation of that one is not waited for.
    assert await other.ref.ask(lambda _: one.ref.ask("fine")) == "fine"


async def test_one_that_was_never_started_has_no_end_to_wait_for(
    stage: Stage,
) -> None:
    cell = stage.cell()
    asker = await stage.spawn()
    cell.ref.stop_nowait()
    cell.ref.kill()
    assert cell.ref.alive
    error: Any = await asker.ref.ask(lambda _: catch_assertion(cell))
    assert isinstance(error, AssertionError)


async def catch_assertion(cell: Cell[Any]) -> object:
    try:
        return await cell.ref.wait_stopped()
    except AssertionError as error:
        return error


async def test_killing_does_not_wait(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.kill()
    assert not cell.ref.alive
    with pytest.raises(ActorNotAlive) as gone:
        cell.ref.tell("late")
    assert gone.value.reason == Killed()
    assert await cell.ref.wait_stopped() == Killed()


# -- monitors outside of actors --------------------------------------------


async def test_a_monitor_waits_for_the_down(stage: Stage) -> None:
    cell = await stage.spawn()
    monitor = cell.ref.monitor()
    assert (monitor.down, monitor.reason) == (None, None)
    downs: list[Down] = []

    async def wait() -> None:
        downs.append(await monitor.wait())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_idle()
        cell.ref.tell(fail)
    assert downs == [Down(cell.ref, Crashed(ERROR))]
    assert await monitor.wait() is downs[0]
    assert monitor.reason == Crashed(ERROR)


async def test_monitoring_what_has_ended_answers_at_once(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.stop()
    with anyio.fail_after(0):
        down = await cell.ref.monitor().wait()
    assert down == Down(cell.ref, Shutdown())


async def test_only_one_task_at_a_time_may_wait_for_a_down(stage: Stage) -> None:
    cell = await stage.spawn()
    monitor = cell.ref.monitor()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(monitor.wait)
        await wait_idle()
        with pytest.raises(anyio.BusyResourceError):
            await monitor.wait()
        cell.ref.stop_nowait()


async def test_a_wait_that_is_cancelled_leaves_the_watch_in_place(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    monitor = cell.ref.monitor()
    with anyio.move_on_after(1):
        await monitor.wait()
    cell.ref.stop_nowait()
    assert (await monitor.wait()).reason == Shutdown()


async def test_a_cancelled_watch_is_not_waited_for(stage: Stage) -> None:
    cell = await stage.spawn()
    monitor = cell.ref.monitor()
    refused: list[Exception] = []

    async def wait() -> None:
        try:
            await monitor.wait()
        except anyio.ClosedResourceError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_idle()
        monitor.cancel()
    assert len(refused) == 1
    with pytest.raises(anyio.ClosedResourceError):
        await monitor.wait()
    await cell.ref.stop()
    monitor.cancel()
    assert monitor.down is None


async def test_monitors_are_told_in_the_order_they_were_made(stage: Stage) -> None:
    cell = await stage.spawn()
    told: list[int] = []

    class Watcher:
        def __init__(self, number: int) -> None:
            self.number = number

        def begin_watch(self, watch: object) -> None: ...

        def watched_ended(self, watch: object) -> None:
            told.append(self.number)

        def end_watch(self, watch: object) -> None: ...

    body: Any = cell
    for number in range(5):
        Monitor(body, Watcher(number))
    await cell.ref.stop()
    assert told == [0, 1, 2, 3, 4]


@asyncio_only
async def test_a_waiter_cancelled_natively_as_the_down_comes_loses_nothing(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    monitor = cell.ref.monitor()
    task = asyncio.ensure_future(monitor.wait())
    await wait_idle()
    cell.ref.kill()
    await cell.wait_stopped()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await monitor.wait()).reason == Killed()
