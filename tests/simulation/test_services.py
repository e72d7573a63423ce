"""Routers, partitions, tasks, names and locks, in any order of events."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.actors import Lock
from greenroom.testing import World, explore

from .services import Journal, services

SCHEDULES = 200


@pytest.mark.timeout(300)
def test_no_law_is_broken_whatever_clients_do() -> None:
    explored = explore(services, range(SCHEDULES), processes=2)

    assert explored.schedules == explored.distinct == SCHEDULES


def test_a_lock_that_keeps_nobody_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def anybody(*_: Any) -> None: ...

    monkeypatch.setattr(Lock, "__aenter__", anybody)
    monkeypatch.setattr(Lock, "__aexit__", anybody)

    with pytest.raises(AssertionError, match="one at a time has the lock"):
        explore(services, range(SCHEDULES))


def test_a_wait_that_takes_too_long_is_found() -> None:
    async def main(world: World) -> None:
        journal = Journal(world)
        journal.asked = 1
        journal.check()

    with pytest.raises(AssertionError, match="every wait ends in time"):
        explore(main, range(1))
