"""Faults: what goes wrong in a simulated world, and when."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import final

from ._schedule import Choices


class Fault(enum.Enum):
    """What befalls an actor at a yield point."""

    CRASH = "crash"
    """`SimulatedCrash` is raised there."""
    CANCEL = "cancel"
    """It is cancelled natively: by no scope, as an ASGI server does it."""
    KILL = "kill"
    """As by `ActorRef.kill`."""
    SLOW = "slow"
    """It stands still for some seconds."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How probable each fault is, each time an actor comes to a yield point.

    Attributes:
        crash: It raises `SimulatedCrash`.
        cancel: It is cancelled natively: by no scope, as an ASGI server does it.
        kill: It is killed.
        slow: It stands still for *slow_seconds*.
        slow_seconds: For how long.
    """

    crash: float = 0.0
    cancel: float = 0.0
    kill: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in ("crash", "cancel", "kill", "slow"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a probability, got {value!r}")
        if not 0 < self.slow_seconds < float("inf"):
            raise ValueError(
                f"slow_seconds must be seconds above 0, got {self.slow_seconds!r}"
            )


class Plan(ABC):
    """What shall befall some actors."""

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # said, not known
            raise TypeError(f"actors must be a str, got {pattern!r}")
        self._pattern = pattern

    def concerns(self, path: str) -> bool:
        """Whether an actor is one of them."""
        return fnmatchcase(path, self._pattern)

    @abstractmethod
    def strikes(self, point: str, choices: Choices) -> Iterator[tuple[Fault, float]]:
        """What befalls it at *point*, and for how many seconds."""


@final
class Chance(Plan):
    """Faults now and then."""

    def __init__(self, pattern: str, faults: Faults) -> None:
        super().__init__(pattern)
        self._likely = [
            (fault, probability)
            for fault in (Fault.SLOW, Fault.CRASH, Fault.CANCEL, Fault.KILL)
            if (probability := getattr(faults, fault.value))
        ]
        self._seconds = faults.slow_seconds

    def strikes(self, point: str, choices: Choices) -> Iterator[tuple[Fault, float]]:
        """See `Plan`."""
        for fault, probability in self._likely:
            if choices.strikes(probability):
                yield fault, self._seconds


@final
class Once(Plan):
    """One fault, at one moment."""

    def __init__(
        self, pattern: str, fault: Fault, *, at: str, skip: int, seconds: float = 1.0
    ) -> None:
        super().__init__(pattern)
        if skip < 0:
            raise ValueError(f"skip must be at least 0, got {skip!r}")
        if not 0 < seconds < float("inf"):
            raise ValueError(f"seconds must be above 0, got {seconds!r}")
        self._fault = fault
        self._at = at
        self._left = skip
        self._seconds = seconds

    def strikes(self, point: str, choices: Choices) -> Iterator[tuple[Fault, float]]:
        """See `Plan`."""
        if point != self._at:
            return
        self._left -= 1
        if self._left == -1:
            yield self._fault, self._seconds
