"""An answer that was put off is given once, or its asker is told of the end."""

from __future__ import annotations

import gc

import anyio
import pytest

from greenroom.actors import (
    ActorCrashed,
    ActorNotAlive,
    AskTimeout,
    Reply,
    Shutdown,
    State,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage
from .waiting import while_waiting

pytestmark = pytest.mark.anyio


async def test_an_answer_can_be_put_off(stage: Stage) -> None:
    replies: list[Reply] = []

    def defer(puppet: Puppet) -> object:
        replies.append(puppet.context.defer_reply())
        return "unused"

    cell = await stage.spawn()
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await cell.ref.ask(defer))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        assert await cell.ref.ask("meanwhile") == "meanwhile"
        assert (answers, replies[0].wanted) == ([], True)
        replies[0].send("at last")
        replies[0].send("ignored")
        replies[0].fail(ERROR)
    assert answers == ["at last"]
    assert not replies[0].wanted


async def test_an_answer_put_off_can_be_an_error(stage: Stage) -> None:
    cell = await stage.spawn()

    def refuse(puppet: Puppet) -> None:
        puppet.context.defer_reply().fail(ERROR)

    with pytest.raises(ValueError, match="no"):
        await cell.ref.ask(refuse)
    assert cell.state is State.RUNNING


async def test_nobody_wants_the_answer_to_what_was_told(stage: Stage) -> None:
    replies: list[Reply] = []
    cell = await stage.spawn()
    cell.ref.tell(lambda puppet: replies.append(puppet.context.defer_reply()))
    await wait_idle()
    assert not replies[0].wanted
    replies[0].send(1)
    replies[0].fail(ERROR)


async def test_who_waits_for_an_answer_put_off_is_told_of_the_end(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    answer = cell.ref.ask(lambda puppet: puppet.context.defer_reply())
    async with while_waiting(answer) as errors:
        cell.ref.stop_nowait()
    [error] = errors
    assert isinstance(error, ActorNotAlive)
    assert error.reason == Shutdown()


async def test_a_promise_made_before_a_crash_over_the_same_ask_is_broken(
    stage: Stage,
) -> None:
    def defer_and_fail(puppet: Puppet) -> None:
        puppet.context.defer_reply()
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    with pytest.raises(ActorCrashed):
        await cell.ref.ask(defer_and_fail)


async def test_answers_that_were_given_are_not_kept(stage: Stage) -> None:
    open_ones: list[Reply] = []

    def defer(puppet: Puppet) -> None:
        reply = puppet.context.defer_reply()
        if len(open_ones) < 20:
            open_ones.append(reply)
        else:
            reply.send("at once")

    cell = await stage.spawn()
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(ActorNotAlive):
                await cell.ref.ask(defer, timeout=None)

        for _ in range(20):
            tasks.start_soon(ask)
        await wait_idle()
        for _ in range(500):
            assert await cell.ref.ask(defer) == "at once"
        life = cell.life
        assert life is not None
        kept = [each for each in gc.get_referents(life.belongings) if _is_dict(each)]
        assert [len(each) for each in kept] == [20]
        cell.ref.stop_nowait()


async def test_those_who_do_not_wait_any_longer_are_not_kept(stage: Stage) -> None:
    open_ones: list[Reply] = []

    def defer(puppet: Puppet) -> None:
        open_ones.append(puppet.context.defer_reply())

    cell = await stage.spawn()
    for _ in range(100):
        with pytest.raises(AskTimeout):
            await cell.ref.ask(defer, timeout=0.01)
    life = cell.life
    assert life is not None
    (kept,) = [each for each in gc.get_referents(life.belongings) if _is_dict(each)]
    assert 0 < len(kept) <= 16
    cell.ref.stop_nowait()


def _is_dict(thing: object) -> bool:
    return isinstance(thing, dict)
