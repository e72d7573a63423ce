"""Events: what the adapter writes to its log, each with a name and its fields.

The law: no payloads and no credentials; and all text that a client may have chosen
is quoted, escaped and cut, so that it can neither end a line nor move a cursor.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from typing import final

_log = logging.getLogger("greenroom.adapter")

_CUT = 64
_LINE = 500
# Of the lines of a traceback, so many from either end.
_LINES = 100

# Fields whose words are ours.  All other text may come from a client.
_OURS = frozenset({"cause", "kind", "path", "sid", "tested", "version"})


def shown(text: str) -> str:
    """*text* as it may stand in a log: quoted, escaped, and cut."""
    # Cut twice: a quotation costs as much as what is quoted, and may be longer.
    return f"{text[:_CUT]!r:.{_CUT}}"


@final
@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that is worth a line in the log.

    Attributes:
        name: What it is called in ``record.event``; it does not change.
        level: One of `logging`.
        text: For people, with the fields in it.
        fields: What there is of it in the record, besides.
        meaning: When it happens.
    """

    name: str
    level: int
    text: str
    fields: tuple[str, ...]
    meaning: str

    @property
    def enabled(self) -> bool:
        """Whether anybody wants to know: asked first where the fields cost time."""
        return _log.isEnabledFor(self.level)

    def log(self, error: BaseException | None = None, /, **fields: object) -> None:
        """Write it down, with the traceback of *error*."""
        if not _log.isEnabledFor(self.level):
            return
        extra: dict[str, object] = {
            name: shown(value)
            if isinstance(value, str) and name not in _OURS
            else value
            for name, value in fields.items()
        }
        extra["event"] = self.name
        file, line, function, _ = _log.findCaller(stacklevel=2)
        record = _log.makeRecord(
            _log.name,
            self.level,
            file,
            line,
            self.text,
            (extra,),
            None if error is None else (type(error), error, error.__traceback__),
            function,
            extra,
        )
        if error is not None:
            # What formatters show of it: its text may be a client's as well.
            record.exc_text = _traceback_of(error)
        _log.handle(record)


def _traceback_of(error: BaseException) -> str:
    """As Python has it; but all lines below the first are indented, and printable."""
    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    if len(lines) > 2 * _LINES:
        left_out = len(lines) - 2 * _LINES
        lines[_LINES:-_LINES] = [f"... {left_out} lines ..."]
    return "\n  ".join(_printable(line[:_LINE]) for line in lines)


def _printable(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


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
    ("address", "status", "reason"),
    "a handshake was refused",
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
UNANSWERED = LogEvent(
    "unanswered",
    logging.DEBUG,
    "client %(sid)s has not answered a ping",
    ("sid",),
    "a client is disconnected because it seems to be dead",
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
    "the hook raised, took too long, or returned what is no identity",
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
    DRAINING,
    DRAINED,
    DRAIN_INCOMPLETE,
    CLIENT_TOO_SLOW,
    UNANSWERED,
    TOO_MANY_ACKS,
    HANDLER_FAILED,
    ACK_CALLBACK_FAILED,
    ON_DISCONNECT_FAILED,
    ON_DISCONNECT_SLOW,
    HANDLER_NOT_CANCELLED,
    AUTHENTICATE_FAILED,
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
