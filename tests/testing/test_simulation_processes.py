"""Worlds are explored by several processes, and what fails is shown in this one."""

from __future__ import annotations

import io
import os
import pickle
import sys
from typing import Any

import anyio
import pytest

from greenroom.testing import NotRepeated, World, explore
from greenroom.testing._explore import _explore  # pyright: ignore[reportPrivateUsage]
from greenroom.testing._fork import in_processes, run_in_child

from .test_simulation import fail_at_42, small

HERE = os.getpid()


@pytest.mark.parametrize("processes", [2, 3])
def test_they_see_what_one_sees(processes: int) -> None:
    assert explore(small, range(30), processes=processes) == explore(small, range(30))


def test_fewer_worlds_than_processes_are_enough() -> None:
    assert explore(small, range(2), processes=4).schedules == 2


def test_what_fails_in_one_is_raised_in_this_one() -> None:
    with pytest.raises(ValueError, match="found") as caught:
        explore(fail_at_42, range(100), processes=2)

    assert caught.value.__notes__ == ["greenroom: replay with seed 42"]


def test_what_fails_there_and_not_here_is_not_decided_by_the_seed() -> None:
    async def main(_: World) -> None:
        assert os.getpid() == HERE

    with pytest.raises(NotRepeated, match="the world of seed 0 failed") as caught:
        explore(main, range(10), processes=2)
    assert caught.value.seed == 0


def test_a_test_that_fails_itself_is_raised_in_this_one() -> None:
    async def main(world: World) -> None:
        if world.random.random() > 0.9:
            pytest.fail("so says the test")

    with pytest.raises(BaseException, match="so says the test"):
        explore(main, range(100), processes=2)


def test_who_interrupts_a_child_ends_it() -> None:
    async def main(_: World) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _explore(main, range(5), 1000)


@pytest.mark.parametrize("processes", [0, -1, 1.5, True])
def test_their_number_is_a_count(processes: Any) -> None:
    with pytest.raises(ValueError, match="processes must be an int of at least 1"):
        explore(small, processes=processes)


def test_one_that_dies_is_missed() -> None:
    async def main(_: World) -> None:
        await anyio.sleep(1)
        if os.getpid() != HERE:
            os._exit(3)

    with pytest.raises(ChildProcessError, match="has died"):
        explore(main, range(10), processes=2)


# -- in the child: run here, where it can be seen ----------------------------


def test_a_child_counts_until_the_first_that_fails() -> None:
    share = _explore(fail_at_42, range(40, 50), 1000)

    assert (share.schedules, share.failed) == (2, 42)
    share = _explore(small, range(5), 1000)
    assert (share.schedules, share.failed) == (5, None)


def test_a_child_writes_what_it_found() -> None:
    file = io.BytesIO()
    run_in_child(lambda: [1, 2], file)
    assert pickle.loads(file.getvalue()) == [1, 2]


def test_an_error_in_a_child_goes_no_further(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    # Frameworks put theirs in its place, Nestipy for one.
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    file = io.BytesIO()
    run_in_child(fail, file)
    assert file.getvalue() == b""
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_functions_return_in_their_order() -> None:
    assert in_processes([lambda: 1, lambda: 2, os.getpid])[:2] == [1, 2]
