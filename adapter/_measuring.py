"""Measuring: all metrics of one adapter, read at one moment.

Whoever measures may do so in another thread, as exporters do: everything is read
in place, nobody is asked and nothing is locked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import final

from ..actors import Undelivered
from ._adapter import ActorAdapter
from ._errors import NotRunning
from ._events import METRICS_FAILED
from ._health import Health
from ._metrics import METRICS, Metric
from ._statistics import AdapterStatistics


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """One number, as it was at one moment.

    Attributes:
        metric: What it is.
        value: How much.
        labels: Which of several, if there are several.
    """

    metric: Metric
    value: float
    labels: Mapping[str, str]


def _no_letters() -> Mapping[str, int]:
    # All reasons, always: what has not been there cannot be seen to grow.
    return {why.value: 0 for why in Undelivered}


@final
@dataclass(frozen=True, slots=True)
class _System:
    """The actors behind the connections."""

    actors: int = 0
    restarts: int = 0
    dead_letters: Mapping[str, int] = field(default_factory=_no_letters)


@final
@dataclass(frozen=True, slots=True)
class _Reading:
    """What is measured; `Metric.source` is looked up here."""

    statistics: AdapterStatistics
    health: Health
    system: _System


_READERS = {metric: attrgetter(metric.source) for metric in METRICS}


def measure(adapter: ActorAdapter) -> tuple[Sample, ...]:
    """Read all `METRICS` of *adapter*, running or not.

    For exporters: from any thread, without waiting, and it never raises.  A fault
    of ours is logged, and then there are no samples.
    """
    try:
        reading = _Reading(adapter.statistics(), adapter.health(), _system_of(adapter))
        return tuple(
            sample
            for metric, read in _READERS.items()
            for sample in _samples(metric, read(reading))
        )
    except Exception as error:
        METRICS_FAILED.log(error)
        return ()


def _samples(metric: Metric, found: float | Mapping[str, int]) -> Iterator[Sample]:
    if metric.label is None:
        assert not isinstance(found, Mapping)
        yield Sample(metric, float(found), {})
        return
    assert isinstance(found, Mapping)
    for name, value in found.items():
        yield Sample(metric, float(value), {metric.label: name})


def _system_of(adapter: ActorAdapter) -> _System:
    try:
        system = adapter.system
    except NotRunning:
        return _System()
    runtime = system.runtime
    letters = system.dead_letters.counts
    return _System(
        len(runtime.cells),
        runtime.restarts,
        {**_no_letters(), **{why.value: count for why, count in letters.items()}},
    )
