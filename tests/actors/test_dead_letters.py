from __future__ import annotations

import logging
from typing import Any

import pytest

from greenroom import DeadLetter, DeadLetters, Undelivered


def letter(message: object, why: Undelivered = Undelivered.STOPPED) -> DeadLetter:
    return DeadLetter(message, "/actor", why)


def test_letters_are_counted_by_reason_and_in_all() -> None:
    letters = DeadLetters()
    for why in (Undelivered.STOPPED, Undelivered.OVERFLOW, Undelivered.STOPPED):
        letters.publish(letter("message", why))

    assert letters.counts == {Undelivered.STOPPED: 2, Undelivered.OVERFLOW: 1}
    assert letters.total == 3


def test_the_latest_are_kept_and_older_ones_counted_still() -> None:
    letters = DeadLetters(keep=2)
    for number in range(4):
        letters.publish(letter(number))

    assert [each.message for each in letters.latest] == [2, 3]
    assert letters.total == 4


def test_what_is_looked_at_does_not_change() -> None:
    letters = DeadLetters()
    counts: Any = letters.counts
    latest = letters.latest
    letters.publish(letter("late"))

    assert (dict(counts), latest) == ({}, ())
    with pytest.raises(TypeError):
        counts[Undelivered.STOPPED] = 1


def test_a_listener_hears_every_letter_until_it_is_forgotten() -> None:
    letters = DeadLetters()
    heard: list[object] = []
    forget = letters.listen(lambda each: heard.append(each.message))
    letters.publish(letter(1))
    letters.publish(letter(2))
    forget()
    letters.publish(letter(3))

    assert heard == [1, 2]


def test_forgetting_a_listener_twice_leaves_the_others() -> None:
    letters = DeadLetters()
    heard: list[str] = []
    forget = letters.listen(lambda _: heard.append("first"))
    letters.listen(lambda _: heard.append("second"))
    forget()
    forget()
    letters.publish(letter("message"))

    assert heard == ["second"]


def test_a_listener_may_forget_itself_while_it_listens() -> None:
    letters = DeadLetters()
    heard: list[str] = []

    def once(_: DeadLetter) -> None:
        heard.append("once")
        forget()

    forget = letters.listen(once)
    letters.listen(lambda _: heard.append("always"))
    letters.publish(letter(1))
    letters.publish(letter(2))

    assert heard == ["once", "always", "always"]


def test_a_listener_that_raises_is_logged_and_the_next_one_hears(
    caplog: pytest.LogCaptureFixture,
) -> None:
    letters = DeadLetters()
    heard: list[object] = []

    def broken(_: DeadLetter) -> None:
        raise ValueError("broken listener")

    letters.listen(broken)
    letters.listen(lambda each: heard.append(each.message))
    with caplog.at_level(logging.ERROR, "greenroom.dead_letters"):
        letters.publish(letter("message"))

    assert heard == ["message"]
    assert "broken listener" in caplog.text


def test_what_is_kept_is_bounded_by_its_weight_too() -> None:
    letters = DeadLetters(keep=3)
    heard: list[object] = []
    letters.listen(lambda each: heard.append(each.message))
    letters.publish(letter("before"))
    letters.limit(lambda message: len(str(message)), 10)
    for text in ("aaaa", "bbbb", "cccc"):
        letters.publish(letter(text))

    assert [each.message for each in letters.latest] == ["bbbb", "cccc"]

    letters.publish(letter("much too heavy"))
    assert [each.message for each in letters.latest] == ["bbbb", "cccc"]

    for text in ("", "d", "e"):
        letters.publish(letter(text))
    assert [each.message for each in letters.latest] == ["", "d", "e"]

    letters.publish(letter("0123456789"))
    assert [each.message for each in letters.latest] == ["0123456789"]
    assert letters.total == len(heard) == 9
