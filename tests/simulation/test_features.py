"""Actors use all that they have, in any order, and no law is broken.

The world is in features.py: stashed and deferred messages, handlers side by side,
timers, tasks, inline asks, suspended actors, redelivery, groups and strategies.
"""

from __future__ import annotations

from functools import partial

import pytest

from greenroom.actors import Mailbox
from greenroom.testing import InvariantBroken, World, explore

from .features import Journal, Worker, features

SCHEDULES = 500


@pytest.mark.timeout(300)
def test_no_law_is_broken_whatever_actors_do() -> None:
    explored = explore(features, range(SCHEDULES), processes=2)

    assert explored.schedules == SCHEDULES
    assert explored.distinct > 0.99 * SCHEDULES


@pytest.mark.timeout(300)
def test_no_law_is_broken_when_supervisors_fail_too() -> None:
    explore(partial(features, shaky=True), range(SCHEDULES), processes=2)


def test_actors_do_all_that(monkeypatch: pytest.MonkeyPatch) -> None:
    done: set[str] = set()
    handle = Worker.handle

    async def observed(self: Worker, message: tuple[str, int]) -> object:
        done.add(str(message[0]) if isinstance(message, tuple) else "down")  # pyright: ignore[reportUnnecessaryIsInstance]
        return await handle(self, message)

    monkeypatch.setattr(Worker, "handle", observed)
    explore(features, range(150))

    assert done >= {"stash", "beside crash", "pipe", "mine", "defer", "bind", "down"}
    assert len(done) >= 19


def test_a_message_lost_beside_the_others_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forget(self: Mailbox[object]) -> None:
        self.aside -= 1

    monkeypatch.setattr(Mailbox, "aside_done", forget)

    with pytest.raises(InvariantBroken, match=r"the mailbox of /.*/worker-"):
        explore(features, range(SCHEDULES))


def test_a_second_message_at_a_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(self: Worker, message: object) -> object:
        first = await receive(self, message)
        self.busy = True
        return first

    receive = Worker.receive
    monkeypatch.setattr(Worker, "receive", both)

    with pytest.raises(AssertionError, match="one message at a time"):
        explore(features, range(SCHEDULES))


def test_a_wait_that_takes_too_long_is_found() -> None:
    async def main(world: World) -> None:
        journal = Journal(world)
        journal.asked = 1
        journal.check()

    with pytest.raises(AssertionError, match="every wait ends in time"):
        explore(main, range(1))
