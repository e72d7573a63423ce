from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenroom import MailboxOptions
from greenroom.actors import Mailbox
from greenroom.actors._line import Sender

from .kit import Hand, Owner, Slot, balanced


def weigh(message: Any) -> int:
    return int(message)


def mailbox_of(owner: Owner, **options: Any) -> Mailbox[int]:
    return Mailbox(MailboxOptions(**options), owner, Hand().parker)


def take(mailbox: Mailbox[int], count: int) -> None:
    for _ in range(count):
        mailbox.take()
        mailbox.done()


def level_after(level: int, fullness: float) -> int:
    """The rule in one line a step: up beyond a mark, back at half of it."""
    while level < 2 and fullness > (0.5, 0.8)[level]:
        level += 1
    while level and fullness <= (0.25, 0.4)[level - 1]:
        level -= 1
    return level


def test_a_level_rises_beyond_its_mark_and_not_at_it() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=10)
    levels: list[int] = []
    for number in range(10):
        assert mailbox.put(number)
        levels.append(mailbox.level)

    assert levels == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert owner.levels == [1, 2]


def test_a_level_goes_back_at_half_of_what_raised_it() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=10)
    for number in range(10):
        mailbox.put(number)
    levels: list[int] = []
    for _ in range(10):
        take(mailbox, 1)
        levels.append(mailbox.level)

    assert levels == [2, 2, 2, 2, 2, 1, 1, 0, 0, 0]
    assert owner.levels == [1, 2, 1, 0]


def test_a_mailbox_at_a_mark_does_not_report_each_message() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=10)
    for number in range(6):
        mailbox.put(number)
    for number in range(20):
        take(mailbox, 1)
        mailbox.put(number)

    assert owner.levels == [1]


def test_a_jump_over_both_marks_is_one_report() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=1)
    mailbox.put(0)
    take(mailbox, 1)

    assert owner.levels == [2, 0]


def test_weight_raises_a_level_as_well_as_number() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=100, weigh=weigh, max_weight=10)
    mailbox.put(5)
    assert mailbox.level == 0
    mailbox.put(1)
    assert mailbox.level == 1
    mailbox.put(3)
    assert mailbox.level == 2
    take(mailbox, 1)
    assert (mailbox.weight, mailbox.level) == (4, 1)
    take(mailbox, 2)
    assert (mailbox.weight, mailbox.level) == (0, 0)

    assert owner.levels == [1, 2, 1, 0]


def test_one_message_heavier_than_all_room_raises_the_level_to_the_top() -> None:
    mailbox = mailbox_of(Owner(), weigh=weigh, max_weight=10)

    assert mailbox.put(1000)
    assert mailbox.level == 2
    assert not mailbox.has_room(0)


def test_a_promise_takes_room_and_raises_the_level() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=2, weigh=weigh, max_weight=10)

    assert mailbox.promise(9)
    assert (mailbox.weight, mailbox.promised, mailbox.level) == (9, 1, 2)
    assert not mailbox.has_room(2)
    assert mailbox.has_room(1)
    mailbox.keep_promise(9)
    assert (mailbox.weight, mailbox.promised, mailbox.level) == (9, 0, 2)
    take(mailbox, 1)

    assert owner.levels == [2, 0]


def test_the_level_falls_when_the_promise_that_raised_it_is_broken() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=1)
    mailbox.promise(1)
    mailbox.close()
    mailbox.drain()
    assert mailbox.level == 2
    mailbox.keep_promise(1)

    assert mailbox.level == 0
    assert owner.levels == [2, 0]


def test_draining_takes_the_level_back() -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=4)
    for number in range(4):
        mailbox.put(number)
    mailbox.drain()

    assert owner.levels == [1, 2, 0]


def test_who_was_overtaken_is_waited_for_again_once_the_level_is_back_at_zero() -> None:
    mailbox = mailbox_of(Owner(), capacity=10)
    for number in range(10):
        mailbox.put(number)
    mailbox.overtaken = True
    take(mailbox, 6)
    assert (mailbox.level, mailbox.overtaken) == (1, True)
    take(mailbox, 4)

    assert (mailbox.level, mailbox.overtaken) == (0, False)


# The reader looks at `low` alone and leaves out the call if that says so.
@given(
    capacity=st.integers(1, 12),
    steps=st.lists(st.sampled_from(["put", "take", "promise", "keep"]), max_size=60),
)
def test_levels_follow_the_fullness_whatever_is_put_and_taken(
    capacity: int, steps: list[str]
) -> None:
    mailbox = mailbox_of(owner := Owner(), capacity=capacity)
    level, reports = 0, list[int]()
    for step in steps:
        if step == "put":
            mailbox.put(0)
        elif step == "promise":
            mailbox.promise(0)
        elif step == "keep":
            if mailbox.promised:
                mailbox.keep_promise(0)
        elif mailbox.queue:
            take(mailbox, 1)
        fullness = (len(mailbox.queue) + mailbox.promised) / capacity
        before, level = level, level_after(level, fullness)
        if level != before:
            reports.append(level)
        assert mailbox.level == level
        assert balanced(mailbox)

    assert owner.levels == reports


def test_a_sender_that_does_not_sleep_expires_without_a_wake_up() -> None:
    hand = Hand()
    sender = Sender("message", 1, hand.parker.unpark)
    assert sender.deadline == math.inf
    sender.expire()

    assert sender.done
    assert not sender.admitted
    assert hand.woken == []


def test_a_sender_that_sleeps_is_woken_when_it_expires() -> None:
    hand = Hand()
    sender = Sender("message", 1, hand.parker.unpark)
    sender.parked = Slot()
    sender.expire()

    assert hand.woken == [sender]
