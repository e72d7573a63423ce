"""Redelivery: a message over which an actor crashed, handled again, so often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom import Actor, ActorCrashed, AskTimeout, MailboxOptions, Undelivered
from greenroom.actors import UNSUPERVISED, Cell, Parent
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Stage

pytestmark = pytest.mark.anyio


class Fragile(Actor[Any]):
    """Crashes over a message until *patience* is used up, over all lives."""

    seen: list[object]
    crashes: dict[object, int]

    def __init__(self, seen: list[object], crashes: dict[object, int]) -> None:
        self.seen = seen
        self.crashes = crashes

    async def receive(self, message: Any) -> object:
        self.seen.append(message)
        if self.crashes.get(message, 0) > 0:
            self.crashes[message] -= 1
            raise ValueError(message)
        return message


async def redelivering(
    stage: Stage,
    make: Callable[[], Actor[Any]],
    redeliver: int,
    parent: Parent | None = None,
) -> Cell[Any]:
    cell: Cell[Any] = Cell(
        stage.runtime,
        "/redelivering",
        make,
        parent or Nanny(),
        mailbox=MailboxOptions(),
        redeliver=redeliver,
    )
    stage.cells.append(cell)
    cell.start()
    assert await cell.wait_started() is None
    return cell


async def spawn(
    stage: Stage,
    seen: list[object],
    crashes: dict[object, int],
    redeliver: int,
    parent: Parent | None = None,
) -> Cell[Any]:
    return await redelivering(stage, lambda: Fragile(seen, crashes), redeliver, parent)


async def test_it_is_handled_again_before_all_others(stage: Stage) -> None:
    seen: list[object] = []
    cell = await spawn(stage, seen, {1: 2}, redeliver=2)
    cell.ref.tell(1)
    cell.ref.tell(2)
    await wait_idle()
    assert seen == [1, 1, 1, 2]
    assert stage.lost == []
    assert cell.ref.statistics().handled == 2


async def test_beyond_that_it_is_a_dead_letter_and_the_others_go_on(
    stage: Stage,
) -> None:
    seen: list[object] = []
    cell = await spawn(stage, seen, {1: 9, 2: 1}, redeliver=2)
    for message in (1, 2, 3):
        cell.ref.tell(message)
    await wait_idle()
    assert seen == [1, 1, 1, 2, 2, 3]
    assert stage.lost == [(1, Undelivered.CRASHED)]


async def test_an_ask_is_answered_after_all(stage: Stage) -> None:
    cell = await spawn(stage, [], {"x": 1}, redeliver=1)
    assert await cell.ref.ask("x") == "x"


async def test_an_ask_gets_the_crash_when_there_is_no_more_patience(
    stage: Stage,
) -> None:
    cell = await spawn(stage, [], {"x": 2}, redeliver=1)
    with pytest.raises(ActorCrashed):
        await cell.ref.ask("x")


async def test_an_ask_keeps_its_deadline_meanwhile(stage: Stage) -> None:
    seen: list[object] = []
    nanny = Nanny(later=True)
    cell = await spawn(stage, seen, {"x": 1}, redeliver=1, parent=nanny)
    with pytest.raises(AskTimeout):
        await cell.ref.ask("x", timeout=1)
    cell.start()
    await wait_idle()
    assert seen == ["x"]
    assert stage.lost == [("x", Undelivered.EXPIRED)]


async def test_where_nobody_restarts_it_nothing_is_redelivered(stage: Stage) -> None:
    cell = await spawn(stage, [], {1: 1}, redeliver=5, parent=UNSUPERVISED)
    cell.ref.tell(1)
    await wait_idle()
    assert stage.lost == [(1, Undelivered.CRASHED)]
    assert cell.ref.statistics().pending == 0


async def test_killed_over_a_message_it_is_not_redelivered(stage: Stage) -> None:
    class Slow(Actor[str]):
        async def receive(self, message: str) -> None:
            await anyio.sleep(10)

    cell = await redelivering(stage, Slow, 3)
    cell.ref.tell("m")
    await wait_idle()
    cell.ref.kill()
    await wait_idle()
    assert stage.lost == [("m", Undelivered.CANCELLED)]


async def test_a_tick_dies_with_the_incarnation_that_set_it(stage: Stage) -> None:
    class Ticked(Actor[str]):
        async def started(self) -> None:
            if self.context.incarnation == 1:
                self.context.send_after(1, "tick")

        def receive(self, message: str) -> None:
            raise ValueError(message)

    cell = await redelivering(stage, Ticked, 3)
    await anyio.sleep(2)
    assert cell.incarnation == 2
    assert stage.lost == [("tick", Undelivered.CRASHED)]
