from __future__ import annotations

import math
from typing import Any

import pytest

from greenroom import MailboxOptions, Overflow
from greenroom.actors import Mailbox, Timer
from greenroom.actors._ask import Timed
from greenroom.actors._deadlines import Deadlines

from .kit import Hand, Owner
from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


class World:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.time = 100.0
        self.parker = Hand().parker
        self.deadlines = Deadlines(self.now, self.parker)

    def now(self) -> float:
        return self.time


class Host:
    """An incarnation with timers and nothing else."""

    def __init__(self, **options: Any) -> None:
        self.runtime = World()
        self.owner = Owner()
        self.mailbox: Mailbox[Any] = Mailbox(
            MailboxOptions(**options), self.owner, self.runtime.parker
        )
        self.number = 7
        self.lost: list[object] = []
        self.failed: list[Exception] = []
        self.over: list[Timer] = []

    def timer_lost(self, message: object) -> None:
        self.lost.append(message)

    def timer_failed(self, error: Exception) -> None:
        self.failed.append(error)

    def timer_done(self, timer: Timer) -> None:
        self.over.append(timer)

    def fire(self, timer: Timer, late: float = 0) -> None:
        """Do what the sweeper does, *late* seconds after the deadline."""
        assert not timer.done
        self.runtime.time = timer.deadline + late
        timer.expire()

    def handle(self) -> Any:
        """Do what the loop does; return the message if it is good."""
        tick = self.mailbox.take()
        assert isinstance(tick, Timed)
        self.mailbox.done()
        tick.settled = True
        return tick.message if tick.incarnation == self.number else None


@pytest.mark.parametrize("delay", [-1, -math.inf, math.nan])
def test_a_delay_is_at_least_zero(delay: float) -> None:
    with pytest.raises(ValueError, match="seconds must be at least 0, got"):
        Timer(Host(), delay, "message", None)


@pytest.mark.parametrize("interval", [0, -1, math.nan])
def test_an_interval_is_above_zero(interval: float) -> None:
    with pytest.raises(ValueError, match="seconds between ticks must be above 0, got"):
        Timer(Host(), 0, "message", interval)


def test_a_timer_fires_once() -> None:
    host = Host()
    timer = Timer(host, 5, "message", None)
    assert timer.deadline == 105
    assert len(host.runtime.deadlines) == 1
    host.fire(timer)

    assert timer.done
    assert host.over == [timer]
    assert host.handle() == "message"


def test_a_timer_that_repeats_fires_at_each_interval() -> None:
    host = Host()
    timer = Timer(host, 5, "tick", 2)
    deadlines: list[float] = []
    for _ in range(3):
        host.fire(timer)
        assert host.handle() == "tick"
        deadlines.append(timer.deadline)

    assert deadlines == [107, 109, 111]
    assert host.over == []


def test_ticks_do_not_drift_when_they_are_late() -> None:
    host = Host()
    timer = Timer(host, 5, "tick", 2)
    host.fire(timer, late=0.5)

    assert timer.deadline == 107


def test_a_clock_that_jumped_makes_no_burst_of_ticks() -> None:
    host = Host()
    timer = Timer(host, 5, "tick", 2)
    host.fire(timer, late=1000.5)

    assert timer.deadline == 1107  # in the rhythm, and past now: 1105.5
    assert len(host.mailbox.queue) == 1


def test_a_tick_is_skipped_while_the_one_before_it_waits() -> None:
    host = Host()
    timer = Timer(host, 1, "tick", 1)
    host.fire(timer)
    host.fire(timer)
    assert len(host.mailbox.queue) == 1
    host.handle()
    host.fire(timer)

    assert len(host.mailbox.queue) == 1


def test_a_cancelled_timer_does_not_fire() -> None:
    host = Host()
    timer = Timer(host, 1, "message", None)
    timer.cancel()
    timer.cancel()

    assert timer.done
    assert host.over == [timer]
    assert not host.mailbox.queue


@pytest.mark.parametrize("interval", [None, 1.0])
def test_a_tick_that_waits_is_not_delivered_once_cancelled(
    interval: float | None,
) -> None:
    host = Host()
    timer = Timer(host, 1, "message", interval)
    host.fire(timer)
    timer.cancel()

    assert host.over == [timer]
    assert host.handle() is None


@pytest.mark.parametrize("interval", [None, 1.0])
def test_a_message_that_a_full_mailbox_refuses_is_reported(
    interval: float | None,
) -> None:
    host = Host(capacity=1)
    host.mailbox.put("in the way")
    timer = Timer(host, 1, "message", interval)
    host.fire(timer)

    assert host.lost == ["message"]
    assert timer.done is (interval is None)


def test_a_tick_that_was_refused_does_not_hold_up_the_next() -> None:
    host = Host(capacity=1)
    host.mailbox.put("in the way")
    timer = Timer(host, 1, "tick", 1)
    host.fire(timer)
    host.mailbox.take()
    host.mailbox.done()
    host.fire(timer)

    assert host.handle() == "tick"


def test_a_mailbox_function_that_raises_is_the_actors_failure() -> None:
    error = ZeroDivisionError("no weight")

    def weigh(message: object) -> int:
        raise error

    host = Host(weigh=weigh, max_weight=10)
    timer = Timer(host, 1, "message", None)
    host.fire(timer)

    assert host.failed == [error]
    assert timer.done


async def test_a_tick_dropped_by_policy_does_not_hold_up_the_next(
    stage: Stage,
) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet, capacity=1, overflow=Overflow.DROP_OLD)

    def set_timer(me: Puppet) -> Timer:
        return me.context.send_every(1, "tick")

    timer = await cell.ref.ask(set_timer)
    assert isinstance(timer, Timer)
    now = stage.runtime.now

    def be_busy(me: Puppet) -> None:
        timer.expire()  # as the sweeper does, while the actor is busy
        me.context.ref.tell("another")
        assert timer.deadline > now()
        timer.expire()

    await cell.ref.ask(be_busy)
    await cell.ref.stop()

    assert puppet.seen == ["tick"]
    assert [message for message, _ in stage.lost] == ["tick", "another"]
