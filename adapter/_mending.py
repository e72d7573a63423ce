"""Mending: a method of hypercorn's, with something around it, in all of its objects."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias

Method: TypeAlias = Callable[..., Awaitable[None]]


def mend(module: str, kind: str, name: str, around: Callable[[Method], Method]) -> None:
    """Put what *around* makes of the method in its place, where that is loaded.

    Doing so twice is fine; where there is no such method, nothing is done.
    """
    owner: Any = getattr(sys.modules.get(module), kind, None)
    method: Method | None = getattr(owner, name, None)
    if method is not None and not hasattr(method, "__wrapped__"):
        setattr(owner, name, wraps(method)(around(method)))
