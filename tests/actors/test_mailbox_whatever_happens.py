"""Every message that was accepted is in one place, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from greenroom import MailboxOptions, Overflow
from greenroom.actors import NOTHING, Mailbox
from greenroom.actors._line import Sender

from .kit import Hand, Owner, Steps, balanced, second

pytestmark = pytest.mark.anyio


KEYS = st.sampled_from("abc")

WEIGHTS = st.integers(0, 12)


class MailboxMachine(RuleBasedStateMachine):
    """A mailbox against a book that says where each message is.

    A message is (number, key, weight); no two are equal.
    """

    @initialize(
        capacity=st.integers(1, 5),
        overflow=st.sampled_from(Overflow),
        max_weight=st.none() | st.integers(1, 20),
    )
    def begin(self, capacity: int, overflow: Overflow, max_weight: int | None) -> None:
        self.hand = Hand()
        self.owner = Owner()
        weigh: Callable[[Any], int] | None = None if max_weight is None else third
        key = second if overflow is Overflow.CONFLATE else None
        options = MailboxOptions(
            capacity=capacity,
            overflow=overflow,
            max_weight=max_weight,
            weigh=weigh,
            key=key,
        )
        self.mailbox: Mailbox[Any] = Mailbox(options, self.owner, self.hand.parker)
        self.number = 0
        self.accepted: set[Any] = set()
        self.handled: list[Any] = []
        self.drained: list[Any] = []
        self.lost: list[Any] = []
        self.promised: list[Any] = []
        self.line: list[tuple[Any, Sender, Steps]] = []
        self.reader: Steps | None = None

    def new(self, key: str, weight: int) -> Any:
        self.number += 1
        return self.number, key, weight

    def weight_of(self, message: Any) -> int:
        return 0 if self.mailbox.options.weigh is None else message[2]

    def fits(self, message: Any) -> bool:
        """The rule of room, said once more."""
        mailbox = self.mailbox
        waiting = [*mailbox.queue, *self.promised]
        limit = mailbox.options.max_weight
        if len(waiting) >= mailbox.options.capacity:
            return False
        total = sum(map(self.weight_of, [*waiting, message]))
        return limit is None or not waiting or total <= limit

    @property
    def waiting(self) -> list[Sender]:
        return [sender for _, sender, _ in self.line if not sender.done]

    @rule(key=KEYS, weight=WEIGHTS)
    def put(self, key: str, weight: int) -> None:
        message = self.new(key, weight)
        mailbox, overflow = self.mailbox, self.mailbox.options.overflow
        room = not mailbox.closed and not self.waiting and self.fits(message)
        refused, overflows = mailbox.refused, self.owner.overflows
        if mailbox.put(message):
            assert not mailbox.closed
            self.accepted.add(message)
        else:
            refuses = overflow in (Overflow.REJECT, Overflow.BLOCK)
            assert mailbox.closed or (refuses and not room)
            assert mailbox.refused == refused + 1
        if room:
            assert mailbox.queue[-1] == message
        stops = overflow is Overflow.STOP and not room and not mailbox.closed
        assert self.owner.overflows == overflows + stops

    @rule(key=KEYS, weight=WEIGHTS)
    def send(self, key: str, weight: int) -> None:
        message = self.new(key, weight)
        room = not self.mailbox.closed and not self.waiting and self.fits(message)
        sender = self.mailbox.wait_for_room(message)
        assert (sender is None) == room
        if sender is None:
            self.accepted.add(message)
        else:
            steps = Steps(self.mailbox.wait_in_line(sender))
            self.line.append((message, sender, steps))

    @precondition(lambda self: self.line)
    @rule(data=st.data(), how=st.sampled_from(["go on", "cancel", "expire", "leave"]))
    def a_sender_moves(self, data: st.DataObject, how: str) -> None:
        entry = data.draw(st.sampled_from(self.line))
        message, sender, steps = entry
        if how == "expire" and not sender.done:
            sender.expire()
        elif how == "leave" and not sender.done:
            self.mailbox.give_up(sender)
            sender.expire()
        if how == "cancel" and not steps.over:
            steps.cancel()
        elif sender.done and not steps.over:
            steps.go_on()
            assert steps.value is sender.admitted
        if steps.over:
            self.line.remove(entry)
            if sender.admitted:
                self.accepted.add(message)

    @rule(key=KEYS, weight=WEIGHTS)
    def promise(self, key: str, weight: int) -> None:
        message = self.new(key, weight)
        room = not self.mailbox.closed and not self.waiting and self.fits(message)
        assert self.mailbox.promise(message) == room
        if room:
            self.promised.append(message)
            self.accepted.add(message)

    @precondition(lambda self: self.promised)
    @rule(data=st.data())
    def keep_a_promise(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.promised))
        self.promised.remove(message)
        self.mailbox.keep_promise(message)
        if self.mailbox.closed:
            assert self.owner.drops[-1] == (message, Overflow.STOP)
        else:
            assert self.mailbox.queue[-1] == message

    @precondition(lambda self: self.mailbox.queue and self.mailbox.current is NOTHING)
    @rule(by_hand=st.booleans())
    def take(self, by_hand: bool) -> None:
        mailbox = self.mailbox
        oldest = mailbox.queue[0]
        if by_hand:  # as the loop does
            mailbox.current = mailbox.queue.popleft()
            if len(mailbox.queue) < mailbox.low:
                mailbox.taken()
        else:
            assert mailbox.take() == oldest
        assert mailbox.current == oldest

    @precondition(lambda self: self.mailbox.current is not NOTHING)
    @rule(well=st.booleans())
    def finish(self, well: bool) -> None:
        if well:
            self.handled.append(self.mailbox.current)
            self.mailbox.done()
        else:
            self.lost.append(self.mailbox.lose())

    @precondition(lambda self: not self.mailbox.queue and not self.mailbox.system)
    @rule()
    def the_reader_sleeps(self) -> None:
        if self.reader is None:
            self.mailbox.rest()
            coroutine: Any = self.hand.parker.park(self.mailbox)
            self.reader = Steps(coroutine)

    @precondition(lambda self: self.reader is not None)
    @rule()
    def the_reader_wakes(self) -> None:
        assert self.reader is not None
        if self.mailbox.parked is None:
            self.reader.go_on()
        else:
            self.reader.cancel()
        assert self.reader.over
        self.reader = None
        if self.mailbox.system:
            self.mailbox.system.clear()

    @rule(first=st.booleans())
    def put_system(self, first: bool) -> None:
        self.mailbox.put_system("system", first=first)

    @rule()
    def close(self) -> None:
        self.mailbox.close()
        assert not self.waiting

    @rule()
    def reopen(self) -> None:
        self.mailbox.reopen()

    @rule()
    def drain(self) -> None:
        waiting = list(self.mailbox.queue)
        assert self.mailbox.drain() == waiting
        self.drained += waiting

    @invariant()
    def the_sums_are_right(self) -> None:
        mailbox = self.mailbox
        assert balanced(mailbox)
        options = mailbox.options
        waiting = [*mailbox.queue, *self.promised]
        assert len(waiting) <= options.capacity
        assert mailbox.promised == len(self.promised)
        assert mailbox.weight == sum(map(self.weight_of, waiting))
        if options.max_weight is not None:
            assert len(waiting) == 1 or mailbox.weight <= options.max_weight

    @invariant()
    def every_message_is_in_one_place(self) -> None:
        mailbox = self.mailbox
        unread = [
            message
            for message, sender, _ in self.line
            if sender.admitted and message not in self.accepted
        ]
        places = [
            *mailbox.queue,
            *self.promised,
            *self.handled,
            *self.lost,
            *self.drained,
            *self.owner.dropped_messages,
        ]
        if mailbox.current is not NOTHING:
            places.append(mailbox.current)
        assert len(places) == len(set(places)) == mailbox.accepted
        assert set(places) == self.accepted.union(unread)
        assert mailbox.handled == len(self.handled)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        mailbox = self.mailbox
        if mailbox.closed:
            assert not self.waiting
        elif self.waiting:
            assert not self.fits(self.waiting[0].message)
        if mailbox.parked is not None:
            assert not mailbox.queue
            assert not mailbox.system

    @invariant()
    def the_level_is_that_of_the_fullness(self) -> None:
        mailbox, options = self.mailbox, self.mailbox.options
        fullness = (len(mailbox.queue) + mailbox.promised) / options.capacity
        if options.max_weight is not None:
            fullness = max(fullness, mailbox.weight / options.max_weight)
        # Between a mark and its half the level depends on where it came from.
        least = sum(fullness > mark for mark in (0.5, 0.8))
        most = sum(fullness > mark / 2 for mark in (0.5, 0.8))
        assert least <= mailbox.level <= most
        reports = [0, *self.owner.levels]
        assert mailbox.level == reports[-1]
        assert all(a != b for a, b in pairwise(reports))

    def teardown(self) -> None:
        if not hasattr(self, "mailbox"):
            return
        self.mailbox.close()
        for _, sender, steps in self.line:
            assert sender.done
            if not steps.over:
                steps.go_on()
            assert steps.over
        for message in self.promised:
            self.mailbox.keep_promise(message)
        self.mailbox.drain()
        if self.mailbox.current is not NOTHING:
            self.mailbox.lose()
        if self.reader is not None:
            self.reader.cancel()
        mailbox = self.mailbox
        assert mailbox.accepted == mailbox.handled + mailbox.dead_lettered
        assert (mailbox.pending, mailbox.weight, mailbox.level) == (0, 0, 0)


def third(message: Any) -> Any:
    return message[2]


TestMailboxMachine = MailboxMachine.TestCase

TestMailboxMachine.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None
)
