"""Events: what the adapter writes to its log, each with a name and its fields."""

from __future__ import annotations

import logging

from ._log_event import LogEvent

# -- coming and going ------------------------------------------------------

CONNECTED = LogEvent(
    "connected",
    logging.DEBUG,
    "client %(sid)s has connected from %(address)s",
    ("sid", "address", "user"),
    "a client was accepted; `on_connect` comes next",
)
DISCONNECTED = LogEvent(
    "disconnected",
    logging.DEBUG,
    "client %(sid)s is gone after %(seconds).1f s: %(code)s %(reason)s",
    ("sid", "user", "code", "reason", "seconds", "received", "sent"),
    "a client is gone, and `on_disconnect` done; `received` and `sent` are messages",
)
REFUSED = LogEvent(
    "refused",
    logging.DEBUG,
    "a client from %(address)s was refused: %(status)d %(reason)s",
    ("cause", "status", "reason", "address", "origin", "user"),
    "a handshake was refused; `cause` is that of the counter, `refused_<cause>`, and "
    "`user` is None where it was not known yet",
)
REJECTED = LogEvent(
    "rejected",
    logging.DEBUG,
    "client %(sid)s was rejected: %(code)d %(reason)s",
    ("sid", "code", "reason"),
    "`on_connect` turned a client away",
)
KICKED = LogEvent(
    "kicked",
    logging.INFO,
    "%(kind)s %(who)s is kicked, %(clients)d clients: %(code)d %(reason)s",
    ("kind", "who", "clients", "code", "reason"),
    "`adapter.kick` was called; `kind` is `sid`, `user` or `address`",
)
BANNED_FROM = LogEvent(
    "banned",
    logging.INFO,
    "%(kind)s %(who)s is banned, %(clients)d clients: %(reason)s",
    ("kind", "who", "clients", "seconds", "reason"),
    "`adapter.ban` was called; `seconds` is None where it has no end",
)
UNBANNED = LogEvent(
    "unbanned",
    logging.INFO,
    "%(kind)s %(who)s is not banned any more",
    ("kind", "who"),
    "`adapter.unban` has ended a ban",
)
DRAINING = LogEvent(
    "draining",
    logging.INFO,
    "draining: %(clients)d clients are asked to leave",
    ("clients",),
    "a drain has begun: new clients are refused",
)
DRAINED = LogEvent(
    "drained",
    logging.INFO,
    "drained: %(clients)d clients have left within %(seconds).1f s",
    ("clients", "seconds"),
    "a drain is over, and everybody has left",
)
DRAIN_INCOMPLETE = LogEvent(
    "drain_incomplete",
    logging.WARNING,
    "%(clients)d clients did not leave in time",
    ("clients",),
    "a drain is over, and so many clients are still there",
)

# -- clients ---------------------------------------------------------------

CLIENT_TOO_SLOW = LogEvent(
    "client_too_slow",
    logging.WARNING,
    "client %(sid)s is too slow: %(cause)s",
    ("sid", "cause"),
    "a client is disconnected because it does not read what it is sent",
)
STRUCK_OUT = LogEvent(
    "struck_out",
    logging.DEBUG,
    "client %(sid)s from %(address)s is put out, the last was: %(cause)s",
    ("sid", "user", "address", "cause"),
    "a client is disconnected because it has had too many strikes; `cause` is the "
    "error of the last",
)
RATE_CLOSED = LogEvent(
    "rate_closed",
    logging.DEBUG,
    "client %(sid)s from %(address)s sends too much",
    ("sid", "user", "address"),
    "a client is disconnected because it was beyond the rates, with `Excess.CLOSE`",
)
EXPIRED_OF = LogEvent(
    "expired",
    logging.DEBUG,
    "the credentials of client %(sid)s, %(user)s, have expired",
    ("sid", "user"),
    "a client is disconnected because its credentials have expired",
)
IDLE_FOR = LogEvent(
    "idle",
    logging.DEBUG,
    "client %(sid)s is idle",
    ("sid",),
    "a client is disconnected because it has said nothing for `idle_seconds`",
)
UNANSWERED = LogEvent(
    "unanswered",
    logging.DEBUG,
    "client %(sid)s has not answered a ping",
    ("sid",),
    "a client is disconnected because it seems to be dead",
)
NOT_IDENTIFIED = LogEvent(
    "not_identified",
    logging.DEBUG,
    "client %(sid)s has not been identified in time",
    ("sid",),
    "a client is disconnected: after `identify_seconds` it was nobody still",
)
TOO_MANY_ACKS = LogEvent(
    "too_many_acks",
    logging.WARNING,
    "client %(sid)s owes too many acks already",
    ("sid",),
    "a callback will not be called: its client owes `max_acks` acks",
)

# -- the application -------------------------------------------------------

HANDLER_FAILED = LogEvent(
    "handler_failed",
    logging.ERROR,
    "handler of %(handler)s failed, client %(sid)s",
    ("sid", "handler"),
    "a handler raised what is no `EventError`; `handler` is the name of the event",
)
ACK_CALLBACK_FAILED = LogEvent(
    "ack_callback_failed",
    logging.ERROR,
    "the callback of an ack raised, client %(sid)s",
    ("sid",),
    "what was given as `callback` raised",
)
ON_DISCONNECT_FAILED = LogEvent(
    "on_disconnect_failed",
    logging.ERROR,
    "on_disconnect raised, client %(sid)s",
    ("sid",),
    "an `on_disconnect` handler raised",
)
ON_DISCONNECT_SLOW = LogEvent(
    "on_disconnect_slow",
    logging.ERROR,
    "on_disconnect took too long, client %(sid)s",
    ("sid",),
    "`on_disconnect` took longer than `disconnect_seconds`, and was cancelled",
)
HANDLER_NOT_CANCELLED = LogEvent(
    "handler_not_cancelled",
    logging.ERROR,
    "a handler ignores that it was cancelled, client %(sid)s",
    ("sid",),
    "a handler goes on without its client, and is left to itself",
)
AUTHENTICATE_FAILED = LogEvent(
    "authenticate_failed",
    logging.ERROR,
    "authenticate %(cause)s",
    ("cause",),
    "the hook raised, or returned what is no identity; what its exception says is "
    "not told, for it may be a credential: only the type and where it was raised",
    hides_text=True,
)
AUTHENTICATE_SLOW = LogEvent(
    "authenticate_slow",
    logging.WARNING,
    "authenticate took longer than %(seconds)g s over a client from %(address)s",
    ("address", "seconds"),
    "the hook took longer than `handshake_seconds`, and was cancelled",
)

NOT_TOLD = LogEvent(
    "not_told",
    logging.ERROR,
    "client %(sid)s cannot be told that its credentials expire",
    ("sid",),
    "the application's codec has no form for the event `expiring`",
)
PRESENCE_NOT_TOLD = LogEvent(
    "presence_not_told",
    logging.ERROR,
    "room %(room)s cannot be told who is there",
    ("room",),
    "the application's codec has no form for the event `presence`",
)

# -- the adapter and its server --------------------------------------------

NOT_RUNNING = LogEvent(
    "not_running",
    logging.ERROR,
    "a client was refused: the adapter is not running; pass it the lifespan scope, "
    "or enter adapter.running()",
    (),
    "a client came, but nobody has started the adapter; said once until it runs",
)
ADAPTER_FAILED = LogEvent(
    "adapter_failed",
    logging.ERROR,
    "the adapter has failed",
    (),
    "it could not be started, or what must not fail has failed too often",
)
READ_FAILED = LogEvent(
    "read_failed",
    logging.ERROR,
    "a message of %(sid)s could not be taken",
    ("sid",),
    "the codec raised something else than `BadFrame`; the client is disconnected",
)
WRITE_FAILED = LogEvent(
    "write_failed",
    logging.ERROR,
    "writing to %(path)s failed",
    ("path",),
    "the server raised what no server should; the client is given up",
)
HYPERCORN_UNTESTED = LogEvent(
    "hypercorn_untested",
    logging.WARNING,
    "hypercorn %(version)s is not the %(tested)sx this was tested with: "
    "WebSockets go by plain ASGI, slower",
    ("version", "tested"),
    "the fast path is for another hypercorn, and is not taken",
)
HYPERCORN_UNEXPECTED = LogEvent(
    "hypercorn_unexpected",
    logging.WARNING,
    "hypercorn is not as expected (%(cause)s): plain ASGI it is",
    ("cause",),
    "the fast path is not where it should be, and is not taken",
)
HYPERCORN_FAILED = LogEvent(
    "hypercorn_failed",
    logging.ERROR,
    "hypercorn has failed over one connection",
    (),
    "a client has made hypercorn raise, and lost its connection by it",
)
METRICS_FAILED = LogEvent(
    "metrics_failed",
    logging.ERROR,
    "the metrics could not be read",
    (),
    "a scrape has got nothing, for a fault of the adapter",
)

EVENTS = (
    CONNECTED,
    DISCONNECTED,
    REFUSED,
    REJECTED,
    KICKED,
    BANNED_FROM,
    UNBANNED,
    DRAINING,
    DRAINED,
    DRAIN_INCOMPLETE,
    CLIENT_TOO_SLOW,
    STRUCK_OUT,
    RATE_CLOSED,
    EXPIRED_OF,
    IDLE_FOR,
    UNANSWERED,
    NOT_IDENTIFIED,
    TOO_MANY_ACKS,
    HANDLER_FAILED,
    ACK_CALLBACK_FAILED,
    ON_DISCONNECT_FAILED,
    ON_DISCONNECT_SLOW,
    HANDLER_NOT_CANCELLED,
    AUTHENTICATE_FAILED,
    AUTHENTICATE_SLOW,
    NOT_TOLD,
    PRESENCE_NOT_TOLD,
    NOT_RUNNING,
    ADAPTER_FAILED,
    READ_FAILED,
    WRITE_FAILED,
    HYPERCORN_UNTESTED,
    HYPERCORN_UNEXPECTED,
    HYPERCORN_FAILED,
    METRICS_FAILED,
)
"""All of them, in the order of the docs."""
