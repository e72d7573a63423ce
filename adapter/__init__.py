"""Adapter: the only folder that knows what a web server is."""

from ._adapter import ActorAdapter
from ._bans import Ban
from ._client import Client
from ._codec import Codec, NotEncodable
from ._dispatcher import Handler
from ._envelope import JsonEnvelope
from ._errors import (
    AckFailed,
    AckTimeout,
    AdapterError,
    ClientGone,
    EventError,
    NotRunning,
)
from ._frames import Bundle, Message
from ._handshake import Handshake, HandshakeRefused
from ._health import Health
from ._hooks import PayloadHooks
from ._identity import Identity
from ._measuring import Sample, measure
from ._metrics import METRICS, Metric, MetricKind
from ._nestipy_bridge import TrioAsyncioBridge
from ._options import Excess, Options
from ._packets import Ack, AckFailure, BadFrame, Event, Frame, Packet
from ._position import Joined, Kept, RoomHistory
from ._presence import PresenceCount, Present
from ._statistics import AdapterStatistics, Flow
from ._transport import Listener, Stopping, Transport, TransportClosed

__all__ = [
    "METRICS",
    "Ack",
    "AckFailed",
    "AckFailure",
    "AckTimeout",
    "ActorAdapter",
    "AdapterError",
    "AdapterStatistics",
    "BadFrame",
    "Ban",
    "Bundle",
    "Client",
    "ClientGone",
    "Codec",
    "Event",
    "EventError",
    "Excess",
    "Flow",
    "Frame",
    "Handler",
    "Handshake",
    "HandshakeRefused",
    "Health",
    "Identity",
    "Joined",
    "JsonEnvelope",
    "Kept",
    "Listener",
    "Message",
    "Metric",
    "MetricKind",
    "NotEncodable",
    "NotRunning",
    "Options",
    "Packet",
    "PayloadHooks",
    "PresenceCount",
    "Present",
    "RoomHistory",
    "Sample",
    "Stopping",
    "Transport",
    "TransportClosed",
    "TrioAsyncioBridge",
    "measure",
]
