"""Fixed children that are stopped all at once."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import ChildSpec, StartError, Strategy, Supervisor
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    child,
    elapse,
    fail,
    family,
    forever,
    incarnations,
    lasting,
    now,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


def slow(journal: Journal, names: str, **options: Any) -> Supervisor:
    """A supervisor of children that take two seconds to stop."""
    return family(
        [worker(name, journal, on_stop=lasting(2)) for name in names], **options
    )


async def test_children_stop_all_at_once_and_start_in_order() -> None:
    journal = Journal()
    async with running(slow(journal, "abc", parallel=True)) as top:
        assert journal.take() == ["start a", "start b", "start c"]
        began = now()
        await top.stop()
        assert now() - began == pytest.approx(2)
        assert sorted(journal.of("gone")) == ["a", "b", "c"]


async def test_each_has_its_own_deadline() -> None:
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal, on_stop=forever, shutdown=1),
            worker("b", journal, on_stop=lasting(2)),
            worker("c", journal, on_stop=forever, shutdown=3),
        ],
        parallel=True,
    )
    async with running(supervisor) as top:
        began = now()
        await top.stop()
        assert now() - began == pytest.approx(3)
        assert journal.of("gone") == ["b"]


async def test_some_of_the_children_of_a_supervisor_stop_all_at_once() -> None:
    journal = Journal()
    group = slow(journal, "bcd", parallel=True)
    supervisor = family(
        [
            worker("a", journal, on_stop=lasting(2)),
            ChildSpec("group", lambda: group),
            worker("e", journal, on_stop=lasting(2)),
        ]
    )
    async with running(supervisor) as top:
        began = now()
        await top.stop()
        assert now() - began == pytest.approx(2 + 2 + 2)
        gone = journal.of("gone")
        assert (gone[0], sorted(gone[1:4]), gone[4]) == ("e", ["b", "c", "d"], "a")


@pytest.mark.parametrize(("parallel", "seconds"), [(False, 6), (True, 4)])
async def test_a_group_that_is_restarted_goes_down_in_the_same_way(
    parallel: bool, seconds: float
) -> None:
    journal = Journal()
    supervisor = slow(journal, "abc", parallel=parallel, strategy=Strategy.ONE_FOR_ALL)
    async with running(supervisor):
        journal.clear()
        child(supervisor, "b").tell(Boom())
        # The one that crashed stops first, by itself.
        await elapse(seconds - 0.1)
        assert journal.of("start") == []
        await elapse(0.2)
        assert journal.of("start") == ["a", "b", "c"]
        assert await incarnations(supervisor) == [2, 2, 2]


async def test_a_start_that_fails_takes_the_others_down_all_at_once() -> None:
    journal = Journal()
    inner = family(
        [
            *(worker(name, journal, on_stop=lasting(2)) for name in "abc"),
            worker("d", journal, on_start=fail),
        ],
        parallel=True,
    )
    supervisor = family()
    async with running(supervisor):
        began = now()
        with pytest.raises(StartError):
            await supervisor.start_child(ChildSpec("inner", lambda: inner))
        assert now() - began == pytest.approx(2)
        await wait_idle()
        assert statuses(supervisor) == {}


@pytest.mark.parametrize("parallel", [None, 1, "yes"])
def test_parallel_is_yes_or_no(parallel: Any) -> None:
    with pytest.raises(ValueError, match=r"^parallel must be bool"):
        Supervisor(parallel=parallel)
