"""Trio is looked at before it is simulated, and does as it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
import trio

from greenroom.testing import TrioChanged, World, simulate
from greenroom.testing import _trio as loops
from greenroom.testing._trio import Loop
from greenroom.testing._trio_check import check_trio

run: Any = import_module("trio._core._run")


async def nothing(_: World) -> None: ...


@pytest.fixture(autouse=True)
def look_again() -> Iterator[None]:
    """Forget what was seen of trio, before the test and after."""
    forget: list[Callable[[], None]] = [
        check_trio.cache_clear,
        loops._insides.cache_clear,  # pyright: ignore[reportPrivateUsage]
    ]
    for each in forget:
        each()
    yield
    for each in forget:
        each()


def test_trio_is_what_the_simulation_was_tested_with() -> None:
    check_trio()


@pytest.mark.parametrize(
    ("owner", "name", "message"),
    [
        (run, "CancelStatus", "trio._core._run has no CancelStatus"),
        (run, "_ALLOW_DETERMINISTIC_SCHEDULING", "has no _ALLOW_DETERMINISTIC"),
        (run.CancelStatus, "recalculate", "CancelStatus has no recalculate"),
        (run.Deadlines, "expire", "Deadlines has no expire"),
        (run.Task, "_attempt_abort", "Task has no _attempt_abort"),
    ],
)
def test_what_trio_lacks_is_named(
    owner: Any, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, name)

    with pytest.raises(TrioChanged, match=message) as changed:
        simulate(nothing)

    assert changed.value.version == trio.__version__
    assert "tested with, 0.31 to 0.35" in str(changed.value)


def test_a_module_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {**loops._NAMES, "_core._gone": "Thing"}  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(loops, "_NAMES", names)

    with pytest.raises(TrioChanged, match="_gone is gone"):
        simulate(nothing)


def test_without_trio_that_is_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "trio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trio", None)

    with pytest.raises(ModuleNotFoundError, match="trio"):
        simulate(nothing)


def test_a_field_without_slots_is_enough() -> None:
    class Owner:
        field: int

    loops._require(Owner, "field")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(TrioChanged, match="Owner has no other"):
        loops._require(Owner, "other")  # pyright: ignore[reportPrivateUsage]


def test_orders_that_nobody_decides_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if trio no longer asked.
    def leave(self: Loop, batch: list[Any]) -> None: ...

    monkeypatch.setattr(Loop, "shuffle", leave)
    with pytest.raises(TrioChanged, match="the order of each start is not what"):
        simulate(nothing)


def test_equal_deadlines_that_nobody_decides_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = loops._insides()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(inside.Heap, "add", run.Deadlines.add)
    addresses = iter(range(1000))

    def address(_: object) -> int:
        return next(addresses)

    monkeypatch.setattr(run, "id", address, raising=False)

    with pytest.raises(TrioChanged, match="the order of each deadline is not what"):
        simulate(nothing)


def test_cancellations_that_nobody_decides_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_age = loops._Unordered.__iter__  # pyright: ignore[reportPrivateUsage]

    def forwards(self: Any) -> Iterator[Any]:
        members = list(by_age(self))
        return iter(members[::-1])

    monkeypatch.setattr(loops._Unordered, "__iter__", forwards)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(TrioChanged, match="the order of each task is not what"):
        simulate(nothing)


def test_steps_that_nobody_hears_of_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None: ...

    monkeypatch.setattr(run.Instruments, "call", silent)
    with pytest.raises(TrioChanged, match="nobody is told of the steps of tasks"):
        simulate(nothing)


def test_time_that_stands_still_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio, "current_time", lambda: 0.0)
    with pytest.raises(TrioChanged, match="time does not jump"):
        simulate(nothing)


def test_a_run_that_fails_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise TypeError("no such argument")

    monkeypatch.setattr(run, "Runner", broken)
    loops._insides.cache_clear()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(loops, "_ATTRIBUTES", {})
    with pytest.raises(TrioChanged, match="a run fails with TypeError"):
        simulate(nothing)


# -- the loop ----------------------------------------------------------------


def test_between_two_worlds_everything_goes_in_order() -> None:
    loop = Loop()
    seen: list[str] = []

    async def task(name: str) -> None:
        await trio.sleep(1)
        seen.append(name)

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(task, name)
        return loop.now

    assert loop.run(main) == 1
    assert seen == ["a", "b", "c"]


def test_what_a_world_leaves_behind_is_cancelled() -> None:
    loop = Loop()

    async def main() -> None:
        with pytest.raises(trio.Cancelled):
            await trio.sleep_forever()

    loop.run(main)


def test_trio_draws_nothing_else_by_chance() -> None:
    assert Loop().uniform(10, 20) == 10


def test_a_guest_of_trio_can_ring_more_than_once() -> None:
    async def main(_: World) -> list[int]:
        seen: list[int] = []
        token = trio.lowlevel.current_trio_token()
        for number in range(3):
            token.run_sync_soon(seen.append, number)
        await trio.sleep(1)
        token.run_sync_soon(token.run_sync_soon, seen.append, 3)
        await trio.sleep(1)
        return seen

    assert simulate(main) == [0, 1, 2, 3]
