"""Checks of what users pass in.  They take an object: types are only a promise."""

from __future__ import annotations

import math
from types import UnionType


def check(holds: bool, name: str, expected: str, value: object) -> None:
    """Refuse *value* unless *holds*."""
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_is(name: str, value: object, kind: type | UnionType) -> None:
    """Refuse what is not of that *kind*."""
    if not isinstance(value, kind):
        wanted = kind.__name__ if isinstance(kind, type) else str(kind)
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_count(name: str, value: object) -> None:
    """Refuse what is not a number of things."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    check(good, name, "an int of at least 0", value)


def is_seconds(value: object) -> bool:
    """Whether *value* is a duration, zero and infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isnan(value) and value >= 0
