"""Options: every bound of the adapter, in one frozen object that checks itself."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import cast, final

from ..actors import Overflow
from ._checks import check_int, check_number
from ._dispatcher import check_namespace


class Excess(enum.Enum):
    """What becomes of a client that sends more than its rate allows."""

    THROTTLE = "throttle"
    """Its messages are read later: TCP makes it wait, and nothing is lost."""
    STRIKE = "strike"
    """The message is not handled: error ``rate_limited``, and a strike."""
    CLOSE = "close"
    """It is disconnected, with close code 1008."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds and deadlines of an `ActorAdapter`.

    Attributes:
        max_connections: Clients at a time; one more is refused (HTTP 503).
        max_connections_per_address: The same for one address of the client, as
            the server reports it (HTTP 429); 0 for no such bound.  Of IPv6, one /64
            counts as one address, here and wherever addresses count.
        handshake_rate: Handshakes of one address, by second (HTTP 429), those that
            are refused for something else included; 0 for no bound.
        handshake_burst: So many at once, after a silence.
        handshake_addresses: Addresses whose handshakes are counted; beyond, the one
            that has been silent for longest is forgotten, and has its burst again.
        trusted_origins: Origins that browsers may connect from, such as
            ``https://example.com`` or ``https://*.example.com``; ``*`` is any.  By
            default only the host that they connect to.  A client that is no
            browser sends no origin, and is let in.
        subprotocols: Subprotocols that are spoken, the preferred one first; of
            those a client offers, the first of these is agreed.
        handshake_seconds: How long `ActorAdapter.authenticate` may take.
        identify_seconds: How long a client that was let in may stay without an
            `Identity`; 0 for as long as it likes.
        renew_seconds: How long before its credentials expire a client is told; 0
            for not to tell it.
        max_bans: Bans that are kept; beyond, that which ends first is let go.
        ping_seconds: So long a client may be silent before it is sent a ``ping``
            that it has to answer; 0 for never.
        pong_seconds: How long it may take to answer that, by any message.
        idle_seconds: So long a client may be silent before it is disconnected; 0
            for as long as it likes.
        inbox_messages: Messages of one client that wait for its handlers; when
            they are so many, its reader stops reading and TCP pushes back.
        inbox_bytes: Bytes of one client's messages that wait for its handlers.
        message_rate: Messages that one client may send, by second; 0 for no bound.
            Each ping and pong of the WebSocket counts as one, and each fragment.
        message_burst: So many it may send at once, after a silence.
        byte_rate: Bytes that one client may send, by second; 0 for no bound.
        byte_burst: So many it may send at once, after a silence.
        excess: What becomes of a client that sends more than that.
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
        presence_seconds: How often a room hears who has come and who has left.
        history_messages: Messages that are kept of one room.
        history_bytes: Bytes of messages that are kept of one room.
        history_seconds: How long a message is kept.
        max_histories: Rooms whose messages are kept; beyond, the one that has been
            silent for longest is forgotten.
        health_path: Where an HTTP GET is answered with 200, or 503 while the
            adapter drains or does not run; none by default.
    """

    max_connections: int = 10_000
    max_connections_per_address: int = 0
    handshake_rate: float = 0.0
    handshake_burst: int = 20
    handshake_addresses: int = 10_000
    trusted_origins: Iterable[str] | None = None
    subprotocols: Iterable[str] = ()
    handshake_seconds: float = 10.0
    identify_seconds: float = 0.0
    renew_seconds: float = 30.0
    max_bans: int = 10_000
    ping_seconds: float = 0.0
    pong_seconds: float = 10.0
    idle_seconds: float = 0.0
    inbox_messages: int = 64
    inbox_bytes: int = 1_048_576
    message_rate: float = 0.0
    message_burst: int = 100
    byte_rate: float = 0.0
    byte_burst: int = 1_048_576
    excess: Excess = Excess.THROTTLE
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
    presence_seconds: float = 1.0
    history_messages: int = 100
    history_bytes: int = 262_144
    history_seconds: float = 300.0
    max_histories: int = 1000
    health_path: str | None = None

    def __post_init__(self) -> None:
        for option in fields(self):
            name, value = option.name, getattr(self, option.name)
            if option.type == "int":
                check_int(name, value, 0 if name in _MAY_BE_NONE else 1)
            elif option.type == "float":
                check_number(name, value)
        _check_overflow("overflow", self.overflow)
        spaces = _check_spaces(self.namespace_overflow)
        _freeze(self, "namespace_overflow", MappingProxyType(spaces))
        if not isinstance(cast("object", self.excess), Excess):
            raise TypeError(f"excess must be an Excess, got {self.excess!r}")
        if self.trusted_origins is not None:
            origins = _check_texts("trusted_origins", self.trusted_origins, _ORIGIN)
            _freeze(self, "trusted_origins", origins)
        protocols = _check_texts("subprotocols", self.subprotocols, _TOKEN)
        _freeze(self, "subprotocols", protocols)
        self._check_history()
        _check_path("health_path", self.health_path)

    def _check_history(self) -> None:
        # Nowhere else: what a client has missed of a room that it is in is put in
        # its outbox in one go, and one that did not fit would cost it its connection.
        for kept, bound in (
            ("history_messages", "outbox_messages"),
            ("history_bytes", "outbox_bytes"),
        ):
            most = getattr(self, bound)
            if getattr(self, kept) > most and getattr(self, kept) != _DEFAULTS[kept]:
                raise ValueError(
                    f"{kept} must be at most {bound}, {most}, "
                    f"got {getattr(self, kept)!r}"
                )
            _freeze(self, kept, min(getattr(self, kept), most))

    def overflow_in(self, namespace: str) -> Overflow | None:
        """What `namespace_overflow` says of *namespace*."""
        return self.namespace_overflow.get(namespace)


_freeze = object.__setattr__

_DEFAULTS = {option.name: option.default for option in fields(Options)}

_MAY_BE_NONE = {"max_strikes", "max_connections_per_address"}

_POLICIES = (Overflow.STOP, Overflow.DROP_OLD, Overflow.DROP_NEW, Overflow.CONFLATE)

# RFC 6454, section 6.2: scheme, host and port, and nothing else.
_ORIGIN = (
    re.compile(r"\*|null|[a-z][a-z0-9+.-]*://(\*\.)?[^\s/*?#@]+"),
    "an origin such as 'https://example.com', 'https://*.example.com' or '*'",
)
# RFC 6455, section 4.1: a token of RFC 2616.
_TOKEN = (re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), "a token")


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


def _check_texts(
    name: str, value: object, form: tuple[re.Pattern[str], str]
) -> tuple[str, ...]:
    pattern, what = form
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be several str, got {value!r}")
    texts = tuple(cast("Iterable[object]", value))
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name} must be several str, got {text!r} in it")
        if not pattern.fullmatch(text):
            raise ValueError(f"{name} must be {what} each, got {text!r} in it")
    return cast("tuple[str, ...]", texts)


def _check_path(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {value!r}")
    if not value.startswith("/"):
        raise ValueError(f"{name} must begin with '/', got {value!r}")
