"""Listeners: functions that are told of events, in place.

A listener is an observer.  The law: its fault is logged, and never becomes the
fault of whoever it happened to listen to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar, final

E = TypeVar("E")

_log = logging.getLogger("greenroom.actors")


@final
class Listeners(Generic[E]):
    """Those who listen to events of one kind.

    Args:
        kind: What kind, for the log.
    """

    __slots__ = ("_functions", "_kind")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._functions: list[Callable[[E], None]] = []

    def add(self, function: Callable[[E], None]) -> Callable[[], None]:
        """Call *function* with every event from now on.

        Returns:
            A function that ends this; calling it again does nothing.
        """
        self._functions.append(function)

        def forget() -> None:
            if function in self._functions:
                self._functions.remove(function)

        return forget

    def tell(self, event: E) -> None:
        """Let all know, in the order in which they began to listen."""
        for function in tuple(self._functions):
            try:
                function(event)
            except Exception:
                _log.exception("a %s listener raised", self._kind)
