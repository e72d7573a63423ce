"""The way into stock hypercorn: from the ASGI ``send`` that an app is handed.

That is a bound method, and from its owner there is a way to the WebSocket's stream,
to its connection and to the notice that the server is to stop.  It is private API,
so it is walked only where hypercorn is the one that this was written for, 0.18.
Everywhere else there is nothing at the end of it, and plain ASGI does; so it does
from the moment on at which anything there is not where it should be.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from ._events import HYPERCORN_UNEXPECTED, HYPERCORN_UNTESTED
from ._tested import TESTED, found
from ._transport import Stopping


def innermost(send: object) -> object:
    """The server's own, if *send* is what middleware has put around it.

    Where that calls it ``send``, as Starlette does: for all but writing, which
    must not pass by whoever wants to see it.
    """
    for _ in range(16):  # so deep at most: there may be circles
        if not isinstance(send, FunctionType) or send.__closure__ is None:
            break
        inner = dict(zip(send.__code__.co_freevars, send.__closure__, strict=True))
        if "send" not in inner:
            break
        send = inner["send"].cell_contents
    return send


def stream_of(send: object) -> Any:
    """hypercorn's WebSocket stream, if *send* is its own."""
    stream = getattr(send, "__self__", None)
    if type(stream).__module__ != "hypercorn.protocol.ws_stream" or not _is_known():
        return None
    return stream


def protocol_of(stream: Any) -> Any:
    """hypercorn's HTTP connection that *stream* is one of, or all there is of."""
    return getattr(getattr(stream, "send", None), "__self__", None)


def server_of(stream: Any) -> Any:
    """hypercorn's TCP connection behind *stream*; None for HTTP/2."""
    protocol = protocol_of(stream)
    # Several streams share one connection with HTTP/2.
    if type(protocol).__name__ != "H11Protocol":
        return None
    return getattr(getattr(protocol, "send", None), "__self__", None)


_known: bool | None = None


def _is_known() -> bool:
    """Whether hypercorn is the one that this was tested with; said once if not."""
    global _known
    if _known is None:
        _known = found().startswith(TESTED)
        if not _known:
            HYPERCORN_UNTESTED.log(version=found(), tested=TESTED)
    return _known


def is_unexpected(error: AttributeError) -> None:
    """What was looked for is not there: from now on go by plain ASGI; said once."""
    global _known
    if _known is not False:
        HYPERCORN_UNEXPECTED.log(cause=str(error))
    _known = False


def spare_window(send: object) -> None:
    """Before the accept: agree that the client compresses each message by itself.

    Else a window of 32 kB is kept for each client that has compressed one.  A
    server may demand it of every client (RFC 7692, section 7.1.1.2).
    """
    handshake: Any = getattr(stream_of(innermost(send)), "handshake", None)
    offers: list[str] | None = getattr(handshake, "extensions", None)
    if offers:
        each_by_itself = "; client_no_context_takeover"
        handshake.extensions = [offer + each_by_itself for offer in offers]


def find_stopping(send: object) -> Stopping | None:
    """What is set when hypercorn has been told to stop."""
    context = getattr(stream_of(innermost(send)), "context", None)
    return getattr(context, "terminated", None)


async def may_accept(send: object) -> bool:
    """Whether hypercorn has not begun to answer with an error of its own.

    It does when bytes follow the handshake before it is accepted.  An accept
    after that breaks its HTTP connection, which kills the Trio worker; so does to
    return before it has done.
    """
    stream = stream_of(innermost(send))
    held = getattr(protocol_of(stream), "connection", None)
    connection = getattr(held, "h11_connection", None)
    if connection is None:
        return True
    import h11

    if connection.our_state is h11.SEND_RESPONSE:
        return True
    with anyio.move_on_after(1):
        while not stream.closed:
            await checkpoint()
    return False
