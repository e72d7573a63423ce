"""Cancelled behind its back or torn down, it ends, and loses nothing."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

import anyio
import pytest

from greenroom.actors import Cell, Killed, Normal, State, Undelivered
from greenroom.actors._incarnation import Incarnation
from greenroom.testing._clock import wait_idle

from .stage import (
    Line,
    Nanny,
    Puppet,
    Stage,
    asyncio_only,
    hang,
    hang_deaf,
    native_task,
)

pytestmark = pytest.mark.anyio


async def task_of(cell: Cell[Line]) -> asyncio.Task[Any]:
    task: Any = await cell.ref.ask(lambda _: native_task())
    return cast("asyncio.Task[Any]", task)


@asyncio_only
async def test_cancelled_natively_an_idle_actor_is_killed_but_stops_properly(
    stage: Stage,
) -> None:
    counts: list[int] = []

    def count(*_: object) -> None:
        counts.append(native_task().cancelling())

    puppet = Puppet(stopped=count)
    cell = await stage.spawn(puppet)
    (await task_of(cell)).cancel()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == [Killed()]
    # Dealt with: asyncio's own timeouts in the hook go by that count.
    assert counts == [0]


@asyncio_only
async def test_cancelled_natively_over_a_message_it_loses_nothing(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    task = await task_of(cell)
    cell.ref.tell(hang)
    cell.ref.tell("kept")
    await wait_idle()
    task.cancel()
    assert await cell.wait_stopped() == Killed()
    assert await cell.ref.ask(lambda puppet: puppet.seen) == ["kept"]
    assert stage.lost == [(hang, Undelivered.CANCELLED)]


@asyncio_only
async def test_cancelled_natively_in_the_tick_of_a_message_it_loses_nothing(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    task = await task_of(cell)
    await wait_idle()
    cell.ref.tell("kept")
    task.cancel()
    assert await cell.wait_stopped() == Killed()
    assert await cell.ref.ask(lambda puppet: puppet.seen) == ["kept"]
    assert stage.lost == []


@asyncio_only
async def test_cancelled_natively_as_it_starts_it_has_not_started(stage: Stage) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def started(_: Puppet) -> None:
        tasks.append(native_task())
        await anyio.sleep_forever()

    cell = stage.cell(Puppet(started=started))
    cell.start()
    await wait_idle()
    tasks[0].cancel()
    assert await cell.wait_started() == Killed()


@asyncio_only
async def test_cancelled_natively_as_it_stops_it_is_killed(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stopped=hang))
    task = await task_of(cell)
    cell.ref.stop_nowait()
    await wait_idle()
    task.cancel()
    assert await cell.wait_stopped() == Killed()


@asyncio_only
async def test_cancelled_natively_while_its_tasks_end_it_ends(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    task = await task_of(cell)
    cell.ref.tell(lambda puppet: puppet.context.start_soon(hang_deaf))
    cell.ref.tell(lambda puppet: puppet.context.stop())
    await wait_idle()
    task.cancel()
    assert await cell.wait_stopped() == Normal()
    assert puppet.reasons == [Normal()]


@pytest.mark.parametrize("hook", ["started", "receive"])
async def test_one_torn_down_with_its_loop_does_not_go_on(
    stage: Stage, hook: str
) -> None:
    """A coroutine that is closed must end there, whatever it was about."""
    puppet = Puppet(started=hang if hook == "started" else None)
    life = Incarnation[Any](stage.cell(), 1)
    stage.cells[-1].mailbox.put(hang)
    life.make(lambda: puppet)
    coroutine = life.live(math.inf)
    coroutine.send(None)
    coroutine.close()
    assert life.state is (State.STARTING if hook == "started" else State.RUNNING)
    assert puppet.reasons == []
    stage.cells.clear()
