from __future__ import annotations

import math
import random
from typing import Any

import pytest

from greenroom import Backoff, Intensity
from greenroom.supervision._intensity import Window


@pytest.mark.parametrize("max_restarts", [-1, 1.5, True, None, "3"])
def test_intensity_refuses_a_wrong_number_of_restarts(max_restarts: Any) -> None:
    with pytest.raises(ValueError, match="max_restarts must be an int of at least 0"):
        Intensity(max_restarts=max_restarts)


@pytest.mark.parametrize("period", [0, -1, math.nan, True, None, "5"])
def test_intensity_refuses_a_wrong_period(period: Any) -> None:
    with pytest.raises(ValueError, match="period must be seconds above 0"):
        Intensity(period=period)


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_a_window_allows_exactly_so_many_restarts(allowed: int) -> None:
    window = Window(Intensity(allowed, 5.0))

    assert [window.allows(0.0) for _ in range(allowed + 1)] == [True] * allowed + [
        False
    ]


def test_a_window_forgets_what_is_older_than_its_period() -> None:
    window = Window(Intensity(1, 5.0))

    assert window.allows(0.0)
    assert window.allows(5.1)
    assert not window.allows(10.1)  # exactly one period is not older


def test_a_window_counts_the_refused_restart_too() -> None:
    window = Window(Intensity(0, 5.0))

    assert not window.allows(0.0)
    assert not window.allows(1.0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"min_seconds": 0}, "min_seconds must be finite seconds above 0"),
        ({"min_seconds": "1"}, "min_seconds must be finite seconds above 0"),
        ({"max_seconds": math.inf}, "max_seconds must be finite seconds above 0"),
        ({"max_seconds": math.nan}, "max_seconds must be finite seconds above 0"),
        (
            {"min_seconds": 2, "max_seconds": 1},
            r"max_seconds must be at least min_seconds \(2\)",
        ),
    ],
)
def test_backoff_refuses_wrong_bounds(options: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Backoff(**options)


def test_backoff_lets_the_first_restart_come_at_once() -> None:
    assert Backoff().delay(1, random.Random(1)) == 0.0


@pytest.mark.parametrize(
    ("failures", "bound"), [(2, 1.0), (3, 2.0), (4, 4.0), (5, 5.0), (10**9, 5.0)]
)
def test_backoff_doubles_the_bound_of_a_random_wait(
    failures: int, bound: float
) -> None:
    rng = random.Random(1)
    delays = [Backoff(1.0, 5.0).delay(failures, rng) for _ in range(500)]

    assert 0 <= min(delays) < 0.05 * bound
    assert 0.95 * bound < max(delays) <= bound


def test_backoff_takes_the_mean_of_its_bounds_for_stable() -> None:
    assert Backoff(1.0, 5.0).stable_seconds == 3.0
