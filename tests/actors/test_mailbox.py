from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from operator import methodcaller
from typing import Any

import anyio
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

from greenroom import Down, MailboxOptions, MailboxStatistics, Overflow
from greenroom.actors import NOTHING, Mailbox
from greenroom.actors._line import Sender
from greenroom.actors._mailbox import Envelope
from greenroom.actors._parking import running_parker
from greenroom.testing._clock import wait_idle

from .kit import Hand, Owner, Steps, balanced
from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


def first(message: Any) -> Any:
    return message[0]


def second(message: Any) -> Any:
    return message[1]


def one(_: object) -> int:
    return 1


def itself(message: Any) -> Any:
    return message


def mailbox_of(
    owner: Owner | None = None, *, enveloped: bool = True, **options: Any
) -> Mailbox[Any]:
    return Mailbox(
        MailboxOptions(**options),
        owner or Owner(),
        Hand().parker,
        enveloped=enveloped,
    )


def in_flight(mailbox: Mailbox[Any]) -> object:
    return mailbox.current


class Letter(Envelope):
    __slots__ = ()

    def __init__(self, message: object) -> None:
        self.message = message


# -- one at a time ---------------------------------------------------------


def test_messages_are_taken_in_the_order_in_which_they_were_put() -> None:
    mailbox = mailbox_of()
    for number in range(3):
        assert mailbox.put(number)

    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [0, 1, 2]


def test_a_message_is_in_flight_from_take_to_done() -> None:
    mailbox = mailbox_of()
    mailbox.put("message")
    assert in_flight(mailbox) is NOTHING
    mailbox.take()
    assert in_flight(mailbox) == "message"
    assert (mailbox.pending, mailbox.handled) == (1, 0)
    mailbox.done()

    assert in_flight(mailbox) is NOTHING
    assert (mailbox.pending, mailbox.handled) == (0, 1)


def test_a_lost_message_is_a_dead_letter() -> None:
    mailbox = mailbox_of()
    mailbox.put("message")
    mailbox.take()

    assert mailbox.lose() == "message"
    assert (mailbox.pending, mailbox.handled, mailbox.dead_lettered) == (0, 0, 1)


def test_the_statistics_are_a_snapshot_that_adds_up() -> None:
    mailbox = mailbox_of(capacity=4, weigh=first, max_weight=10)
    for weight in (1, 2, 3, 4, 5):
        mailbox.put((weight,))
    for _ in range(3):
        mailbox.take()
        mailbox.done()
    mailbox.put((1,))
    mailbox.take()
    mailbox.lose()
    snapshot = mailbox.statistics()
    mailbox.drain()

    assert snapshot == MailboxStatistics(
        accepted=5,
        handled=3,
        dead_lettered=1,
        pending=1,
        refused=1,
        capacity=4,
        weight=1,
        level=0,
    )


# -- policies --------------------------------------------------------------


@pytest.mark.parametrize("overflow", [Overflow.REJECT, Overflow.BLOCK])
def test_a_full_mailbox_refuses(overflow: Overflow) -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=2, overflow=overflow)
    assert [mailbox.put(number) for number in range(3)] == [True, True, False]

    assert list(mailbox.queue) == [0, 1]
    assert (mailbox.accepted, mailbox.refused, owner.drops) == (2, 1, [])


def test_a_full_mailbox_drops_the_new_message() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=2, overflow=Overflow.DROP_NEW)
    assert [mailbox.put(number) for number in range(3)] == [True] * 3

    assert list(mailbox.queue) == [0, 1]
    assert owner.drops == [(2, Overflow.DROP_NEW)]
    assert owner.overflows == 0
    assert balanced(mailbox)


def test_a_full_mailbox_drops_the_oldest_message() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=2, overflow=Overflow.DROP_OLD)
    assert [mailbox.put(number) for number in range(4)] == [True] * 4

    assert list(mailbox.queue) == [2, 3]
    assert owner.drops == [(0, Overflow.DROP_OLD), (1, Overflow.DROP_OLD)]
    assert balanced(mailbox)


def test_as_many_old_ones_are_dropped_as_the_new_one_weighs() -> None:
    mailbox = mailbox_of(
        owner := Owner(), overflow=Overflow.DROP_OLD, weigh=first, max_weight=10
    )
    for weight in (3, 3, 3):
        mailbox.put((weight,))
    mailbox.put((6,))

    assert list(mailbox.queue) == [(3,), (6,)]
    assert owner.dropped_messages == [(3,), (3,)]
    assert mailbox.weight == 9


def test_a_full_mailbox_conflates_messages_with_the_same_key() -> None:
    mailbox = mailbox_of(
        owner := Owner(), capacity=3, overflow=Overflow.CONFLATE, key=first
    )
    for message in ("a1", "b1", "b2", "b3"):
        mailbox.put(message)
    assert list(mailbox.queue) == ["a1", "b2", "b3"]
    mailbox.put("c1")  # nobody has its key, so the oldest goes

    assert list(mailbox.queue) == ["b2", "b3", "c1"]
    assert owner.drops == [("b1", Overflow.CONFLATE), ("a1", Overflow.CONFLATE)]
    assert balanced(mailbox)


def test_conflating_keeps_the_weights_beside_their_messages() -> None:
    mailbox = mailbox_of(
        overflow=Overflow.CONFLATE, key=second, weigh=first, max_weight=10
    )
    for message in ((2, "a"), (3, "b"), (5, "c"), (4, "b")):
        mailbox.put(message)

    # The 3 went first, for its key; then the oldest, for its weight.
    assert list(mailbox.queue) == [(5, "c"), (4, "b")]
    assert mailbox.weight == 9
    assert mailbox.take() == (5, "c")
    assert mailbox.weight == 4


def test_a_full_mailbox_stops_its_owner() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=1, overflow=Overflow.STOP)
    assert [mailbox.put("first"), mailbox.put("second")] == [True, True]

    assert owner.drops == [("second", Overflow.STOP)]
    assert owner.overflows == 1
    assert balanced(mailbox)


def test_a_message_heavier_than_all_room_gets_into_an_empty_mailbox_only() -> None:
    mailbox = mailbox_of(weigh=first, max_weight=10)

    assert mailbox.put((11,))
    assert not mailbox.put((0,))
    mailbox.take()
    assert mailbox.put((1,))
    assert not mailbox.put((11,))


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLD, Overflow.CONFLATE])
def test_what_finds_all_room_promised_is_dropped_itself(overflow: Overflow) -> None:
    key = first if overflow is Overflow.CONFLATE else None
    mailbox = mailbox_of(owner := Owner(), capacity=1, overflow=overflow, key=key)
    mailbox.promise("promised")

    assert mailbox.put("late")
    assert owner.drops == [("late", overflow)]
    assert (mailbox.accepted, mailbox.pending) == (2, 1)


def test_what_finds_the_mailbox_closed_by_its_own_drops_is_dropped_too() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=1, overflow=Overflow.DROP_OLD)
    mailbox.put("old")
    owner.on_drop = mailbox.close

    assert mailbox.put("new")
    assert owner.dropped_messages == ["old", "new"]
    assert (mailbox.pending, balanced(mailbox)) == (0, True)


# -- what the functions of the options see ---------------------------------


def test_key_and_weight_are_those_of_the_message_in_the_envelope() -> None:
    mailbox = mailbox_of(
        owner := Owner(),
        capacity=2,
        overflow=Overflow.CONFLATE,
        key=second,
        weigh=first,
        max_weight=100,
    )
    letter = Letter((2, "a"))
    mailbox.put(letter)
    mailbox.put((3, "b"))
    mailbox.put((4, "a"))

    assert owner.dropped_messages == [letter]
    assert mailbox.weight == 7


def test_a_mailbox_without_envelopes_weighs_what_it_is_given() -> None:
    seen: list[object] = []

    def weigh(message: object) -> int:
        seen.append(message)
        return 1

    mailbox = mailbox_of(enveloped=False, weigh=weigh, max_weight=1)
    letter = Letter("message")
    mailbox.put(letter)

    assert seen == [letter]


@pytest.mark.parametrize("put", ["put", "wait_for_room", "promise", "has_room"])
def test_a_weight_that_cannot_be_had_is_the_senders_error(put: str) -> None:
    mailbox = mailbox_of(weigh=first, max_weight=1)
    with pytest.raises(TypeError):
        getattr(mailbox, put)(None)

    assert mailbox.accepted == mailbox.pending == mailbox.weight == 0


# -- the system lane -------------------------------------------------------


def test_the_system_lane_has_no_bound_and_no_count() -> None:
    mailbox = mailbox_of(capacity=1)
    mailbox.put("user")
    for number in range(5):
        mailbox.put_system(number)
    mailbox.put_system("urgent", first=True)

    assert list(mailbox.system or ()) == ["urgent", 0, 1, 2, 3, 4]
    assert mailbox.accepted == 1


def test_a_closed_mailbox_still_takes_system_messages() -> None:
    mailbox = mailbox_of()
    mailbox.close()
    mailbox.put_system("stop", first=True)

    assert list(mailbox.system or ()) == ["stop"]


@pytest.mark.parametrize(
    "put",
    [
        methodcaller("put", "message"),
        methodcaller("put_system", "message"),
        methodcaller("wait_for_room", "message"),
        methodcaller("keep_promise", "promised"),
    ],
)
@pytest.mark.parametrize("weights", [{}, {"weigh": len, "max_weight": 100}])
def test_whatever_is_put_wakes_the_reader(
    put: Callable[[Mailbox[Any]], object], weights: dict[str, Any]
) -> None:
    hand = Hand()
    mailbox: Mailbox[Any] = Mailbox(MailboxOptions(**weights), Owner(), hand.parker)
    mailbox.promise("promised")
    reader = Steps(hand.parker.park(mailbox))
    put(mailbox)

    assert hand.woken == [mailbox]
    reader.go_on()
    assert reader.over
    put(mailbox)  # with nobody asleep
    assert hand.woken == [mailbox]


# -- waiting for room ------------------------------------------------------


async def line_up(mailbox: Mailbox[Any], message: object, admitted: list[Any]) -> None:
    sender = mailbox.wait_for_room(message)
    if sender is None or await mailbox.wait_in_line(sender):
        admitted.append(message)


async def within(
    scope: anyio.CancelScope,
    mailbox: Mailbox[Any],
    message: object,
    admitted: list[Any],
) -> None:
    with scope:
        await line_up(mailbox, message, admitted)


def on_loop(owner: Owner | None = None, **options: Any) -> Mailbox[Any]:
    return Mailbox(MailboxOptions(**options), owner or Owner(), running_parker())


async def test_senders_are_let_in_in_the_order_in_which_they_came() -> None:
    mailbox = on_loop(capacity=1)
    admitted: list[Any] = []
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(line_up, mailbox, number, admitted)
            await wait_idle()
        assert admitted == [0]
        for number in range(4):
            assert mailbox.take() == number
            mailbox.done()
            await wait_idle()

    assert admitted == [0, 1, 2, 3]
    assert balanced(mailbox)


async def test_nobody_overtakes_those_in_line() -> None:
    mailbox = on_loop(weigh=len, max_weight=10)
    admitted: list[Any] = []
    async with anyio.create_task_group() as tasks:
        mailbox.put("x" * 5)
        tasks.start_soon(line_up, mailbox, "y" * 10, admitted)
        await wait_idle()
        # Light enough for the room that there is, but not in its turn.
        assert not mailbox.put("z")
        assert not mailbox.has_room("z")
        assert not mailbox.promise("z")
        tasks.start_soon(line_up, mailbox, "w", admitted)
        await wait_idle()
        assert admitted == []
        mailbox.take()
        await wait_idle()
        assert admitted == ["y" * 10]
        mailbox.take()

    assert admitted == ["y" * 10, "w"]


async def test_one_who_gives_up_lets_those_behind_go_on() -> None:
    mailbox = on_loop(weigh=len, max_weight=10)
    admitted: list[Any] = []
    mailbox.put("x" * 5)
    heavy = mailbox.wait_for_room("y" * 10)
    assert heavy is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line_up, mailbox, "z", admitted)
        await wait_idle()
        mailbox.give_up(heavy)

    assert admitted == ["z"]
    mailbox.give_up(heavy)  # once more does nothing
    assert mailbox.has_room("w")


async def test_a_cancelled_sender_leaves_the_line() -> None:
    mailbox = on_loop(capacity=1)
    admitted: list[Any] = []
    scope = anyio.CancelScope()
    mailbox.put("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(within, scope, mailbox, "cancelled", admitted)
        await wait_idle()
        scope.cancel()
    mailbox.take()
    mailbox.done()

    assert (list(mailbox.queue), admitted) == ([], [])
    assert mailbox.put("second")
    assert balanced(mailbox)


async def test_a_sender_admitted_and_cancelled_in_one_tick_stays_admitted() -> None:
    mailbox = on_loop(capacity=1)
    scope = anyio.CancelScope()
    mailbox.put("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(within, scope, mailbox, "second", list[Any]())
        await wait_idle()
        mailbox.take()
        scope.cancel()

    assert list(mailbox.queue) == ["second"]
    assert balanced(mailbox)


async def test_a_sender_let_in_before_it_sleeps_does_not_sleep() -> None:
    mailbox = on_loop(capacity=1)
    mailbox.put("first")
    sender = mailbox.wait_for_room("second")
    assert sender is not None
    mailbox.take()

    assert await mailbox.wait_in_line(sender)
    assert list(mailbox.queue) == ["second"]


async def test_an_expired_sender_is_refused() -> None:
    mailbox = on_loop(capacity=1)
    mailbox.put("first")
    sender = mailbox.wait_for_room("second")
    assert sender is not None
    results: list[bool] = []

    async def wait(sender: Sender) -> None:
        results.append(await mailbox.wait_in_line(sender))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, sender)
        await wait_idle()
        sender.expire()

    assert results == [False]
    assert mailbox.refused == 1
    mailbox.take()
    assert not mailbox.queue


async def test_closing_refuses_who_waits_and_whoever_comes() -> None:
    mailbox = on_loop(capacity=1)
    admitted: list[Any] = []
    mailbox.put("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line_up, mailbox, "second", admitted)
        await wait_idle()
        mailbox.close()
    await line_up(mailbox, "third", admitted)

    assert admitted == []
    assert mailbox.refused == 2
    assert not mailbox.put("fourth")
    assert not mailbox.promise("fifth")
    assert not mailbox.has_room("sixth")
    assert (mailbox.refused, mailbox.accepted) == (3, 1)
    assert mailbox.take() == "first"  # what is in is in


async def test_draining_lets_in_who_waits() -> None:
    mailbox = on_loop(capacity=1)
    admitted: list[Any] = []
    mailbox.put("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line_up, mailbox, "second", admitted)
        await wait_idle()
        assert mailbox.drain() == ["first"]

    assert admitted == ["second"]
    assert list(mailbox.queue) == ["second"]
    assert mailbox.dead_lettered == 1


def test_a_reopened_mailbox_accepts_again() -> None:
    mailbox = mailbox_of()
    mailbox.close()
    mailbox.reopen()
    mailbox.reopen()

    assert mailbox.put("message")
    assert mailbox.has_room("message")


def test_reopening_one_that_is_open_leaves_the_line_alone() -> None:
    mailbox = mailbox_of(capacity=1)
    mailbox.put("first")
    mailbox.wait_for_room("second")
    mailbox.reopen()

    assert not mailbox.has_room("third")
    assert not mailbox.put("third")


# -- promises --------------------------------------------------------------


def test_a_promise_has_its_room_now_and_its_place_later() -> None:
    mailbox = mailbox_of(capacity=2)
    assert mailbox.promise("promised")
    assert mailbox.put("later")
    assert not mailbox.put("too late")
    assert mailbox.pending == 2
    mailbox.keep_promise("promised")

    assert list(mailbox.queue) == ["later", "promised"]
    assert balanced(mailbox)


def test_a_full_mailbox_promises_nothing() -> None:
    mailbox = mailbox_of(capacity=1)
    mailbox.put("message")

    assert not mailbox.promise("more")
    assert mailbox.accepted == 1


def test_a_promise_kept_to_a_closed_mailbox_is_a_dead_letter() -> None:
    mailbox = mailbox_of(owner := Owner(), weigh=first, max_weight=10)
    mailbox.promise((4,))
    mailbox.close()
    mailbox.keep_promise((4,))

    assert owner.drops == [((4,), Overflow.STOP)]
    assert (mailbox.weight, mailbox.promised, mailbox.pending) == (0, 0, 0)
    assert balanced(mailbox)


# -- drops by weight --------------------------------------------------------


def test_room_left_by_drops_goes_to_who_is_in_line() -> None:
    mailbox = mailbox_of(overflow=Overflow.DROP_OLD, weigh=itself, max_weight=10)
    assert mailbox.put(9)
    sender = mailbox.wait_for_room(6)
    assert sender is not None
    # It is too heavy to go with the 9, which goes; then both have room.
    assert mailbox.put(3)
    assert sender.admitted
    assert list(mailbox.queue) == [3, 6]
    assert balanced(mailbox)


def test_the_level_falls_when_a_light_message_takes_the_place_of_heavy_ones() -> None:
    owner = Owner()
    mailbox = mailbox_of(owner, overflow=Overflow.DROP_OLD, weigh=itself, max_weight=10)
    assert mailbox.put(9)
    assert mailbox.put(2)
    assert mailbox.level == 0
    assert owner.levels == [2, 0]
    assert owner.dropped_messages == [9]


# -- the law, whatever happens ---------------------------------------------

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


# -- at rest ---------------------------------------------------------------


@pytest.mark.parametrize("weights", [{}, {"weigh": len, "max_weight": 100}])
@pytest.mark.parametrize(
    "put",
    [
        methodcaller("put", "message"),
        methodcaller("wait_for_room", "message"),
        methodcaller("keep_promise", "message"),
    ],
)
def test_a_mailbox_at_rest_shares_no_message_with_others(
    put: Callable[[Mailbox[Any]], object], weights: dict[str, Any]
) -> None:
    mailbox, other = mailbox_of(**weights), mailbox_of(**weights)
    mailbox.promise("message")
    mailbox.rest()
    other.rest()
    put(mailbox)

    assert list(mailbox.queue) == ["message"]
    assert list(other.queue) == []
    mailbox.rest()  # it is not empty
    assert mailbox.take() == "message"
    assert balanced(mailbox)


@pytest.mark.parametrize("weights", [{}, {"weigh": one, "max_weight": 100}])
async def test_a_message_put_while_a_down_is_received_is_not_left_behind(
    stage: Stage, weights: dict[str, Any]
) -> None:
    class Watcher(Puppet):
        def receive(self, message: Any) -> object:
            if isinstance(message, Down):
                self.context.ref.tell("told of it")
            return super().receive(message)

    watched = await stage.spawn()
    cell = await stage.spawn(watcher := Watcher(), **weights)

    def watch(_: Puppet) -> None:
        watched.ref.monitor()

    cell.ref.tell(watch)
    await wait_idle()
    await watched.ref.stop()
    await wait_idle()

    assert watcher.seen[1:] == ["told of it"]
