"""A timer tells its actor, and only the incarnation that set it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import Crashed, Overflow, Timer, Undelivered
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, fail, seen_by

pytestmark = pytest.mark.anyio


async def test_a_timer_tells_its_actor_once(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.ask(lambda puppet: puppet.context.send_after(2, "tick"))
    await anyio.sleep(1.9)
    assert seen_by(cell) == []
    await anyio.sleep(5)
    assert seen_by(cell) == ["tick"]


async def test_timers_do_not_know_of_each_other(stage: Stage) -> None:
    def set_both(puppet: Puppet) -> None:
        puppet.context.send_after(2, "late")
        puppet.context.send_after(1, "early")

    cell = await stage.spawn()
    cell.ref.tell(set_both)
    await anyio.sleep(3)
    assert seen_by(cell) == ["early", "late"]


async def test_a_periodic_timer_tells_it_again_and_again(stage: Stage) -> None:
    cell = await stage.spawn()
    timer: Any = await cell.ref.ask(lambda puppet: puppet.context.send_every(2, "tick"))
    await anyio.sleep(7)
    assert seen_by(cell) == ["tick"] * 3
    timer.cancel()
    await anyio.sleep(7)
    assert seen_by(cell) == ["tick"] * 3


async def test_a_timers_message_can_be_a_coroutine_functions(stage: Stage) -> None:
    async def handle(puppet: Puppet) -> None:
        await anyio.sleep(1)
        puppet.seen.append("handled")

    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_after(0, handle))
    await anyio.sleep(2)
    assert seen_by(cell) == ["handled"]


async def test_a_slow_actor_collects_no_ticks(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_every(1, "tick"))
    cell.ref.tell(lambda _: anyio.sleep(5.5))
    await anyio.sleep(6.25)
    assert seen_by(cell) == ["tick", "tick"]


async def test_a_timer_dies_with_its_incarnation(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(lambda puppet: puppet.context.send_after(2, "tick"))
    cell.ref.tell(fail)
    await anyio.sleep(5)
    assert seen_by(cell) == []
    assert [why for _, why in stage.lost] == [Undelivered.CRASHED]


async def test_a_tick_in_the_mailbox_is_for_the_incarnation_that_set_it(
    stage: Stage,
) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(3)
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(lambda puppet: puppet.context.send_after(2, "tick"))
    cell.ref.tell(handle)
    await anyio.sleep(5)
    assert await cell.ref.ask("again") == "again"
    assert seen_by(cell) == ["again"]
    assert stage.lost == [
        (handle, Undelivered.CRASHED),
        ("tick", Undelivered.EXPIRED),
    ]


async def test_a_cancelled_timer_takes_back_its_tick(stage: Stage) -> None:
    def set_and_cancel(puppet: Puppet) -> None:
        timers.append(puppet.context.send_after(1, "tick"))

    timers: list[Timer] = []
    cell = await stage.spawn()
    cell.ref.tell(set_and_cancel)
    cell.ref.tell(lambda _: anyio.sleep(2))
    await anyio.sleep(1.5)
    timers[0].cancel()
    timers[0].cancel()
    await anyio.sleep(5)
    assert seen_by(cell) == []
    assert stage.lost == [("tick", Undelivered.EXPIRED)]


async def test_a_tick_that_finds_no_room_is_a_dead_letter(stage: Stage) -> None:
    cell = await stage.spawn(capacity=1)
    cell.ref.tell(lambda puppet: puppet.context.send_every(1, "tick"))
    await wait_idle()
    cell.ref.tell(lambda _: anyio.sleep(2.5))
    await wait_idle()
    cell.ref.tell("in the way")
    await anyio.sleep(2.25)
    assert stage.lost == [("tick", Undelivered.OVERFLOW)] * 2
    await anyio.sleep(2)
    assert seen_by(cell) == ["in the way", "tick", "tick"]


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLD, Overflow.DROP_NEW])
async def test_a_periodic_timer_survives_the_drop_of_a_tick(
    stage: Stage, overflow: Overflow
) -> None:
    cell = await stage.spawn(capacity=1, overflow=overflow)
    cell.ref.tell(lambda puppet: puppet.context.send_every(1, "tick"))
    await wait_idle()
    cell.ref.tell(lambda _: anyio.sleep(1.5))
    if overflow is Overflow.DROP_NEW:
        await wait_idle()
        cell.ref.tell("in the way")
    await anyio.sleep(1.25)
    if overflow is Overflow.DROP_OLD:
        cell.ref.tell("in the way")
    assert stage.lost == [("tick", Undelivered.OVERFLOW)]
    await anyio.sleep(2)
    assert seen_by(cell) == ["in the way", "tick", "tick"]


async def test_a_timer_whose_message_cannot_be_weighed_crashes_the_actor(
    stage: Stage,
) -> None:
    def weigh(message: object) -> int:
        if message == "tick":
            raise ERROR
        return 1

    cell = await stage.spawn(weigh=weigh, max_weight=9)
    cell.ref.tell(lambda puppet: puppet.context.send_after(1, "tick"))
    assert await cell.wait_stopped() == Crashed(ERROR)


@pytest.mark.parametrize("seconds", [-1, float("nan")])
async def test_a_delay_is_not_negative(stage: Stage, seconds: float) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_after(seconds, "tick"))
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert str(reason.error) == f"seconds must be at least 0, got {seconds!r}"


async def test_an_interval_is_above_zero(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.send_every(0, "tick"))
    reason = await cell.wait_stopped()
    assert isinstance(reason, Crashed)
    assert str(reason.error) == "seconds between ticks must be above 0, got 0"


async def test_an_interval_too_short_for_the_clock_does_not_stop_the_world(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    await anyio.sleep(10)
    timer: Any = await cell.ref.ask(
        lambda puppet: puppet.context.send_every(1e-18, "tick")
    )
    for _ in range(10):
        await checkpoint()
    timer.cancel()
    assert await cell.ref.ask("alive") == "alive"
