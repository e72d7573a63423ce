"""Shield: bounds for what hypercorn 0.18 does before an adapter hears of it.

Any client can make it raise, which ends its Trio worker; inflate a few bytes to
many megabytes; or take tiny frames, and answer pings, without ever letting others
have their turn.  Like the wire this is private API of hypercorn; where it is not
as it was, nothing is done.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any, final

from anyio.lowlevel import checkpoint

from ._events import HYPERCORN_FAILED
from ._inflate import bound_inflating
from ._tested import TESTED, found

# Bytes of what has come that are read in one go: some 300 of the smallest frames,
# which take 10 to 20 ms.
_SIP = 2048


def _split(value: bytes) -> list[str]:
    # hypercorn's own takes nothing but ASCII, and raises.
    return [piece.strip() for piece in value.decode("latin-1").split(",")]


def mend_hypercorn() -> None:
    """See to it that no handshake makes it raise; and if one does, that it lives.

    Doing so twice is fine; where it does not run, or is another version, nothing
    is done.
    """
    if not found().startswith(TESTED):
        return
    streams: Any = sys.modules.get("hypercorn.protocol.ws_stream")
    if hasattr(streams, "split_comma_header"):
        streams.split_comma_header = _split
    server: Any = getattr(
        sys.modules.get("hypercorn.trio.tcp_server"), "TCPServer", None
    )
    run: Callable[[Any], Awaitable[None]] | None = getattr(server, "run", None)
    if run is not None and not hasattr(run, "__wrapped__"):
        server.run = _contained(run)


def _contained(run: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Any]:
    """*run*, of one connection, that does not end all the others."""

    @wraps(run)
    async def contained(server: Any) -> None:
        try:
            await run(server)
        except Exception as error:
            HYPERCORN_FAILED.log(error)

    return contained


@final
class Sips:
    """In place of a WebSocket stream's ``handle``: a little at a time.

    Between, everybody else has a turn.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __call__(self, event: Any) -> None:
        """Handle *event*, of what has come."""
        stream = self._stream
        handle: Callable[[Any, Any], Awaitable[None]] = stream.__class__.handle
        data: bytes | None = getattr(event, "data", None)
        if data is None or len(data) <= _SIP:
            await handle(stream, event)
            return
        at = 0
        while at < len(data):
            sip = max(_SIP, self._expected())
            await handle(stream, type(event)(event.stream_id, data[at : at + sip]))
            at += sip
            await checkpoint()

    def _expected(self) -> int:
        """What is still to come of a frame that has begun: cheap, however long."""
        with suppress(AttributeError):
            decoder = self._stream.connection._proto._frame_decoder
            if decoder.header is not None:
                left: int = decoder.header.payload_len - decoder.payload_consumed
                return left
        return 0


def bound_stream(stream: Any, max_bytes: int) -> None:
    """Before the accept: bound what one message of *stream* costs to read."""
    stream.handle = Sips(stream)
    handshake = stream.handshake
    accept = handshake.accept

    def accepting(*words: Any) -> Any:
        answer = accept(*words)
        for extension in answer[2]._proto.extensions:
            if extension.enabled():
                bound_inflating(extension, max_bytes)
        return answer

    handshake.accept = accepting
