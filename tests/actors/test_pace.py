"""Pace: how long messages wait, told from one of them at a time."""

from __future__ import annotations

import anyio
import pytest

from greenroom.actors._pace import Pace
from greenroom.testing._clock import wait_idle

from .stage import Stage, takes

pytestmark = pytest.mark.anyio


def test_the_lag_is_what_a_marked_message_took_to_be_reached() -> None:
    pace = Pace()
    pace.mark(0, 10, 100.0)
    assert pace.lag(5, 103.0) == 3.0
    pace.mark(5, 30, 103.0)
    # Not reached: the mark stays where it is.
    assert pace.lag(9, 104.0) == 4.0
    assert pace.lag(10, 104.0) == 0.0
    pace.mark(12, 40, 106.0)
    assert pace.lag(39, 107.0) == 6.0
    assert pace.lag(39, 120.0) == 14.0
    assert pace.lag(40, 120.0) == 6.0


async def test_where_nothing_waits_there_is_no_lag(stage: Stage) -> None:
    cell = await stage.spawn()
    assert cell.mailbox.lag(stage.runtime.tick()) == 0
    cell.ref.tell(takes(10))
    await anyio.sleep(3)
    assert cell.mailbox.lag(stage.runtime.tick()) == 0


async def test_behind_a_slow_message_the_lag_is_its_time(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(takes(10))
    await wait_idle()
    cell.ref.tell(1)
    await anyio.sleep(3)
    assert cell.mailbox.lag(stage.runtime.tick()) == pytest.approx(3, abs=0.1)


async def test_of_a_backlog_it_is_how_long_the_messages_take(stage: Stage) -> None:
    cell = await stage.spawn()
    for _ in range(200):
        cell.ref.tell(takes(0.1))
    await anyio.sleep(9.95)
    assert cell.mailbox.lag(stage.runtime.tick()) == pytest.approx(9.95, abs=0.2)
    await anyio.sleep(20)
    assert cell.mailbox.lag(stage.runtime.tick()) == 0
    assert cell.mailbox.pace is None
