"""A stash: messages kept until their time has come, and never lost meanwhile."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorNotAlive,
    AskTimeout,
    Crashed,
    Shutdown,
    StashFull,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Stage

pytestmark = pytest.mark.anyio


class Locked(Actor[Any]):
    """Stashes everything until it is told to open."""

    def __init__(self) -> None:
        self.open = False
        self.seen: list[object] = []

    async def receive(self, message: Any) -> object:
        if message == "open":
            self.open = True
            return self.context.unstash()
        if message == "crash":
            raise ValueError(message)
        if not self.open:
            self.context.stash()
            return "nobody sees this"
        self.seen.append(message)
        return message


async def test_what_is_stashed_comes_first_in_its_old_order(stage: Stage) -> None:
    locked = Locked()
    ref = (await stage.spawn(locked)).ref
    for message in (1, 2):
        ref.tell(message)
    await wait_idle()
    assert ref.statistics().pending == 2
    ref.tell("open")
    ref.tell(3)
    assert await ref.ask(4) == 4
    assert locked.seen == [1, 2, 3, 4]
    seen = ref.statistics()
    assert (seen.accepted, seen.handled, seen.pending) == (5, 5, 0)


async def test_unstash_says_how_many_and_without_a_stash_none(stage: Stage) -> None:
    ref = (await stage.spawn(Locked())).ref
    ref.tell(1)
    assert await ref.ask("open") == 1
    assert await ref.ask("open") == 0


async def test_an_ask_that_is_stashed_is_answered_when_it_is_taken_again(
    stage: Stage,
) -> None:
    ref = (await stage.spawn(Locked())).ref
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await ref.ask("later"))

    stage.runtime.start_task(ask)
    await wait_idle()
    assert answers == []
    ref.tell("open")
    await wait_idle()
    assert answers == ["later"]


async def test_an_ask_that_expires_in_the_stash_is_a_dead_letter(stage: Stage) -> None:
    locked = Locked()
    ref = (await stage.spawn(locked)).ref
    with pytest.raises(AskTimeout):
        await ref.ask("late", timeout=1)
    assert await ref.ask("open") == 1
    await wait_idle()
    assert locked.seen == []
    assert stage.lost == [("late", Undelivered.EXPIRED)]


async def test_a_full_stash_refuses_and_the_message_goes_on_as_it_was(
    stage: Stage,
) -> None:
    caught: list[StashFull] = []

    class Careful(Locked):
        async def receive(self, message: Any) -> object:
            try:
                return await super().receive(message)
            except StashFull as full:
                caught.append(full)
                return "no room"

    cell = await stage.spawn(Careful(), capacity=2)
    for message in (1, 2):
        cell.ref.tell(message)
    await wait_idle()
    assert await cell.ref.ask(3) == "no room"
    assert (caught[0].path, caught[0].capacity) == (cell.path, 2)
    assert cell.ref.statistics().pending == 2


async def test_while_more_waits_than_the_capacity_nothing_gets_in(stage: Stage) -> None:
    cell = await stage.spawn(Locked(), capacity=2)
    for message in (1, 2):
        cell.ref.tell(message)
    await wait_idle()
    cell.ref.suspend()
    cell.ref.tell("open")
    cell.ref.tell(3)
    cell.mailbox.unstash()
    assert len(cell.mailbox.queue) == 4
    assert not cell.ref.try_tell(4)
    cell.ref.resume()
    await wait_idle()
    assert cell.ref.try_tell(5)


def _three(_: object) -> int:
    return 3


async def test_weights_come_back_with_the_messages(stage: Stage) -> None:
    cell = await stage.spawn(Locked(), weigh=_three, max_weight=20)
    cell.ref.tell(1)
    cell.ref.tell(2)
    await wait_idle()
    assert cell.mailbox.weight == 0
    assert cell.mailbox.unstash() == 2
    assert cell.mailbox.weight == 6
    cell.ref.tell("open")
    await wait_idle()
    assert cell.mailbox.weight == 0


def _size(message: Any) -> int:
    return len(message["text"])


async def test_a_message_is_weighed_once_whatever_its_handler_makes_of_it(
    stage: Stage,
) -> None:
    class Careless(Locked):
        async def receive(self, message: Any) -> object:
            if isinstance(message, dict):
                message.clear()
            return await super().receive(message)

    cell = await stage.spawn(Careless(), weigh=_size, max_weight=20)
    cell.ref.tell({"text": "four"})
    cell.ref.tell({"text": "seven.."})
    await wait_idle()
    assert cell.mailbox.unstash() == 2
    assert cell.mailbox.weight == 11
    await wait_idle()
    assert cell.mailbox.weight == 0
    await cell.ref.stop()
    assert [why for _, why in stage.lost] == [Undelivered.STOPPED] * 2


async def test_a_restart_brings_back_what_is_stashed(stage: Stage) -> None:
    ready = Locked()
    actors = [Locked(), ready]
    ready.open = True
    cell = await stage.spawn(lambda: actors.pop(0), Nanny())
    cell.ref.tell(1)
    cell.ref.tell("crash")
    cell.ref.tell(2)
    await wait_idle()
    assert ready.seen == [1, 2]
    assert stage.lost == [("crash", Undelivered.CRASHED)]


async def test_at_the_end_the_stash_becomes_dead_letters_and_asks_fail(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Locked())
    failed: list[Exception] = []

    async def ask() -> None:
        with pytest.raises(ActorNotAlive) as caught:
            await cell.ref.ask("asked")
        failed.append(caught.value)

    cell.ref.tell("told")
    stage.runtime.start_task(ask)
    await wait_idle()
    assert await cell.ref.stop() == Shutdown()
    await wait_idle()
    assert len(failed) == 1
    assert stage.lost == [
        ("told", Undelivered.STOPPED),
        ("asked", Undelivered.STOPPED),
    ]


async def test_a_tick_that_is_stashed_keeps_the_next_from_coming(stage: Stage) -> None:
    class Ticked(Locked):
        async def started(self) -> None:
            self.context.send_every(1, "tick")

    locked = Ticked()
    cell = await stage.spawn(locked)
    await anyio.sleep(3.5)
    assert cell.ref.statistics().pending == 1
    cell.ref.tell("open")
    await wait_idle()
    assert locked.seen == ["tick"]
    await anyio.sleep(1)
    assert locked.seen == ["tick", "tick"]


async def test_only_the_handler_of_a_message_can_stash(stage: Stage) -> None:
    refused: list[str] = []

    class Elsewhere(Actor[str]):
        def receive(self, message: str) -> None:
            self.context.start_soon(self.beside)

        async def beside(self) -> None:
            with pytest.raises(RuntimeError, match="not handling a message") as caught:
                self.context.stash()
            refused.append(str(caught.value))
            with pytest.raises(RuntimeError):
                self.context.defer_reply()

    cell = await stage.spawn(Elsewhere())
    assert cell.actor is not None
    with pytest.raises(RuntimeError, match="not handling"):
        cell.actor.context.stash()
    cell.ref.tell("go")
    await wait_idle()
    assert refused == [f"{cell.path} is not handling a message here"]


async def test_a_crash_after_stashing_loses_nothing(stage: Stage) -> None:
    class Clumsy(Actor[str]):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def receive(self, message: str) -> None:
            if self.context.incarnation == 1:
                self.context.stash()
                raise ValueError(message)
            self.seen.append(message)

    cell = await stage.spawn(Clumsy, Nanny())
    cell.ref.tell("kept")
    await wait_idle()
    assert isinstance(cell.actor, Clumsy)
    assert cell.actor.seen == ["kept"]
    assert cell.reason is not None
    assert isinstance(cell.reason, Crashed)
    assert stage.lost == []
