"""A message is in one place, from put to done; whatever is put wakes the reader."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

import pytest

from greenroom import Down, MailboxOptions, MailboxStatistics, Overflow
from greenroom.actors import NOTHING, Batch, Mailbox
from greenroom.actors._mailbox import Envelope
from greenroom.testing._clock import wait_idle

from .kit import Hand, Owner, Steps, balanced, first, mailbox_of, second
from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


def one(_: object) -> int:
    return 1


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


@pytest.mark.parametrize("together", [False, True])
def test_weighing_a_message_may_put_another(together: bool) -> None:
    inner = ["inner"]

    def weigh(message: object) -> int:
        while inner:
            mailbox.put(inner.pop())
        return 1

    mailbox = mailbox_of(weigh=weigh, max_weight=10)
    if together:
        assert mailbox.put_through(Batch(["outer", "next"])) == 2
    else:
        assert mailbox.put("outer")
    assert mailbox.take() == "inner"
    mailbox.done()
    assert mailbox.take() == "outer"
    mailbox.done()
    assert mailbox.weight == mailbox.pending == together


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
