"""What a full mailbox does is for its policy to say; what it drops is told."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import Overflow

from .kit import Owner, balanced, first, mailbox_of, second

pytestmark = pytest.mark.anyio


def itself(message: Any) -> Any:
    return message


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


# -- drops by weight -------------------------------------------------------


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
