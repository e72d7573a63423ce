"""What an actor takes with it from one life to the next, and what it does not."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorNotAlive,
    ActorSystem,
    ChildSpec,
    Crashed,
    Intensity,
    MailboxFull,
    MailboxOptions,
    Overflow,
    Strategy,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Plain,
    child,
    elapse,
    family,
    in_turn,
    incarnation,
    incarnations,
    patient,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


class Desk(Actor[Any]):
    """Stashes texts until it is told to open; crashes over exceptions.

    All its lives write down what they handled, in one journal.
    """

    def __init__(self, journal: Journal, on_start: Any = None) -> None:
        self.journal = journal
        self.is_open = False
        self._on_start = on_start

    async def started(self) -> None:
        self.journal.append(f"life {self.context.incarnation}")
        self.context.start_soon(self._assist, self.context.incarnation)
        if self._on_start is not None:
            await self._on_start(self)

    async def _assist(self, number: int) -> None:
        self.journal.append(f"begin {number}")
        try:
            await anyio.sleep_forever()
        finally:
            self.journal.append(f"end {number}")

    async def receive(self, message: Any) -> object:
        if message == "open":
            self.is_open = True
            return self.context.unstash()
        if message == "timer":
            self.context.send_after(1, "tick")
        elif not self.is_open:
            self.context.stash()
            return None
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, anyio.Event):
            await message.wait()
            return None
        self.journal.append(f"got {message}")
        return message


def desk(
    journal: Journal,
    *,
    on_start: Any = None,
    capacity: int = 1024,
    overflow: Overflow = Overflow.REJECT,
    **options: Any,
) -> ChildSpec[Any]:
    """A spec of a `Desk`."""
    mailbox = MailboxOptions(capacity=capacity, overflow=overflow)
    return ChildSpec("a", lambda: Desk(journal, on_start), mailbox=mailbox, **options)


# -- whether there is a next one -------------------------------------------


async def test_an_actor_that_nobody_restarts_ends_over_an_exception() -> None:
    """Behaviour 140: stop when no supervise."""
    async with ActorSystem() as system:
        ref = await system.spawn(Plain())
        monitor = ref.monitor()
        error = Boom()
        ref.tell(error)
        assert (await monitor.wait()).reason == Crashed(error)
        assert not ref.alive
        with pytest.raises(ActorNotAlive):
            ref.tell("x")


async def test_a_supervisor_that_restarts_has_stopped_its_children() -> None:
    """Behaviour 144: stop children when restarting."""
    journal = Journal()
    inner = family(
        [worker("a", journal), worker("b", journal)], intensity=Intensity(0, 5.0)
    )
    async with running(family([ChildSpec("inner", lambda: inner)])):
        before = child(inner, "a")
        journal.clear()
        child(inner, "b").tell(Boom())
        await wait_idle()
        assert journal == [
            *("stop b", "gone b", "stop a", "gone a", "start a", "start b")
        ]
        assert not before.alive
        assert await incarnation(child(inner, "a")) == 1


async def test_what_stands_beside_and_not_below_outlives_a_restart() -> None:
    """Behaviour 144: optionally NOT stop children."""
    for strategy, lives in (
        (Strategy.ONE_FOR_ONE, [2, 1]),
        (Strategy.REST_FOR_ONE, [2, 2]),
    ):
        journal = Journal()
        supervisor = family(
            [worker("owner", journal), worker("helper", journal)], strategy=strategy
        )
        async with running(supervisor):
            helper = child(supervisor, "helper")
            child(supervisor, "owner").tell(Boom())
            await wait_idle()
            assert await incarnations(supervisor) == lives
            assert helper.alive


async def test_what_an_actor_has_begun_ends_with_each_of_its_lives() -> None:
    """Behaviour 145: stop children when restarting second time during unstash."""
    journal = Journal()
    supervisor = family([desk(journal)])
    async with running(supervisor):
        ref = child(supervisor, "a")
        for message in ("open", Boom()):
            ref.tell(message)
        await wait_idle()
        assert journal.take() == [*("life 1", "begin 1", "end 1", "life 2", "begin 2")]
        # Its second crash comes in the middle of what it takes out of its stash.
        for message in ("x", Boom(), "y", "open"):
            ref.tell(message)
        await wait_idle()
        assert journal.take() == ["got x", "end 2", "life 3", "begin 3"]


# -- the stash -------------------------------------------------------------


@pytest.mark.parametrize("overflow", [Overflow.DROP_NEW, Overflow.REJECT])
async def test_what_finds_no_room_while_an_actor_is_down_is_not_lost_in_silence(
    overflow: Overflow,
) -> None:
    """Behaviour 146: publish dropped messages while backing off and stash is full."""
    spec = desk(Journal(), on_start=in_turn(None, fail), capacity=2, overflow=overflow)
    supervisor = family([spec], **patient())
    async with running(supervisor):
        ref = child(supervisor, "a")
        ref.tell("stashed")
        await wait_idle()
        ref.kill()
        await wait_idle()
        assert statuses(supervisor) == {"a": "restarting"}
        letters = supervisor.context.runtime.dead_letters
        # What was stashed has its room as before.
        ref.tell("fits")
        if overflow is Overflow.REJECT:
            with pytest.raises(MailboxFull) as full:
                ref.tell("lost")
            assert full.value.message == "lost"
            assert letters.total == 0
        else:
            ref.tell("lost")
            assert [(each.message, each.why) for each in letters.latest] == [
                ("lost", Undelivered.OVERFLOW)
            ]
        await elapse(11)
        assert statuses(supervisor) == {"a": "running"}
        assert ref.statistics().pending == 2


async def fail(_: object) -> None:
    raise Boom


async def test_what_is_taken_out_of_the_stash_waits_through_a_crash_over_it() -> None:
    """Behaviour 148: ensure unhandled message retention during unstash exception."""
    journal = Journal()
    supervisor = family([desk(journal)])
    async with running(supervisor):
        ref = child(supervisor, "a")
        for message in (1, Boom(), 2, 3, "open"):
            ref.tell(message)
        await wait_idle()
        assert journal.take()[:3] == ["life 1", "begin 1", "got 1"]
        # The next life stashed them again, in their order.
        assert ref.statistics().pending == 2
        ref.tell(4)
        ref.tell("open")
        await wait_idle()
        assert [each for each in journal if each.startswith("got")] == [
            *("got 2", "got 3", "got 4")
        ]
        (letter,) = supervisor.context.runtime.dead_letters.latest
        assert letter.why is Undelivered.CRASHED


async def test_the_stash_waits_through_lives_that_do_not_begin() -> None:
    """Behaviour 149: ensure stash message retention on start exception."""
    journal = Journal()
    spec = desk(journal, on_start=in_turn(None, fail, fail), capacity=3)
    supervisor = family([spec], **patient(1.0))
    async with running(supervisor):
        ref = child(supervisor, "a")
        for message in (1, 2, 3):
            ref.tell(message)
            await wait_idle()
        ref.kill()
        await elapse(3)
        assert statuses(supervisor) == {"a": "running"}
        assert [each for each in journal if each.startswith("life")] == [
            *("life 1", "life 2", "life 3", "life 4")
        ]
        ref.tell("open")
        await wait_idle()
        assert journal[-3:] == ["got 1", "got 2", "got 3"]
        assert supervisor.context.runtime.dead_letters.total == 0


async def test_a_stash_is_a_part_of_what_a_restart_drops_if_it_drops() -> None:
    journal = Journal()
    supervisor = family([desk(journal, on_restart="drop")])
    async with running(supervisor):
        ref = child(supervisor, "a")
        for message in (1, 2):
            ref.tell(message)
        await wait_idle()
        ref.kill()
        await wait_idle()
        letters = supervisor.context.runtime.dead_letters
        assert letters.counts == {Undelivered.RESTARTED: 2}
        assert ref.statistics().pending == 0


async def test_a_stop_in_the_middle_of_a_stash_makes_dead_letters_of_it() -> None:
    """Behaviour 158: deal with stop while unstashing."""
    journal = Journal()
    gate = anyio.Event()
    supervisor = family([desk(journal)])
    async with running(supervisor):
        ref = child(supervisor, "a")
        for message in (1, gate, 2, 3):
            ref.tell(message)
        errors: list[object] = []

        async def ask() -> None:
            try:
                await ref.ask("asked")
            except ActorNotAlive as error:
                errors.append(error.message or error.path)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await wait_idle()
            ref.tell("open")
            await wait_idle()
            group.start_soon(supervisor.stop_child, "a")
            await wait_idle()
            # At once, though it still handles a message out of its stash.
            assert errors == ["/top/a"]
            gate.set()
        assert [each for each in journal if each.startswith("got")] == ["got 1"]
        letters = supervisor.context.runtime.dead_letters
        assert [letter.message for letter in letters.latest] == [2, 3, "asked"]
        assert letters.counts == {Undelivered.STOPPED: 3}
        now_ = ref.statistics()
        assert (now_.accepted, now_.handled, now_.pending) == (6, 3, 0)


async def test_a_tick_that_was_stashed_is_not_for_the_next_life() -> None:
    """Behaviour 151: discard TimerMsg on restart."""
    for stashed in (False, True):
        journal = Journal()
        supervisor = family([desk(journal)])
        async with running(supervisor):
            ref = child(supervisor, "a")
            if not stashed:
                await ref.ask("open")
            ref.tell("timer")
            await wait_idle()
            gate = anyio.Event()
            if not stashed:
                # The tick waits behind it in the mailbox.
                ref.tell(gate)
            await elapse(1.5)
            assert ref.statistics().pending == (1 if stashed else 2)
            ref.kill()
            await wait_idle()
            await ref.ask("open")
            await elapse(3)
            assert "got tick" not in journal
            counts = supervisor.context.runtime.dead_letters.counts
            assert counts[Undelivered.EXPIRED] == 1
