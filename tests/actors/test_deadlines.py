from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors._deadlines import Deadlines
from greenroom.actors._parking import running_parker
from greenroom.testing._clock import wait_idle

pytestmark = pytest.mark.anyio


class Entry:
    """Writes down when it expired."""

    def __init__(
        self,
        deadline: float,
        log: list[tuple[float, str]],
        name: str = "",
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self.deadline = deadline
        self.done = False
        self._log = log
        self._name = name
        self._then = then

    def expire(self) -> None:
        self.done = True
        self._log.append((anyio.current_time(), self._name))
        self._then()


@pytest.fixture
async def deadlines() -> Deadlines:
    return Deadlines(anyio.current_time, running_parker())


@pytest.fixture
async def swept(deadlines: Deadlines) -> AsyncGenerator[Deadlines]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deadlines.run)
        await wait_idle()
        yield deadlines
        tasks.cancel_scope.cancel()


async def test_entries_expire_at_their_deadlines(swept: Deadlines) -> None:
    start, log = anyio.current_time(), list[tuple[float, str]]()
    for seconds, name in ((3, "c"), (1, "a"), (2, "b")):
        swept.add(Entry(start + seconds, log, name))
    await anyio.sleep(2.5)
    assert log == [(start + 1, "a"), (start + 2, "b")]
    await anyio.sleep(1)

    assert log[2:] == [(start + 3, "c")]
    assert len(swept) == 0


async def test_equal_deadlines_expire_in_the_order_of_addition(
    swept: Deadlines,
) -> None:
    start, log = anyio.current_time(), list[tuple[float, str]]()
    for name in "abcde":
        swept.add(Entry(start + 1, log, name))
    await anyio.sleep(2)

    assert [name for _, name in log] == list("abcde")


async def test_what_is_done_in_time_does_not_expire(swept: Deadlines) -> None:
    log: list[tuple[float, str]] = []
    entry = Entry(anyio.current_time() + 1, log)
    swept.add(entry)
    entry.done = True
    await anyio.sleep(2)

    assert log == []
    assert len(swept) == 0


async def test_one_settled_by_the_one_before_it_does_not_expire(
    swept: Deadlines,
) -> None:
    log: list[tuple[float, str]] = []
    due = anyio.current_time() + 1
    second = Entry(due, log, "second")

    def settle() -> None:
        second.done = True

    swept.add(Entry(due, log, "first", settle))
    swept.add(second)
    await anyio.sleep(2)

    assert log == [(due, "first")]


@pytest.mark.parametrize("deadline", [math.inf, math.nan])
async def test_what_never_ends_is_not_kept(
    deadlines: Deadlines, deadline: float
) -> None:
    deadlines.add(Entry(deadline, []))

    assert len(deadlines) == 0


async def test_what_is_overdue_expires_at_once(swept: Deadlines) -> None:
    now, log = anyio.current_time(), list[tuple[float, str]]()
    swept.add(Entry(now - 5, log, "late"))
    await wait_idle()

    assert log == [(now, "late")]


async def test_only_an_earlier_deadline_wakes_the_sweeper(swept: Deadlines) -> None:
    now = anyio.current_time()
    swept.add(Entry(now + 5, []))
    await wait_idle()
    asleep = swept.parked
    swept.add(Entry(now + 6, []))
    assert swept.parked is asleep
    swept.add(Entry(now + 4, []))

    assert swept.parked is None


async def test_what_was_added_before_the_sweeper_ran_is_swept(
    deadlines: Deadlines,
) -> None:
    now, log = anyio.current_time(), list[tuple[float, str]]()
    deadlines.add(Entry(now + 1, log, "early"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deadlines.run)
        await anyio.sleep(2)
        tasks.cancel_scope.cancel()

    assert log == [(now + 1, "early")]


async def test_an_entry_that_is_due_again_at_once_does_not_hold_up_the_loop(
    swept: Deadlines,
) -> None:
    log: list[tuple[float, str]] = []
    ran = anyio.Event()

    def again() -> None:
        if not ran.is_set():
            entry.done = False
            swept.add(entry)

    entry = Entry(anyio.current_time(), log, "again", again)
    swept.add(entry)
    for _ in range(10):
        await checkpoint()
    ran.set()
    await wait_idle()

    assert 1 < len(log) < 100


async def test_settled_entries_are_thrown_out_when_they_are_too_many(
    deadlines: Deadlines,
) -> None:
    now = anyio.current_time()
    sizes: list[int] = []
    for number in range(5000):
        entry = Entry(now + 60 + number, [])
        deadlines.add(entry)
        entry.done = True
        sizes.append(len(deadlines))

    assert max(sizes) == 1024
    assert len(deadlines) < 1024


async def test_live_entries_stay_however_many_they_are(swept: Deadlines) -> None:
    start, log = anyio.current_time(), list[tuple[float, str]]()
    for number in range(3000):
        entry = Entry(start + 30 - number / 1000, log, str(number))
        swept.add(entry)
        entry.done = number % 3 == 0
    assert 2000 <= len(swept) < 3000
    await anyio.sleep(31)

    assert [int(name) for _, name in log] == [
        number for number in reversed(range(3000)) if number % 3
    ]
