from __future__ import annotations

import math

from greenroom import Ban
from greenroom.adapter._bans import Bans


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_ban_holds_until_its_end() -> None:
    clock = Clock()
    bans = Bans(10, clock)
    bans.add("user", "ann", 5.0)
    bans.add("address", "10.0.0.1", None)
    assert bans.holds("user", "ann")
    assert not bans.holds("address", "ann")
    assert not bans.holds("user", "bob")
    assert not bans.holds("address", None)
    clock.now += 2.0
    assert bans.all() == (
        Ban("user", "ann", 3.0),
        Ban("address", "10.0.0.1", math.inf),
    )
    clock.now += 3.0
    assert bans.all() == (Ban("address", "10.0.0.1", math.inf),)
    assert not bans.holds("user", "ann")
    assert bans.holds("address", "10.0.0.1")


def test_a_ban_may_be_lifted_once() -> None:
    clock = Clock()
    bans = Bans(10, clock)
    bans.add("user", "ann", None)
    assert bans.remove("user", "ann")
    assert not bans.holds("user", "ann")
    assert not bans.remove("user", "ann")
    bans.add("user", "ann", 1.0)
    clock.now += 1.0
    assert not bans.remove("user", "ann")


def test_a_later_ban_replaces_an_earlier_one() -> None:
    bans = Bans(1, Clock())
    bans.add("user", "ann", None)
    bans.add("user", "ann", 1.0)
    assert bans.all() == (Ban("user", "ann", 1.0),)


def test_there_are_only_so_many() -> None:
    clock = Clock()
    bans = Bans(3, clock)
    for name, seconds in [("a", 9.0), ("b", 3.0), ("c", None), ("d", 5.0)]:
        bans.add("user", name, seconds)
    assert [ban.name for ban in bans.all()] == ["a", "c", "d"]
    clock.now += 6.0
    bans.add("user", "e", 1.0)
    # That which was over made room.
    assert [ban.name for ban in bans.all()] == ["a", "c", "e"]


def test_all_are_forgotten_together() -> None:
    bans = Bans(3, Clock())
    bans.add("user", "ann", None)
    bans.clear()
    assert bans.all() == ()
