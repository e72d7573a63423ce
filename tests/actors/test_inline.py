"""Inline asks: answered in the asker's task, and still one message at a time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import Actor, ActorCrashed, ActorNotAlive, AskTimeout, Reply, Shutdown
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Puppet, Stage, takes

pytestmark = pytest.mark.anyio


class Quick(Actor[Any]):
    """Notes in whose task it was called."""

    inline_asks = True

    def __init__(self) -> None:
        self.tasks: list[int] = []
        self.reply: Reply | None = None

    def receive(self, message: Any) -> object:
        self.tasks.append(anyio.get_current_task().id)
        if callable(message):
            return message(self)
        return message


async def warm(stage: Stage, actor: Actor[Any]) -> Any:
    """A cell of which an actor has handled something, and is idle again."""
    cell = await stage.spawn(lambda: actor, Nanny())
    assert await cell.ref.ask("warm") == "warm"
    await wait_idle()
    return cell


async def test_an_idle_actor_answers_in_the_task_of_the_asker(stage: Stage) -> None:
    quick = Quick()
    cell = await warm(stage, quick)
    assert await cell.ref.ask(1) == 1
    assert quick.tasks[-1] == anyio.get_current_task().id
    seen = cell.ref.statistics()
    assert (seen.accepted, seen.handled, seen.pending) == (2, 2, 0)


async def test_now_and_then_others_get_their_turn(stage: Stage) -> None:
    quick = Quick()
    cell = await warm(stage, quick)
    for number in range(200):
        assert await cell.ref.ask(number) == number
        await wait_idle()
    own = sum(task != anyio.get_current_task().id for task in quick.tasks)
    assert 3 <= own <= 6


async def test_a_busy_actor_is_waited_for(stage: Stage) -> None:
    quick = Quick()
    cell = await warm(stage, quick)
    cell.ref.tell("told")
    assert await cell.ref.ask("asked") == "asked"
    assert quick.tasks[-1] != anyio.get_current_task().id


async def test_a_suspended_one_too(stage: Stage) -> None:
    cell = await warm(stage, Quick())
    cell.ref.suspend()
    await wait_idle()
    with pytest.raises(AskTimeout):
        await cell.ref.ask(1, timeout=1)


async def test_a_crash_is_the_actors_and_the_asker_hears_of_it(stage: Stage) -> None:
    def crash(_: object) -> None:
        raise ValueError("no")

    cell = await warm(stage, Quick())
    with pytest.raises(ActorCrashed) as caught:
        await cell.ref.ask(crash)
    assert isinstance(caught.value.__cause__, ValueError)
    await wait_idle()
    assert cell.incarnation == 2
    seen = cell.ref.statistics()
    assert (seen.dead_lettered, seen.pending) == (1, 0)


async def test_an_answer_may_be_put_off(stage: Stage) -> None:
    replies: list[Reply] = []

    def later(quick: Quick) -> None:
        replies.append(quick.context.defer_reply())

    cell = await warm(stage, Quick())
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await cell.ref.ask(later))

    stage.runtime.start_task(ask)
    await wait_idle()
    assert answers == []
    replies[0].send(7)
    await wait_idle()
    assert answers == [7]


async def test_a_message_may_be_stashed(stage: Stage) -> None:
    stashed = False

    def twice(quick: Quick) -> str:
        nonlocal stashed
        if not stashed:
            stashed = True
            quick.context.stash()
            quick.context.unstash()
        return "second time"

    cell = await warm(stage, Quick())
    assert await cell.ref.ask(twice) == "second time"
    assert cell.ref.statistics().handled == 2


async def test_an_answer_that_must_be_awaited_is_a_crash(stage: Stage) -> None:
    cell = await warm(stage, Quick())
    with pytest.raises(ActorCrashed, match="must not await"):
        await cell.ref.ask(takes(0))


def _own_ref(quick: Quick) -> object:
    return quick.context.ref


async def test_an_actor_that_asks_is_not_taken_for_the_one_it_asks(
    stage: Stage,
) -> None:
    quick = await warm(stage, Quick())
    asker = await stage.spawn()

    async def ask(puppet: Puppet) -> object:
        first = await quick.ref.ask(1)
        return first, puppet.context.ref, await quick.ref.ask(_own_ref)

    assert await asker.ref.ask(ask) == (1, asker.ref, quick.ref)


async def test_once_it_stops_nothing_is_answered(stage: Stage) -> None:
    cell = await stage.spawn(Quick())
    assert await cell.ref.ask(1) == 1
    await wait_idle()
    assert await cell.ref.stop() == Shutdown()
    with pytest.raises(ActorNotAlive):
        await cell.ref.ask(2)


async def test_an_async_receive_is_never_called_inline(stage: Stage) -> None:
    class Slow(Actor[Any]):
        inline_asks = True
        task = 0

        async def receive(self, message: Any) -> object:
            self.task = anyio.get_current_task().id
            return message

    slow = Slow()
    cell = await warm(stage, slow)
    assert await cell.ref.ask(1) == 1
    assert slow.task != anyio.get_current_task().id
