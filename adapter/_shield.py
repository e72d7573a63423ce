"""Shield: bounds for what hypercorn 0.18 does before an adapter hears of it.

Any client can make it raise, which ends its Trio worker; inflate a few bytes to
many megabytes; or take tiny frames, and answer pings, without ever letting others
have their turn, or telling anybody.  Like the wire this is private API of
hypercorn, and of what it is built on; where it is not as it was, that is said in the
log, and nothing more is done.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, final

from anyio.lowlevel import checkpoint

from ._asides import Aside, Asides, wants_asides
from ._events import HYPERCORN_FAILED
from ._hypercorn import innermost, is_unexpected, stream_of
from ._inflate import bound_inflating
from ._mending import Method, mend
from ._multiplexed import mend_stream
from ._pieces import Pieces
from ._tested import TESTED, found
from ._transport import TransportClosed
from ._unheard import UNHEARD, count_unheard

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
    stream = "hypercorn.protocol.ws_stream", "WSStream"
    mend(*stream, "_send_error_response", _said_once)
    mend("hypercorn.trio.tcp_server", "TCPServer", "run", _contained)
    count_unheard()


def _said_once(answer: Method) -> Method:
    """*answer*, hypercorn's own to a bad handshake, and the last of the connection.

    Nobody else answers too; and it does not stay open for as long as the client
    likes, beyond all limits.
    """

    from hypercorn.protocol.events import StreamClosed

    async def said_once(stream: Any, status: int) -> None:
        if status not in (400, 404):  # not of its own accord
            await answer(stream, status)
            return
        # Else its app answers as well, between head and end of this.
        stream.closed = True
        UNHEARD.malformed += 1
        await answer(stream, status)
        await stream.send(StreamClosed(stream_id=stream.stream_id))

    return said_once


def _contained(run: Method) -> Method:
    """*run*, of one connection, that does not end all the others."""

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
        # There is none before the accept.
        connection = getattr(self._stream, "connection", None)
        state = getattr(connection, "state", None)
        going = getattr(state, "name", "") == "LOCAL_CLOSING"
        sip = _LAST_SIP if going else _SIP
        if left <= sip:
            return left
        return sip if connection is None else max(sip, _expected(connection))

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


def _expected(connection: Any) -> int:
    """What is still to come of a frame that has begun: cheap, however long."""
    try:
        decoder = connection._proto._frame_decoder
        if decoder.header is not None:
            left: int = decoder.header.payload_len - decoder.payload_consumed
            return left
    except AttributeError as error:
        is_unexpected(error)
    return 0


def bound_messages(send: object, max_bytes: int) -> None:
    """Before the accept: bound what one message of a client costs to read and keep.

    Raises:
        TransportClosed: The client has not waited; hypercorn would ignore the accept.
    """
    stream = stream_of(innermost(send))
    if stream is None:
        return
    try:
        stream.buffer = Pieces(max_bytes, stream.buffer.max_length)
        mend_stream(stream)
        bound_stream(stream, max_bytes)
    except AttributeError as error:
        is_unexpected(error)


def bound_stream(stream: Any, max_bytes: int) -> None:
    """Before the accept: bound what one message of *stream* costs to read.

    Raises:
        AttributeError: hypercorn is not as it was; then nothing was done.
        TransportClosed: Its client has not waited.
    """
    if stream.closed:
        raise TransportClosed(1006)
    sips = Sips(stream)
    handshake = stream.handshake
    accept = handshake.accept
    counts = wants_asides(stream.scope)

    def accepting(*words: Any) -> Any:
        answer = accept(*words)
        try:
            connection = answer[-1]
            for extension in connection._proto.extensions:
                if extension.enabled():
                    bound_inflating(extension, max_bytes, stream.buffer.skip)
            if counts:
                sips.asides = connection.events = Asides(connection, max_bytes)
        except AttributeError as error:
            is_unexpected(error)
        return answer

    handshake.accept = accepting
    stream.handle = sips
