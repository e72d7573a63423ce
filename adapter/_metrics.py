"""Metrics: one table of all that is counted, from which every exporter is made."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final


class MetricKind(enum.Enum):
    """What may become of a number."""

    COUNTER = "counter"
    """It only grows, as long as the process lasts; that of actors, for one run."""
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
        "Handshakes refused: the sum of the following.",
        "statistics.refused",
    ),
    *(
        Metric(
            f"connections_refused_{cause}",
            _COUNTER,
            "{connection}",
            f"Refused: {why}.",
            f"statistics.refused_{cause}",
        )
        for cause, why in (
            ("full", "max_connections was reached"),
            ("address", "max_connections_per_address was reached"),
            ("hurried", "the address had asked too often: handshake_rate"),
            ("stopped", "the adapter did not run"),
            ("draining", "it was draining"),
            ("origin", "the page was not trusted"),
            ("banned", "the address, or the user, was banned"),
            ("unauthorised", "authenticate said no"),
            ("overdue", "authenticate took too long"),
            ("failed", "authenticate raised, or returned no Identity"),
        )
    ),
    Metric(
        "half_handshakes",
        _COUNTER,
        "{connection}",
        "Handshakes given up before they were accepted: by the client, or too slow.",
        "statistics.half_handshakes",
    ),
    Metric(
        "malformed_requests",
        _COUNTER,
        "{request}",
        "Requests that hypercorn has refused by itself, in the whole process.",
        "statistics.malformed_requests",
    ),
    Metric(
        "unfinished_requests",
        _COUNTER,
        "{connection}",
        "Connections without a whole request in time, in the whole process.",
        "statistics.unfinished_requests",
    ),
    Metric(
        "connections_expired",
        _COUNTER,
        "{connection}",
        "Clients disconnected because their credentials have expired.",
        "statistics.expired",
    ),
    Metric(
        "connections_unidentified",
        _COUNTER,
        "{connection}",
        "Clients disconnected because nobody had said in time who they are.",
        "statistics.unidentified",
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
        "struck_out",
        _COUNTER,
        "{connection}",
        "Clients disconnected because they had too many of them.",
        "statistics.struck_out",
    ),
    Metric(
        "oversized",
        _COUNTER,
        "{message}",
        "Messages too long to be read, those that never ended included.",
        "statistics.oversized",
    ),
    Metric(
        "rate_limited",
        _COUNTER,
        "{message}",
        "Those of the strikes beyond the rates.",
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
        "{wait}",
        "Times that a client was made to wait because of the rates.",
        "statistics.throttled",
    ),
    Metric(
        "ignored_acks",
        _COUNTER,
        "{message}",
        "Acks that nobody waited for: late, or made up.",
        "statistics.ignored_acks",
    ),
    Metric(
        "unknown_events",
        _COUNTER,
        "{message}",
        "Events that no handler stood for, and that were answered so.",
        "statistics.unknown_events",
    ),
    Metric(
        "unknown_namespaces",
        _COUNTER,
        "{message}",
        "Events for namespaces where no handler stood.",
        "statistics.unknown_namespaces",
    ),
    Metric(
        "pings",
        _COUNTER,
        "{message}",
        "Pings sent to clients that were silent, or that were not read.",
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
