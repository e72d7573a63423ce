"""Asks whose end is that of an actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    ActorRef,
    ActorSystem,
    AskTimeout,
    ChildNotFound,
    ChildSpec,
    Crashed,
    Restart,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import Boom, Plain, child, family, incarnation, now, running

pytestmark = pytest.mark.anyio


class Slow(Actor[Any]):
    """Answers each message when its gate is open."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.handled: list[object] = []

    async def receive(self, message: Any) -> object:
        await self.gate.wait()
        self.handled.append(message)
        return message


class Asker(Actor[Callable[[object], object]]):
    """Asks another, and does what it is told with the answer."""

    def __init__(self, other: ActorRef[Any]) -> None:
        self.other = other

    async def receive(self, message: Callable[[object], object]) -> object:
        return message(await self.other.ask("which?"))


async def test_an_ask_of_who_has_ended_fails_at_once() -> None:
    """Behaviour 155: fail the future if the actor is already terminated."""
    async with ActorSystem() as system:
        ref = await system.spawn(Plain())
        await ref.stop()
        began = now()
        with pytest.raises(ActorNotAlive) as error:
            await ref.ask("x")
        assert now() == began
        assert (error.value.path, error.value.message) == (ref.path, "x")
        # Nobody accepted it, and who asked knows.
        assert system.dead_letters.total == 0


async def test_there_is_no_ref_to_who_does_not_exist() -> None:
    """Behaviour 155: fail the future if the actor doesn't exist."""
    supervisor = family()
    async with running(supervisor), ActorSystem() as system:
        assert system.registry.whereis("nobody") is None
        with pytest.raises(ChildNotFound, match="no such child: 'nobody'"):
            supervisor.child("nobody")


async def test_an_ask_that_is_not_answered_in_time_fails_then() -> None:
    """Behaviour 155: fail the future if the actor doesn't reply in time."""
    async with ActorSystem() as system:
        ref = await system.spawn(Slow())
        for timeout in (0.5, 2.0):
            began = now()
            with pytest.raises(AskTimeout) as error:
                await ref.ask("x", timeout=timeout)
            assert now() - began == pytest.approx(timeout)
            assert isinstance(error.value, TimeoutError)


async def test_an_ask_that_has_timed_out_before_its_turn_is_a_dead_letter() -> None:
    """Behaviour 156: publish dead-letter if ask has completed on timeout."""
    slow = Slow()
    async with ActorSystem() as system:
        ref = await system.spawn(slow)
        ref.tell("first")
        with pytest.raises(AskTimeout):
            await ref.ask("late", timeout=1)
        slow.gate.set()
        await wait_idle()
        assert slow.handled == ["first"]
        (letter,) = system.dead_letters.latest
        assert (letter.message, letter.recipient, letter.why) == (
            *("late", ref.path, Undelivered.EXPIRED),
        )


async def test_an_answer_that_comes_too_late_reaches_nobody() -> None:
    """Behaviour 156: publish dead-letter if ask has completed on timeout."""
    slow = Slow()
    async with ActorSystem() as system:
        ref = await system.spawn(slow)
        with pytest.raises(AskTimeout):
            await ref.ask("begun", timeout=1)
        slow.gate.set()
        assert await ref.ask("next") == "next"
        # It was handled: no letter is dead.
        assert slow.handled == ["begun", "next"]
        assert system.dead_letters.total == 0


async def test_who_fails_over_an_answer_fails_alone() -> None:
    """Behaviour 157: fail asking actor if responder function throws."""
    error = Boom()

    def fails(_: object) -> object:
        raise error

    supervisor = family([ChildSpec("other", Plain)])
    async with running(supervisor):
        other = child(supervisor, "other")
        asker = await supervisor.start_child(
            ChildSpec("asker", lambda: Asker(other), Restart.TEMPORARY)
        )
        monitor = asker.monitor()
        with pytest.raises(ActorCrashed) as crashed:
            await asker.ask(fails)
        assert crashed.value.__cause__ is error
        assert (await monitor.wait()).reason == Crashed(error)
        assert await incarnation(other) == 1


async def test_who_asks_one_that_fails_fails_with_it_unless_it_says_otherwise() -> None:
    """Behaviour 157: fail asking actor if responder function throws."""

    class Bold(Actor[bool]):
        async def receive(self, message: bool) -> object:
            try:
                return await other.ask(Boom())
            except ActorCrashed as crashed:
                if message:
                    return crashed.path
                raise

    supervisor = family([ChildSpec("other", Plain), ChildSpec("bold", Bold)])
    async with running(supervisor):
        other = child(supervisor, "other")
        bold = child(supervisor, "bold")
        assert await bold.ask(True) == "/top/other"
        with pytest.raises(ActorCrashed) as crashed:
            await bold.ask(False)
        # Each with its own cause.
        assert crashed.value.path == "/top/bold"
        assert isinstance(crashed.value.__cause__, ActorCrashed)
        assert isinstance(crashed.value.__cause__.__cause__, Boom)
        await wait_idle()
        assert [info.incarnation for info in supervisor.children()] == [3, 2]
