"""Options: every bound of the adapter, in one frozen object that checks itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import cast, final

from ..actors import Overflow
from ._dispatcher import check_namespace


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds and deadlines of an `ActorAdapter`.

    Attributes:
        inbox_messages: Messages of one client that wait for its handlers; when
            they are so many, its reader stops reading and TCP pushes back.
        outbox_messages: Messages that wait to be written to one client.
        outbox_bytes: Bytes that wait to be written to one client.
        overflow: What a full outbox does with a message of a room or a
            broadcast: `STOP` (disconnect), `DROP_OLD`, `DROP_NEW`, or `CONFLATE`
            (drop the oldest of the same event to the same rooms, else the oldest).
        namespace_overflow: The same for single namespaces.
        send_seconds: How long one write to a client may take before the client
            is given up for stalled.
        handler_grace: Seconds that a handler in flight may still take when its
            client has gone; then it is cancelled.
        disconnect_seconds: How long all ``on_disconnect`` handlers of one client
            may take; then they are cancelled.
        close_seconds: How long the last messages and the close frame may take.
        drain_seconds: How long a drain may take, over all clients.
        drain_batch: Clients that are told at a time when the adapter drains.
        drain_spread: Seconds over which a drain asks clients to come back, each at
            a random moment; 0 for not to ask.
        ack_seconds: How long an ack is waited for when nothing else is said.
        max_message_bytes: Longest message that is read.
        max_depth: How many JSON objects and arrays may stand inside one another.
        max_strikes: So many unreadable messages of one client are answered; one
            more disconnects it (1008).
        max_rooms: Rooms that one client may be in.
        max_acks: Acks of one client that may be waited for at a time.
    """

    inbox_messages: int = 64
    outbox_messages: int = 256
    outbox_bytes: int = 1_048_576
    overflow: Overflow = Overflow.STOP
    namespace_overflow: Mapping[str, Overflow] = field(
        default_factory=dict[str, Overflow]
    )
    send_seconds: float = 10.0
    handler_grace: float = 0.5
    disconnect_seconds: float = 5.0
    close_seconds: float = 1.0
    drain_seconds: float = 10.0
    drain_batch: int = 1000
    drain_spread: float = 0.0
    ack_seconds: float = 30.0
    max_message_bytes: int = 1_048_576
    max_depth: int = 32
    max_strikes: int = 20
    max_rooms: int = 1000
    max_acks: int = 1000

    def __post_init__(self) -> None:
        for option in fields(self):
            name, value = option.name, getattr(self, option.name)
            if option.type == "int":
                check_int(name, value, 0 if name == "max_strikes" else 1)
            elif option.type == "float":
                check_seconds(name, value)
        _check_overflow("overflow", self.overflow)
        spaces = _check_spaces(self.namespace_overflow)
        object.__setattr__(self, "namespace_overflow", MappingProxyType(spaces))

    def overflow_in(self, namespace: str) -> Overflow | None:
        """What `namespace_overflow` says of *namespace*."""
        return self.namespace_overflow.get(namespace)


_POLICIES = (Overflow.STOP, Overflow.DROP_OLD, Overflow.DROP_NEW, Overflow.CONFLATE)


def _check_overflow(name: str, value: object) -> None:
    if value not in _POLICIES:
        names = ", ".join(f"Overflow.{policy.name}" for policy in _POLICIES)
        raise ValueError(f"{name} must be one of {names}, got {value!r}")


def _check_spaces(value: object) -> dict[str, Overflow]:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"namespace_overflow must be a mapping of namespaces, got {value!r}"
        )
    spaces = dict(cast("Mapping[str, Overflow]", value))
    for space, overflow in spaces.items():
        check_namespace(space)
        _check_overflow(f"namespace_overflow[{space!r}]", overflow)
    return spaces


def check_int(name: str, value: object, lowest: int) -> None:
    """Refuse what is not an int of at least *lowest*."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < lowest:
        raise ValueError(f"{name} must be at least {lowest}, got {value!r}")


def check_seconds(name: str, value: object) -> None:
    """Refuse what is not a number of seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be seconds, got {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
