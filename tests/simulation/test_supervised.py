"""Ten thousand orders of events, and in none of them does a supervised actor fail.

The world is in supervised.py: actors that crash, are stopped, killed, cancelled
natively, restarted, asked and watched, as each seed decides.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from greenroom.actors import Ask, Mailbox, Monitor
from greenroom.actors._belongings import Belongings
from greenroom.actors._incarnation import Incarnation
from greenroom.testing import InvariantBroken, World, WorldStuck, explore

from .supervised import Journal, Life, supervised

SCHEDULES = 10_000


@pytest.mark.timeout(300)
def test_no_law_is_broken_in_ten_thousand_schedules() -> None:
    explored = explore(supervised, range(SCHEDULES), processes=2)

    assert explored.schedules == SCHEDULES
    # Chance repeats a short world now and then.
    assert explored.distinct > 0.99 * SCHEDULES
    assert explored.steps > 20 * SCHEDULES


def test_everything_happens_that_can() -> None:
    happened: Counter[str] = Counter()

    async def main(world: World) -> None:
        journal = await supervised(world)
        happened["life"] += len(journal.lives)
        happened["stop"] += sum(life.stopped for life in journal.lives)
        happened["kill"] += sum(life.killed for life in journal.lives)
        happened["restart"] += len(journal.lives) > len(journal.refs)
        happened["message"] += len(journal.handled)
        happened["ask"] += journal.asked
        happened["monitor"] += len(journal.monitors)
        happened["down in an actor"] += sum(journal.downs.values())

    explore(main, range(400))

    assert min(happened.values()) > 30, happened


# -- each law can be seen to be broken ---------------------------------------


def sabotage(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break something in the library."""

    def nothing(*_: Any) -> None: ...

    async def no_hook(*_: Any) -> None: ...

    if what == "a message is lost":
        take: Any = vars(Mailbox)["lose"]

        def lose(self: Mailbox[Any]) -> object:
            message: object = take(self)
            self.dead_lettered -= 1
            return message

        monkeypatch.setattr(Mailbox, "lose", lose)
    elif what == "a failed ask is not told":
        monkeypatch.setattr(Ask, "fail", nothing)
    elif what == "nobody hears of an end":
        monkeypatch.setattr(Monitor, "deliver", nothing)
    elif what == "stopped is not called":
        monkeypatch.setattr(Incarnation, "_stop", no_hook)
    else:
        tell = Belongings.watched_ended

        def twice(self: Belongings, watch: Any) -> None:
            tell(self, watch)
            self.mailbox.put_system(watch.down)

        monkeypatch.setattr(Belongings, "watched_ended", twice)


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("a message is lost", InvariantBroken, "the mailbox of /worker-. accepted"),
        ("a failed ask is not told", WorldStuck, "nothing can run"),
        ("nobody hears of an end", WorldStuck, "nothing can run"),
        ("stopped is not called", AssertionError, "starts and ends pair up"),
        ("a Down comes twice", AssertionError, "one Down of each watch"),
    ],
)
def test_a_broken_library_is_found(
    what: str, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(what, monkeypatch)

    with pytest.raises(error, match=message):
        explore(supervised, range(1000))


def test_a_message_handled_twice_is_found() -> None:
    journal = Journal()
    journal.handled[1] = 2

    with pytest.raises(AssertionError, match="at most once"):
        journal.check()


@pytest.mark.parametrize(
    ("started", "stopped", "killed", "whole"),
    [
        (0, 0, 0, True),  # it was told to end before it began
        (1, 0, 0, False),
        (1, 1, 0, True),
        (1, 0, 1, True),
        (1, 1, 1, True),  # killed as it stopped
        (1, 2, 0, False),
        (1, 0, 2, False),
    ],
)
def test_which_lives_are_whole(
    started: int, stopped: int, killed: int, whole: bool
) -> None:
    life = Life()
    life.started, life.stopped, life.killed = started, stopped, killed

    assert life.is_whole() is whole
