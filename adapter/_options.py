"""Options: every bound of the adapter, in one frozen object that checks itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import final

from ..actors import Overflow


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
            broadcast: `STOP` (disconnect), `DROP_OLD` or `DROP_NEW`.
        send_seconds: How long one write to a client may take before the client
            is given up for stalled.
        handler_grace: Seconds that a handler in flight may still take when its
            client has gone; then it is cancelled.
        disconnect_seconds: How long all ``on_disconnect`` handlers of one client
            may take; then they are cancelled.
        close_seconds: How long the last messages and the close frame may take.
        drain_seconds: How long a drain may take, over all clients.
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
    send_seconds: float = 10.0
    handler_grace: float = 0.5
    disconnect_seconds: float = 5.0
    close_seconds: float = 1.0
    drain_seconds: float = 10.0
    ack_seconds: float = 30.0
    max_message_bytes: int = 1_048_576
    max_depth: int = 32
    max_strikes: int = 20
    max_rooms: int = 1000
    max_acks: int = 1000

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if field.name == "overflow":
                continue
            if field.type == "int":
                _check_int(field.name, value, 0 if field.name == "max_strikes" else 1)
            else:
                _check_seconds(field.name, value)
        allowed = (Overflow.STOP, Overflow.DROP_OLD, Overflow.DROP_NEW)
        if self.overflow not in allowed:
            names = ", ".join(f"Overflow.{policy.name}" for policy in allowed)
            raise ValueError(f"overflow must be one of {names}, got {self.overflow!r}")


def _check_int(name: str, value: object, lowest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < lowest:
        raise ValueError(f"{name} must be at least {lowest}, got {value!r}")


def _check_seconds(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be seconds, got {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
