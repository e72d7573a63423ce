from __future__ import annotations

import asyncio
import dataclasses

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from greenroom.actors import Gate
from greenroom.actors._parking import Parkable, Parker, running_parker

from .kit import Slot

pytestmark = pytest.mark.anyio


async def sleep_on(parker: Parker, slot: Slot) -> None:
    await parker.park(slot)


async def test_the_parker_is_that_of_the_running_loop(
    anyio_backend_name: str,
) -> None:
    parker = running_parker()

    assert parker.backend == anyio_backend_name
    assert parker.cancelled is anyio.get_cancelled_exc_class()


async def test_a_sleeper_sleeps_until_it_is_woken() -> None:
    parker, slot, events = running_parker(), Slot(), list[str]()

    async def sleep() -> None:
        events.append("sleeps")
        await parker.park(slot)
        events.append("awake")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep)
        await wait_all_tasks_blocked()
        assert events == ["sleeps"]
        assert slot.parked is not None
        parker.unpark(slot)
        # Free at once: the next may go to sleep here before this one runs.
        assert slot.parked is None

    assert events == ["sleeps", "awake"]


async def test_a_cancelled_sleeper_frees_its_slot() -> None:
    parker, slot = running_parker(), Slot()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleep_on, parker, slot)
            await wait_all_tasks_blocked()
            scope.cancel()
            await checkpoint()

    assert scope.cancelled_caught
    assert slot.parked is None


async def test_a_sleeper_woken_and_cancelled_in_one_tick_leaves_the_slot_free() -> None:
    parker, slot = running_parker(), Slot()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep_on, parker, slot)
        await wait_all_tasks_blocked()
        parker.unpark(slot)
        tasks.cancel_scope.cancel()

    assert slot.parked is None


async def test_a_woken_sleeper_leaves_the_slot_to_the_next_one() -> None:
    parker, slot, awake = running_parker(), Slot(), list[str]()

    async def sleep(name: str) -> None:
        await parker.park(slot)
        awake.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep, "first")
        await wait_all_tasks_blocked()
        parker.unpark(slot)
        tasks.start_soon(sleep, "second")
        await wait_all_tasks_blocked()
        assert awake == ["first"]
        assert slot.parked is not None
        parker.unpark(slot)

    assert awake == ["first", "second"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_wake_up_after_a_native_cancellation_does_nothing() -> None:
    parker, slot = running_parker(), Slot()

    async def sleep() -> None:
        await parker.park(slot)

    task = asyncio.create_task(sleep())
    await wait_all_tasks_blocked()
    task.cancel()
    parker.unpark(slot)

    with pytest.raises(asyncio.CancelledError):
        await task
    assert slot.parked is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_sleeper_cancelled_late_leaves_the_slot_of_the_next_alone() -> None:
    parker, slot = running_parker(), Slot()

    async def sleep() -> None:
        await parker.park(slot)

    first = asyncio.create_task(sleep())
    await wait_all_tasks_blocked()
    first.cancel()
    # Before the cancelled one runs, the slot is another's.
    token = slot.parked = asyncio.get_running_loop().create_future()
    with pytest.raises(asyncio.CancelledError):
        await first

    assert slot.parked is token


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_absorbed_native_cancellation_is_not_counted_any_more() -> None:
    parker, counts = running_parker(), list[int]()

    async def survive() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.cancel()
        try:
            await checkpoint()
        except asyncio.CancelledError:
            counts.append(task.cancelling())
            parker.absorb()
            counts.append(task.cancelling())
        await checkpoint()

    await asyncio.create_task(survive())

    assert counts == [2, 0]


async def test_absorbing_nothing_does_nothing() -> None:
    running_parker().absorb()

    await checkpoint()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_absorbing_outside_of_every_task_does_nothing() -> None:
    parker, called = running_parker(), asyncio.Event()

    def outside() -> None:
        parker.absorb()
        called.set()

    asyncio.get_running_loop().call_soon(outside)
    await called.wait()


# -- gates -----------------------------------------------------------------


@pytest.fixture
async def parker() -> Parker:
    return running_parker()


async def test_a_gate_wakes_all_in_the_order_in_which_they_came(
    parker: Parker, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[object] = []

    def unpark(slot: Parkable) -> None:
        woken.append(slot)
        parker.unpark(slot)

    watched = dataclasses.replace(parker, unpark=unpark)
    gate, passed = Gate(watched), list[int]()

    async def wait(number: int) -> None:
        await gate.wait()
        passed.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert not gate.opened
        assert passed == []
        gate.open()

    assert gate.opened
    assert len(woken) == 3
    assert sorted(passed) == [0, 1, 2]


async def test_an_open_gate_lets_everybody_through_at_once(parker: Parker) -> None:
    gate = Gate(parker)
    gate.open()
    with anyio.CancelScope() as scope:
        scope.cancel()  # a checkpoint would raise
        await gate.wait()

    assert not scope.cancelled_caught


async def test_one_who_stops_waiting_is_forgotten(parker: Parker) -> None:
    gate, passed = Gate(parker), list[str]()

    async def wait() -> None:
        await gate.wait()
        passed.append("patient")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(gate.wait)
                await wait_all_tasks_blocked()
                scope.cancel()
        gate.open()

    assert passed == ["patient"]


async def test_a_gate_opens_though_a_waiter_is_cancelled_in_the_same_tick(
    parker: Parker,
) -> None:
    gate = Gate(parker)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.wait)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        gate.open()

    assert gate.opened
