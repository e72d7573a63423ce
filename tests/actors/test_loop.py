"""In what order messages are handled, and how often others get their turn."""

from __future__ import annotations

import itertools
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import Actor, Crashed, Undelivered
from greenroom.actors._loop import MESSAGES_PER_TURN
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Puppet, Stage

pytestmark = pytest.mark.anyio


class Echo(Actor[object]):
    """Its ``receive`` is a coroutine function."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def receive(self, message: object) -> object:
        await checkpoint()
        self.seen.append(message)
        return message


class Lazy(Actor[object]):
    """Its ``receive`` is none, but returns a coroutine."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def receive(self, message: object) -> object:
        return self.handle(message)

    async def handle(self, message: object) -> object:
        self.seen.append(message)
        return message


class Plain(Actor[object]):
    def __init__(self) -> None:
        self.seen: list[object] = []

    def receive(self, message: object) -> object:
        self.seen.append(message)
        return message


KINDS: list[Any] = [Echo, Lazy, Plain]


@pytest.mark.parametrize("kind", KINDS)
async def test_messages_are_handled_in_order_however_they_came(
    stage: Stage, kind: Any
) -> None:
    cell = await stage.spawn(kind)
    cell.ref.tell(1)
    await cell.ref.send(2)
    assert await cell.ref.ask(3) == 3
    assert cell.ref.try_tell(4)
    assert await cell.ref.ask(None) is None
    assert cell.actor is not None
    actor: Any = cell.actor
    assert actor.seen == [1, 2, 3, 4, None]
    assert cell.mailbox.handled == 5


@pytest.mark.parametrize("kind", KINDS)
async def test_the_system_lane_goes_first(stage: Stage, kind: Any) -> None:
    cell = stage.cell(kind)
    cell.start()
    for number in range(3):
        cell.mailbox.put(number)
    cell.mailbox.put_system("a")
    cell.mailbox.put_system("b")
    await wait_idle()
    actor: Any = cell.actor
    assert actor.seen == ["a", "b", 0, 1, 2]


async def test_the_system_lane_goes_before_the_next_message(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: puppet.context.mailbox.put_system("now"))
    cell.ref.tell("then")
    await wait_idle()
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["now", "then"]


async def test_one_message_is_handled_at_a_time(stage: Stage) -> None:
    cell = await stage.spawn()
    log: list[str] = []

    async def handle(_: Puppet) -> None:
        log.append("begin")
        await anyio.sleep(1)
        log.append("end")

    cell.ref.tell(handle)
    cell.ref.tell(handle)
    await anyio.sleep(3)
    assert log == ["begin", "end"] * 2


async def longest_turn(actor: Any, until: int) -> int:
    """How many messages were handled between two turns of this task."""
    most = 0
    while len(actor.seen) < until:
        before = len(actor.seen)
        await checkpoint()
        most = max(most, len(actor.seen) - before)
    return most


# Trio may let a task run twice before another runs once.
TWICE = 2


@pytest.mark.parametrize("kind", [Lazy, Plain])
@pytest.mark.parametrize("lane", ["user", "system"])
async def test_a_turn_ends_after_so_many_messages(
    stage: Stage, kind: Any, lane: str
) -> None:
    cell = await stage.spawn(kind)
    actor: Any = cell.actor
    for number in range(200):
        if lane == "user":
            cell.ref.tell(number)
        else:
            cell.mailbox.put_system(number)
    most = await longest_turn(actor, 200)
    assert MESSAGES_PER_TURN <= most <= TWICE * MESSAGES_PER_TURN


async def test_a_turn_ends_after_a_millisecond(stage: Stage) -> None:
    ticks = itertools.count()
    # Each look at the clock is worth 0.4 ms, and each message a look.
    stage.runtime.tick = lambda: 0.0004 * next(ticks)
    cell = await stage.spawn(Plain)
    for number in range(30):
        cell.ref.tell(number)
    assert 3 <= await longest_turn(cell.actor, 30) <= TWICE * 3


async def test_a_message_that_keeps_others_waiting_is_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cell = await stage.spawn()

    async def slow(_: Puppet) -> None:
        await anyio.sleep(1.5)

    cell.ref.tell(slow)
    cell.ref.tell("a")
    cell.ref.tell("b")
    await anyio.sleep(2)
    assert f"{cell.path} took 1.5 s over a function while 2 waited" in caplog.text
    assert "slow" not in caplog.text
    assert len(caplog.records) == 1


async def test_so_is_one_that_was_asked(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cell = await stage.spawn()

    async def slow(_: Puppet) -> None:
        await anyio.sleep(1.5)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cell.ref.ask, slow)
        await wait_idle()
        cell.ref.tell("waits")
    await wait_idle()
    assert f"{cell.path} took 1.5 s over a function while 1 waited" in caplog.text
    assert "Ask" not in caplog.text


async def test_a_slow_message_that_nobody_waits_behind_is_fine(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cell = await stage.spawn()
    await cell.ref.ask(lambda _: anyio.sleep(3))
    assert caplog.text == ""


async def test_an_ask_whose_asker_left_is_skipped(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.tell(lambda _: anyio.sleep(2))
    with anyio.move_on_after(1):
        await cell.ref.ask("nobody waits for this")
    assert await cell.ref.ask("next") == "next"
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["next"]
    assert stage.lost == [("nobody waits for this", Undelivered.EXPIRED)]


async def test_what_a_system_message_raises_is_a_crash(stage: Stage) -> None:
    error = ValueError("no")

    async def fail(_: Puppet) -> None:
        raise error

    cell = await stage.spawn(Puppet, Nanny())
    cell.mailbox.put_system(fail)
    cell.ref.tell("kept")
    assert await cell.wait_stopped() == Crashed(error)
    await wait_idle()
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["kept"]
    assert stage.lost == []
