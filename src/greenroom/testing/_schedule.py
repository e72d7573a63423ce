"""Schedules: where the choices of a simulated world come from.

A seed decides everything at random, and differently for every seed.  A `Schedule`
says it number by number, for Hypothesis to make smaller until only what matters
is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MAX_DELAY = 15
"""The largest number in a schedule."""


@final
class Schedule(tuple[int, ...]):
    """The choices of one run, one number after the other; beyond its end all are 0.

    At a yield point the number is for how many ticks the task falls behind; where
    a fault may strike, it strikes if the number is odd.  Tasks that can run in the
    same tick have their turns in the order of their start.

    Raises:
        ValueError: A number is not from 0 to 15.
    """

    __slots__ = ()

    def __new__(cls, numbers: Iterable[int] = ()) -> Schedule:
        self = super().__new__(cls, numbers)
        for number in self:
            good = isinstance(number, int)  # pyright: ignore[reportUnnecessaryIsInstance]  # said, not known
            if not good or not 0 <= number <= MAX_DELAY:
                raise ValueError(
                    f"a number must be from 0 to {MAX_DELAY}, got {number!r}"
                )
        return self

    def __repr__(self) -> str:
        return f"Schedule({list(self)})"


def schedules(max_size: int = 50) -> SearchStrategy[Schedule]:
    """A Hypothesis strategy for schedules; it shrinks to few and small numbers.

        @given(schedules())
        def test_it(schedule: Schedule) -> None:
            simulate(main, schedule)

    Args:
        max_size: How many choices of a run there are at most.
    """
    from hypothesis import strategies as st

    return st.lists(st.integers(0, MAX_DELAY), max_size=max_size).map(Schedule)


class Orders(Protocol):
    """Who decides what comes before what."""

    @property
    def anywhere(self) -> Callable[[], int] | None:
        """For how many ticks a task that can run does not, wherever it stands.

        None if nobody falls behind but at yield points.
        """
        ...

    def shuffle(self, items: list[Any]) -> None:
        """Put *items* in the order in which they have their turn."""
        ...

    def tie(self) -> float:
        """The place of something among equals."""
        ...


class Choices(Orders, Protocol):
    """Who decides everything."""

    def delay(self) -> int:
        """How many ticks a task falls behind at a yield point."""
        ...

    def strikes(self, probability: float) -> bool:
        """Whether a fault strikes."""
        ...


@final
class Seeded:
    """Choices at random.

    What is rare in one run is common in another: a bug that wants everybody in
    step, and one that wants somebody far behind, are found by different seeds.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self._often = self._one_of(0.0, 0.1, 0.25, 0.5)
        self._far = self._one_of(2, 6, 16, 40)
        self._anywhere = self._one_of(0.0, 0.0, 0.02, 0.1)
        self.anywhere: Callable[[], int] | None = None
        if self._anywhere:
            self.anywhere = lambda: self._lag(self._anywhere)

    def _one_of(self, *values: float) -> float:
        return values[int(self._random() * len(values))]

    def shuffle(self, items: list[Any]) -> None:
        """See `Orders`."""
        # random.shuffle() takes three times as long over the few that there are.
        draw = self._random
        for last in range(len(items) - 1, 0, -1):
            other = int(draw() * (last + 1))
            items[last], items[other] = items[other], items[last]

    def tie(self) -> float:
        """See `Orders`."""
        return self._random()

    def delay(self) -> int:
        """See `Choices`."""
        return self._lag(self._often)

    def _lag(self, often: float) -> int:
        if not often or self._random() >= often:
            return 0
        return 1 + int(self._random() * self._far)

    def strikes(self, probability: float) -> bool:
        """See `Choices`."""
        return self._random() < probability


@final
class Scheduled:
    """Choices by a schedule."""

    anywhere = None

    def __init__(self, schedule: Schedule) -> None:
        self._numbers: Iterator[int] = iter(schedule)

    def shuffle(self, items: list[Any]) -> None:
        """See `Orders`."""

    def tie(self) -> float:
        """See `Orders`."""
        return 0.0

    def delay(self) -> int:
        """See `Choices`."""
        return next(self._numbers, 0)

    def strikes(self, probability: float) -> bool:
        """See `Choices`."""
        return next(self._numbers, 0) % 2 == 1
