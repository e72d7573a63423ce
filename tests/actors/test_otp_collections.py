"""Many requests at a time, taken as they come, as OTP has them in collections."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    ActorCrashed,
    AskCycle,
    AskTimeout,
    Replies,
    Shutdown,
)
from greenroom.actors import Cell
from greenroom.testing import wait_idle

from .stage import Puppet, Stage, after, fail

pytestmark = pytest.mark.anyio


async def test_many_are_taken_in_the_order_in_which_they_come(stage: Stage) -> None:
    """Behaviour 109: send_request_receive_reqid_collection."""
    cells = [await stage.spawn() for _ in range(4)]
    delays = (3, 1, 2)
    sent = [
        cell.ref.request(after(delay, delay))
        for cell, delay in zip(cells, delays, strict=False)
    ]
    replies = Replies(sent)
    assert len(replies) == 3

    taken: list[object] = []
    async for reply in replies:
        taken.append(reply.result())
        if len(taken) == 1:  # more may join on the way
            replies.add(cells[3].ref.request(after(1.5, 1.5)))

    assert taken == [1, 2, 1.5, 3]
    assert len(replies) == 0
    with pytest.raises(LookupError, match="no reply is left"):
        await replies.next()


async def test_many_can_be_waited_for_again_after_a_timeout(stage: Stage) -> None:
    """Behaviour 109: send_request_wait_reqid_collection."""
    cell = await stage.spawn()
    replies = Replies([cell.ref.request(after(2, "slow"))])
    with pytest.raises(TimeoutError, match="no answer has come within 1 s"):
        await replies.next(timeout=1)
    assert len(replies) == 1

    assert (await replies.next(timeout=2)).result() == "slow"


async def test_one_of_many_that_fails_comes_like_the_others(stage: Stage) -> None:
    """Behaviour 109: send_request_check_reqid_collection."""
    good, bad = await stage.spawn(), await stage.spawn()
    replies = Replies([good.ref.request(after(1, "good")), bad.ref.request(fail)])

    first = await replies.next()
    assert first.path == bad.path
    with pytest.raises(ActorCrashed):
        first.result()
    assert (await replies.next()).result() == "good"


async def test_what_is_done_already_counts_as_come_when_it_joins(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    first, second = cell.ref.request("first"), cell.ref.request("second")
    await second.wait()
    replies: Replies[object] = Replies()
    replies.add(second)
    replies.add(first)

    assert [await replies.next(), await replies.next()] == [second, first]


async def test_a_reply_is_in_one_collection_at_a_time(stage: Stage) -> None:
    cell = await stage.spawn()
    reply = cell.ref.request(after(1, "done"))
    one, two = Replies([reply]), Replies[object]()
    with pytest.raises(ValueError, match="in a collection already"):
        two.add(reply)
    two.discard(reply)  # which is not in it
    one.discard(reply)
    two.add(reply)
    await anyio.sleep(2)
    with pytest.raises(ValueError, match="in a collection already"):
        one.add(reply)
    two.discard(reply)

    assert (len(one), len(two)) == (0, 0)
    one.add(reply)
    assert await one.next() is reply


async def test_who_waits_for_many_is_told_when_the_last_is_taken_out(
    stage: Stage,
) -> None:
    cell = await stage.spawn()
    reply = cell.ref.request(after(1, "done"))
    replies = Replies([reply])

    async def wait() -> None:
        with pytest.raises(LookupError):
            await replies.next()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait_idle()
        with pytest.raises(anyio.BusyResourceError):
            await replies.next()
        replies.discard(reply)


async def ring_of(stage: Stage, others: int) -> tuple[Cell[Any], list[Any]]:
    """An actor, and what its cells do who ask it back while it waits for them."""
    one = await stage.spawn()
    outcomes: list[Any] = []

    async def ask_back(_: Puppet) -> None:
        outcomes.append(await one.ref.ask("you first", timeout=None))

    async def gather(_: Puppet) -> object:
        cells = [await stage.spawn() for _ in range(others)]
        replies = Replies([cell.ref.request(ask_back) for cell in cells])
        await wait_idle()
        with pytest.raises(AskCycle) as caught:
            await replies.next()
        first, other, last = caught.value.cycle
        return [first, other in [cell.path for cell in cells], last]

    assert await one.ref.ask(gather) == [one.path, True, one.path]
    return one, outcomes


@pytest.mark.parametrize("others", [1, 3])
async def test_many_are_not_waited_for_if_all_wait_for_the_one_who_asks(
    stage: Stage, others: int
) -> None:
    _, outcomes = await ring_of(stage, others)
    await wait_idle()

    assert outcomes == ["you first"] * others


async def test_many_are_waited_for_as_long_as_one_can_answer(stage: Stage) -> None:
    one, two, free = [await stage.spawn() for _ in range(3)]

    async def ask_back(_: Puppet) -> object:
        return await one.ref.ask("you first", timeout=None)

    async def gather(_: Puppet) -> object:
        replies = Replies([two.ref.request(ask_back), free.ref.request(after(1, 1))])
        await wait_idle()
        first = (await replies.next()).result()
        with pytest.raises(AskCycle):
            await replies.next()
        return first

    assert await one.ref.ask(gather) == 1


@pytest.mark.parametrize("others", [2, 5, 20])
async def test_the_last_of_many_to_ask_back_is_told_that_nobody_can_answer(
    stage: Stage, others: int
) -> None:
    one = await stage.spawn()
    turns = [anyio.Event() for _ in range(others)]
    outcomes: list[str] = []

    def ask_back(number: int) -> Any:
        async def ask(_: Puppet) -> object:
            await turns[number].wait()
            try:
                outcomes.append(str(await one.ref.ask("you first", timeout=None)))
            except AskCycle as refused:
                outcomes.append(" ".join(refused.cycle))
            return number

        return ask

    async def gather(_: Puppet) -> object:
        cells = [await stage.spawn(path=f"/other-{n}") for n in range(others)]
        sent = [cell.ref.request(ask_back(n)) for n, cell in enumerate(cells)]
        with anyio.move_on_after(10):
            return (await Replies(sent).next()).result()
        return None

    answer = one.ref.request(gather)
    for turn in turns:
        await wait_idle()
        assert outcomes == []
        turn.set()
    await wait_idle()
    last = f"/other-{others - 1}"
    if others <= 16:
        # All others wait for the one that waits for any of them.
        assert outcomes[0] == f"{last} {one.path} {last}"
        assert await answer.wait() == others - 1
    else:
        assert outcomes == []
        assert await answer.wait() is None
    await wait_idle()
    assert outcomes.count("you first") == others - (others <= 16)
    assert one.waits == ()


async def test_those_that_wait_for_any_of_each_other_do_not_look_for_ever(
    stage: Stage,
) -> None:
    cells = [await stage.spawn() for _ in range(4)]
    outcomes: list[object] = []

    async def wait_for_any(puppet: Puppet) -> None:
        others = [cell for cell in cells if cell.ref is not puppet.context.ref]
        sent = [cell.ref.request("hello", timeout=1) for cell in others]
        await wait_idle()
        try:
            outcomes.append((await Replies(sent).next()).result())
        except AskTimeout:
            outcomes.append("too late")
        except AskCycle:
            outcomes.append("ring")

    for cell in cells:
        cell.ref.tell(wait_for_any)
    await anyio.sleep(2)

    assert len(outcomes) == 4
    assert all(cell.waits == () for cell in cells)


async def test_a_task_of_an_actor_may_wait_for_what_asks_it_back(
    stage: Stage,
) -> None:
    one, two = await stage.spawn(), await stage.spawn()
    answers: list[object] = []

    async def ask_back(_: Puppet) -> object:
        return await one.ref.ask("welcome")

    async def gather() -> None:
        answers.append(await two.ref.request(ask_back).wait())
        answers.append((await Replies([two.ref.request(ask_back)]).next()).result())

    await one.ref.ask(lambda puppet: puppet.context.start_soon(gather))
    await wait_idle()
    assert answers == ["welcome", "welcome"]
    await one.ref.stop(Shutdown())
