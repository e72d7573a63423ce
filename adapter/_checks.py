"""Checks of arguments: what is wrong is said where it is given."""

from __future__ import annotations

import math


def check_int(name: str, value: int, lowest: int, highest: int | None = None) -> int:
    """Return *value*, the argument *name*, if it is within bounds, else raise."""
    bounds = f"of at least {lowest}" if highest is None else f"{lowest} to {highest}"
    message = f"{name} must be an int {bounds}, got {value!r}"
    if type(value) is not int:
        raise TypeError(message)
    if value < lowest or (highest is not None and value > highest):
        raise ValueError(message)
    return value


def check_number(name: str, value: object) -> None:
    """Refuse what cannot be seconds, or a rate."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
