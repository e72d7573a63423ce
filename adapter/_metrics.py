"""Metrics: one table of all that is counted, from which every exporter is made.

Whoever measures may do so in another thread, as exporters do: everything is read
in place, nobody is asked and nothing is locked.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import final

from ..actors import Undelivered
from ._adapter import ActorAdapter
from ._errors import NotRunning
from ._events import METRICS_FAILED
from ._health import Health
from ._statistics import AdapterStatistics


class MetricKind(enum.Enum):
    """What may become of a number."""

    COUNTER = "counter"
    """It only grows, until the process or the adapter is started anew."""
    GAUGE = "gauge"
    """It goes up and down."""


@final
@dataclass(frozen=True, slots=True)
class Metric:
    """One number that the adapter tells of itself, or one for each label.

    Attributes:
        name: What it is called, without the prefix and suffix of an exporter.
        kind: What may become of it.
        unit: What is counted, in UCUM.
        help: What it says.
        source: Where it is read: an attribute of what is measured.
        label: What the several numbers are told apart by, if there are several.
    """

    name: str
    kind: MetricKind
    unit: str
    help: str
    source: str
    label: str | None = None


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


_COUNTER, _GAUGE = MetricKind.COUNTER, MetricKind.GAUGE


def _flow(name: str, way: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"{name}_{what}", kind, "{message}", f"{help}, {way}.", f"{at}.{what}")
        for at in (f"statistics.{name}",)
        for what, kind, help in (
            ("accepted", _COUNTER, "Messages put in a mailbox"),
            ("handled", _COUNTER, "Messages handled"),
            ("dead_lettered", _COUNTER, "Messages accepted and never handled"),
            ("pending", _GAUGE, "Messages that wait"),
        )
    )


METRICS: tuple[Metric, ...] = (
    Metric(
        "accepting",
        _GAUGE,
        "1",
        "1 while new clients are taken, else 0.",
        "health.ok",
    ),
    Metric(
        "draining",
        _GAUGE,
        "1",
        "1 from the begin of a drain until the next start, else 0.",
        "statistics.draining",
    ),
    Metric(
        "connections",
        _GAUGE,
        "{connection}",
        "Clients connected now.",
        "statistics.connections",
    ),
    Metric(
        "connections_opened",
        _COUNTER,
        "{connection}",
        "Clients accepted.",
        "statistics.connections_total",
    ),
    Metric(
        "connections_refused",
        _COUNTER,
        "{connection}",
        "Handshakes refused.",
        "statistics.refused",
    ),
    Metric(
        "connections_refused_full",
        _COUNTER,
        "{connection}",
        "Those of them refused because there was no room, or while draining.",
        "statistics.refused_full",
    ),
    Metric(
        "connections_refused_unauthorised",
        _COUNTER,
        "{connection}",
        "Those of them that origin, ban or authenticate did not let in.",
        "statistics.refused_unauthorised",
    ),
    Metric(
        "connections_expired",
        _COUNTER,
        "{connection}",
        "Clients disconnected because their credentials have expired.",
        "statistics.expired",
    ),
    Metric(
        "connections_kicked",
        _COUNTER,
        "{connection}",
        "Clients disconnected by kick or ban.",
        "statistics.kicked",
    ),
    Metric(
        "connections_rejected",
        _COUNTER,
        "{connection}",
        "Clients turned away by on_connect.",
        "statistics.rejected",
    ),
    Metric(
        "strikes",
        _COUNTER,
        "{message}",
        "Unreadable messages, and those beyond the rates with STRIKE.",
        "statistics.strikes",
    ),
    Metric(
        "rate_limited",
        _COUNTER,
        "{message}",
        "Those of them beyond the rates.",
        "statistics.rate_limited",
    ),
    Metric(
        "rate_closed",
        _COUNTER,
        "{connection}",
        "Clients disconnected because they were beyond the rates.",
        "statistics.rate_closed",
    ),
    Metric(
        "throttled",
        _COUNTER,
        "{message}",
        "Messages that were made to wait because of the rates.",
        "statistics.throttled",
    ),
    Metric(
        "pings",
        _COUNTER,
        "{message}",
        "Pings sent to clients that were silent.",
        "statistics.pings",
    ),
    Metric(
        "unanswered",
        _COUNTER,
        "{connection}",
        "Clients disconnected because they did not answer one.",
        "statistics.unanswered",
    ),
    Metric(
        "idle",
        _COUNTER,
        "{connection}",
        "Clients disconnected because they were silent for too long.",
        "statistics.idle",
    ),
    Metric(
        "handler_errors",
        _COUNTER,
        "{error}",
        "Handlers that raised something unforeseen.",
        "statistics.handler_errors",
    ),
    Metric(
        "overflows",
        _COUNTER,
        "{connection}",
        "Clients disconnected because their outbox was full.",
        "statistics.overflows",
    ),
    Metric(
        "overflows_by_bytes",
        _COUNTER,
        "{connection}",
        "Those of them whose outbox was full of bytes.",
        "statistics.overflows_by_bytes",
    ),
    Metric(
        "stalls",
        _COUNTER,
        "{connection}",
        "Clients disconnected because a write took too long.",
        "statistics.stalls",
    ),
    Metric(
        "dropped",
        _COUNTER,
        "{message}",
        "Messages that clients missed because their outbox was full.",
        "statistics.dropped",
    ),
    Metric(
        "unknown_recipients",
        _COUNTER,
        "{message}",
        "Messages to a sid that is not connected.",
        "statistics.unknown_recipients",
    ),
    Metric(
        "rooms",
        _GAUGE,
        "{room}",
        "Rooms that have members.",
        "statistics.rooms",
    ),
    Metric(
        "present",
        _GAUGE,
        "{user}",
        "Users who are present in rooms, by room.",
        "statistics.present",
    ),
    Metric(
        "histories",
        _GAUGE,
        "{room}",
        "Rooms that have a history.",
        "statistics.histories",
    ),
    Metric(
        "history_messages",
        _GAUGE,
        "{message}",
        "Messages that are kept of them.",
        "statistics.history_messages",
    ),
    Metric(
        "history_bytes",
        _GAUGE,
        "By",
        "Bytes of these.",
        "statistics.history_bytes",
    ),
    Metric(
        "recovered",
        _COUNTER,
        "{join}",
        "Times that a client came back to a room and got what it had missed.",
        "statistics.recovered",
    ),
    Metric(
        "not_recovered",
        _COUNTER,
        "{join}",
        "Times that it did not, since that was not kept any more.",
        "statistics.not_recovered",
    ),
    *_flow("inbound", "from clients to handlers"),
    *_flow("outbound", "from emit to clients"),
    Metric(
        "actors",
        _GAUGE,
        "{actor}",
        "Actors alive, one for each client among them.",
        "system.actors",
    ),
    Metric(
        "actor_restarts",
        _COUNTER,
        "{restart}",
        "Actors started again after a failure.",
        "system.restarts",
    ),
    Metric(
        "dead_letters",
        _COUNTER,
        "{message}",
        "Messages accepted and never handled, by reason.",
        "system.dead_letters",
        label="reason",
    ),
)
"""All of them, in the order of the docs."""

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
