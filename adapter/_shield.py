"""Shield: bounds for what hypercorn 0.18 does before an adapter hears of it.

Any client can make it raise, which ends its Trio worker; inflate a few bytes to
many megabytes; or take tiny frames, and answer pings, without ever letting others
have their turn, or telling anybody.  Like the wire this is private API of
hypercorn; where it is not as it was, nothing is done.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any, final

from anyio.lowlevel import checkpoint

from ._asides import Aside, Asides, wants_asides
from ._events import HYPERCORN_FAILED
from ._inflate import bound_inflating
from ._tested import TESTED, found
from ._transport import TransportClosed

# Bytes of what has come that are read in one go: some 80 of the smallest frames,
# which take a millisecond or two.  Of a client that is told to go nobody hears any
# more, and it may be one of hundreds that are still sending.
_SIP = 512
_LAST_SIP = 64


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

    Between, everybody else has a turn; and its app is told what has come beside
    messages, which may make it wait.

    Attributes:
        asides: What has come, where it counts.
    """

    __slots__ = ("_stream", "asides")

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.asides: Asides | None = None

    async def __call__(self, event: Any) -> None:
        """Handle *event*, of what has come."""
        stream = self._stream
        handle: Callable[[Any, Any], Awaitable[None]] = stream.__class__.handle
        data: bytes | None = getattr(event, "data", None)
        if data is None:
            await handle(stream, event)
            return
        at, end = 0, len(data)
        while True:
            sip = self._sip(end - at)
            part = event
            if at or sip < end:
                part = type(event)(event.stream_id, data[at : at + sip])
            await handle(stream, part)
            if (aside := self._aside()) is not None:
                await self._tell(aside)
            at += sip
            if at >= end:
                return
            await checkpoint()

    def _sip(self, left: int) -> int:
        """How much of the bytes that are *left* is read now."""
        if left <= _LAST_SIP:
            return left
        connection = getattr(self._stream, "connection", None)
        state = getattr(connection, "state", None)
        going = getattr(state, "name", "") == "LOCAL_CLOSING"
        sip = _LAST_SIP if going else _SIP
        return left if left <= sip else max(sip, self._expected())

    def _expected(self) -> int:
        """What is still to come of a frame that has begun: cheap, however long."""
        with suppress(AttributeError):
            decoder = self._stream.connection._proto._frame_decoder
            if decoder.header is not None:
                left: int = decoder.header.payload_len - decoder.payload_consumed
                return left
        return 0

    def _aside(self) -> Aside | None:
        """What the last sip had beside messages; None for nothing."""
        stream, asides = self._stream, self.asides
        if stream.buffer.endless:
            aside = Aside(0, 0, endless=True)
        elif asides is not None and asides.come:
            aside = Aside(*asides.take())
        else:
            return None
        # Who has gone has been reported, and nothing may follow that.
        return None if stream.closed else aside

    async def _tell(self, aside: Aside) -> None:
        message = {"type": "websocket.receive", "bytes": aside, "text": None}
        await self._stream.app_put(message)


def bound_stream(stream: Any, max_bytes: int) -> None:
    """Before the accept: bound what one message of *stream* costs to read.

    Raises:
        TransportClosed: Its client has not waited; hypercorn would ignore the
            accept.
    """
    if stream.closed:
        raise TransportClosed(1006)
    sips = stream.handle = Sips(stream)
    handshake = stream.handshake
    accept = handshake.accept
    counts = wants_asides(stream.scope)

    def accepting(*words: Any) -> Any:
        answer = accept(*words)
        connection = answer[2]
        for extension in connection._proto.extensions:
            if extension.enabled():
                bound_inflating(extension, max_bytes, stream.buffer.skip)
        if counts:
            sips.asides = connection.events = Asides(connection, max_bytes)
        return answer

    handshake.accept = accepting
