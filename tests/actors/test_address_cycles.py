"""A ring of actors that wait for each other is refused before it closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom.actors import ActorRef, AskCycle
from greenroom.testing._clock import wait_idle

from .stage import Line, Puppet, Stage, seen_by, takes
from .waiting import error_of

pytestmark = pytest.mark.anyio


def asks(ref: ActorRef[Line], message: Line) -> Callable[[Puppet], object]:
    """What makes an actor ask another."""
    return lambda _: ref.ask(message)


async def test_an_actor_cannot_ask_itself(stage: Stage) -> None:
    cell = await stage.spawn()
    error: Any = await cell.ref.ask(lambda _: error_of(cell.ref.ask("me")))
    assert isinstance(error, AskCycle)
    assert error.cycle == (cell.path, cell.path)
    assert cell.mailbox.accepted == 1


async def test_a_ring_of_asks_is_refused_before_it_closes(stage: Stage) -> None:
    cells = [await stage.spawn(path=f"/{name}") for name in "abc"]
    a, b, c = (cell.ref for cell in cells)
    error: Any = await a.ask(
        lambda _: b.ask(lambda _: c.ask(lambda _: error_of(a.ask("round"))))
    )
    assert isinstance(error, AskCycle)
    assert error.cycle == ("/c", "/a", "/b", "/c")
    # Nobody is the worse for it.
    assert await a.ask(lambda _: b.ask("fine")) == "fine"


async def test_an_ask_that_leads_nowhere_near_is_fine(stage: Stage) -> None:
    a, b, c = [(await stage.spawn()).ref for _ in "abc"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a.ask, asks(b, takes(1)))
        await wait_idle()
        assert await c.ask(lambda _: a.ask("after that")) == "after that"


async def test_a_handler_may_wait_for_several_at_once(stage: Stage) -> None:
    a, b, c = [(await stage.spawn()).ref for _ in "abc"]

    async def ask_back(_: Puppet) -> object:
        await anyio.sleep(1)
        return await error_of(a.ask("round"))

    async def ask_both(_: Puppet) -> list[object]:
        answers: list[object] = []

        async def ask(ref: ActorRef[Any]) -> None:
            answers.append(await ref.ask(ask_back))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, b)
            tasks.start_soon(ask, c)
        return answers

    errors: Any = await a.ask(ask_both)
    assert sorted(error.cycle for error in errors) == [
        (b.path, a.path, b.path),
        (c.path, a.path, c.path),
    ]


async def test_two_ways_to_the_same_actor_are_looked_at_once(stage: Stage) -> None:
    a, b, c, d = [(await stage.spawn()).ref for _ in "abcd"]

    async def ask_both(_: Puppet) -> None:
        async with anyio.create_task_group() as tasks:
            for ref in (b, c):
                tasks.start_soon(ref.ask, asks(d, takes(1)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a.ask, ask_both)
        await wait_idle()
        free = await stage.spawn()
        assert await free.ref.ask(lambda _: a.ask("in the end")) == "in the end"


async def test_what_has_been_answered_is_no_longer_waited_for(stage: Stage) -> None:
    """The one who answered may go on before the one who asked."""
    a, b = (await stage.spawn()).ref, (await stage.spawn()).ref
    async with anyio.create_task_group() as tasks:
        # B's handlers both run in one turn: the first answers A, which has not
        # gone on when the second asks A.
        b.tell(lambda _: anyio.sleep(1))
        tasks.start_soon(a.ask, asks(b, "quick"))
        await wait_idle()
        assert await b.ask(lambda _: a.ask("back")) == "back"


async def test_a_cancelled_ask_closes_no_ring(stage: Stage) -> None:
    a, b = (await stage.spawn()).ref, (await stage.spawn()).ref

    async def ask_briefly(_: Puppet) -> None:
        with anyio.move_on_after(1):
            await b.ask(lambda _: anyio.sleep(2))

    await a.ask(ask_briefly)
    assert await b.ask(lambda _: a.ask("fine")) == "fine"


async def test_a_full_actor_cannot_wait_for_its_own_room(stage: Stage) -> None:
    cell = await stage.spawn(capacity=1)

    async def fill(puppet: Puppet) -> object:
        cell.ref.tell("in the way")
        return await error_of(cell.ref.send("me"))

    error: Any = await cell.ref.ask(fill)
    assert isinstance(error, AskCycle)
    await wait_idle()
    assert seen_by(cell) == ["in the way"]
    assert cell.mailbox.accepted == 2


async def test_a_ring_may_close_over_a_send_that_waits(stage: Stage) -> None:
    a, b = await stage.spawn(capacity=1), await stage.spawn(capacity=1)

    async def fill_b(_: Puppet) -> None:
        await anyio.sleep(1)
        await b.ref.send("for b")

    async def ask_a(_: Puppet) -> object:
        await anyio.sleep(2)
        return await error_of(a.ref.ask("for a"))

    a.ref.tell(fill_b)
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            error: Any = await b.ref.ask(ask_a)
            assert isinstance(error, AskCycle)
            assert error.cycle == (b.path, a.path, b.path)

        tasks.start_soon(ask)
        await wait_idle()
        b.ref.tell("in the way")
    await wait_idle()
    assert seen_by(b) == ["in the way", "for b"]


async def test_a_ring_may_close_over_an_ask_that_waits_for_room(
    stage: Stage,
) -> None:
    a, b = await stage.spawn(), await stage.spawn(capacity=1)

    async def ask_a(_: Puppet) -> object:
        await anyio.sleep(2)
        return await error_of(a.ref.ask("for a"))

    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            error: Any = await b.ref.ask(ask_a)
            assert isinstance(error, AskCycle)

        tasks.start_soon(ask)
        await wait_idle()
        b.ref.tell("in the way")
        assert await a.ref.ask(lambda _: b.ref.ask("for b")) == "for b"
