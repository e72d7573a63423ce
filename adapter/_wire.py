"""The wire: stock hypercorn's TCP connection, reached from its ASGI ``send``.

ASGI has no words for "write this if you can do so at once", for "drop this
client", and for "the server has been told to stop".  hypercorn hands the app bound
methods: from the owner of ``send`` there is a way to all three.  That way is
private API of hypercorn, so it is walked in this file only, and only where every
step is what this was written for, hypercorn 0.18 and WebSocket over HTTP/1.1.
Everywhere else `find_wire` is None, and plain ASGI does it.

The law: a frame is written whole, or its rest before anything else, hypercorn's
own pongs and closes included.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import FunctionType, SimpleNamespace
from typing import Any, Protocol, final

import anyio
from anyio.lowlevel import checkpoint

from ._baton import Baton
from ._events import HYPERCORN_UNEXPECTED, HYPERCORN_UNTESTED
from ._frames import WINDOW_BITS, Bundle, Message
from ._pieces import Pieces
from ._shield import bound_stream
from ._tested import TESTED, found
from ._transport import Stopping, TransportClosed

# Bytes that asyncio may still hold of what was written before.  uvloop writes
# only when the loop turns, so with none at all it would never be direct.
_BUFFERED = 16 * 1024

# After an ordinary close the kernel goes on for minutes with what it holds for a
# peer that takes nothing.  To linger for no time at all is to reset.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Wire(Protocol):
    """A way to the socket, past ASGI."""

    @property
    def unsent(self) -> bool:
        """Whether there is a rest of what was taken, which `flush` writes."""
        ...

    def try_write(self, message: Message) -> bool:
        """Take *message* without waiting; False if that cannot be."""
        ...

    def try_write_all(self, bundle: Bundle[Message]) -> int:
        """Take messages without waiting; return how many were taken."""
        ...

    async def write(self, message: Message) -> None:
        """Write *message*, waiting for the peer.

        Raises:
            TransportClosed: It cannot be written any more.
        """
        ...

    async def flush(self) -> None:
        """Write the rest of what was taken.

        Raises:
            TransportClosed: It cannot be written any more.
        """
        ...

    async def settle(self) -> None:
        """Wait until the kernel has all that was written, and TLS is closed."""
        ...

    def expire(self, seconds: float) -> None:
        """Have the kernel give up on a peer that takes nothing for so long."""
        ...

    def abort(self) -> None:
        """Drop the TCP connection."""
        ...


class _Stream:
    """What both loops have in common: hypercorn's WebSocket stream."""

    __slots__ = ("_deflates", "_open", "_proto")

    def __init__(self, stream: Any) -> None:
        from wsproto.connection import ConnectionState

        self._proto = stream.connection
        self._open = ConnectionState.OPEN
        self._deflates = _deflates(self._proto)

    @property
    def _closed(self) -> bool:
        # Nothing may follow a close frame, whoever sent it.
        return self._proto.state is not self._open

    def _bytes_of(self, message: Message | Bundle[Message]) -> bytes:
        return message.deflated() if self._deflates else message.plain()


@final
class _AsyncioWire(_Stream):
    """asyncio's transport never takes half a frame: it buffers the rest."""

    __slots__ = ("_buffered", "_transport", "_writer")

    unsent = False

    def __init__(self, stream: Any, writer: Any) -> None:
        super().__init__(stream)
        self._writer = writer
        self._transport = writer.transport
        self._buffered: Callable[[], int] = self._transport.get_write_buffer_size

    def try_write(self, message: Message | Bundle[Message]) -> bool:
        if self._closed or self._transport.is_closing():
            return False
        if self._buffered() > _BUFFERED:
            return False
        self._transport.write(self._bytes_of(message))
        return True

    def try_write_all(self, bundle: Bundle[Message]) -> int:
        return len(bundle.messages) if self.try_write(bundle) else 0

    async def write(self, message: Message) -> None:
        if self._closed or self._transport.is_closing():
            raise TransportClosed(1006)
        self._transport.write(self._bytes_of(message))
        try:
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise TransportClosed(1006, str(error)) from error

    async def flush(self) -> None:
        """Nothing: there is never a rest."""

    async def settle(self) -> None:
        with suppress(OSError, RuntimeError):
            if self._buffered():
                self._transport.set_write_buffer_limits(0)
                await self._writer.drain()
            tls = self._transport.get_extra_info("ssl_object")
            if tls is not None and self._transport.is_closing():
                # The peer has a part in it, for which asyncio waits 30 seconds.
                await self._writer.wait_closed()

    def expire(self, seconds: float) -> None:
        _expire(self._transport.get_extra_info("socket"), seconds)

    def abort(self) -> None:
        _reset_on_close(self._transport.get_extra_info("socket"))
        self._transport.abort()


@final
class _TrioWire(_Stream):
    """Trio's socket, written to without Trio where it has room at once."""

    __slots__ = ("_baton", "_rest", "_tcp")

    def __init__(self, stream: Any, server: Any) -> None:
        super().__init__(stream)
        self._tcp = server.stream
        # In place of hypercorn's lock, for the task that has begun to write need
        # not be the one to end it.
        self._baton = server.send_lock = Baton()
        self._rest: bytes = b""

    @property
    def unsent(self) -> bool:
        return bool(self._rest)

    def try_write(self, message: Message) -> bool:
        data = self._bytes_of(message)
        taken = self._write_some(data)
        if 0 < taken < len(data):
            self._keep(data[taken:])
        return taken > 0

    def try_write_all(self, bundle: Bundle[Message]) -> int:
        data = self._bytes_of(bundle)
        taken = self._write_some(data)
        if taken == len(data):
            return len(bundle.messages)
        # Of those that follow the one that was cut, nothing has gone.
        number = 0
        while taken > 0:
            frame = self._bytes_of(bundle.messages[number])
            if taken < len(frame):
                self._keep(frame[taken:])
            taken -= len(frame)
            number += 1
        return number

    def _write_some(self, data: bytes) -> int:
        """Write what there is room for; return how much of it that was."""
        if self._baton.taken or self._closed:
            return 0
        try:
            # By number: -1 once it is closed.
            return os.write(self._tcp.socket.fileno(), data)
        except OSError:
            # No room, or nobody there: who waits for it will see.
            return 0

    def _keep(self, rest: bytes) -> None:
        self._baton.taken = True
        self._rest = rest

    async def write(self, message: Message) -> None:
        await self._baton.take()
        if self._closed:
            self._baton.put_down()
            raise TransportClosed(1006)
        self._rest = self._bytes_of(message)
        await self.flush()

    async def flush(self) -> None:
        if not self._rest:
            return
        import trio

        try:
            await self._tcp.send_all(self._rest)
        except trio.Cancelled:
            # Nobody knows how much of it is out.
            self.abort()
            raise
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise TransportClosed(1006, str(error)) from error
        finally:
            self._rest = b""
            self._baton.put_down()

    async def settle(self) -> None:
        """Nothing: what is written is with the kernel."""

    def expire(self, seconds: float) -> None:
        _expire(self._tcp.socket, seconds)

    def abort(self) -> None:
        _reset_on_close(self._tcp.socket)
        self._tcp.socket.close()


def _expire(sock: Any, seconds: float) -> None:
    # Only Linux has it; 0 would be for ever.  The socket may be closed already,
    # which with uvloop is a ValueError.
    with suppress(AttributeError, OSError, ValueError):
        option = socket.TCP_USER_TIMEOUT
        sock.setsockopt(socket.IPPROTO_TCP, option, max(1, int(seconds * 1000)))


def _reset_on_close(sock: Any) -> None:
    # It may be closed already, which with uvloop is a ValueError.
    with suppress(OSError, ValueError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _deflates(proto: Any) -> bool:
    """Whether what `Message` compresses can be read at the other end."""
    return any(
        extension.name == "permessage-deflate"
        and extension.enabled()
        and extension.server_max_window_bits >= WINDOW_BITS
        for extension in proto._proto.extensions
    )


def _innermost(send: object) -> object:
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


def _stream_of(send: object) -> Any:
    """hypercorn's WebSocket stream, if *send* is its own."""
    stream = getattr(send, "__self__", None)
    if type(stream).__module__ != "hypercorn.protocol.ws_stream" or not _is_known():
        return None
    return stream


def _server_of(stream: Any) -> Any:
    """hypercorn's TCP connection behind *stream*; None for HTTP/2."""
    protocol = getattr(getattr(stream, "send", None), "__self__", None)
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


class _Unheard:
    """An event that nobody will ever wait for."""

    async def set(self) -> None:
        """Nobody hears it."""


_UNHEARD = _Unheard()
_SHAKEN = SimpleNamespace(accepted=True)


def _forget_http(stream: Any) -> None:
    """Let go of what is of no use to a WebSocket any more, 1.7 to 2.5 kB.

    Of the HTTP connection hypercorn asks nothing once it is upgraded, of the
    handshake only whether it is done; `can_read` waits for a second request.
    """
    protocol = stream.send.__self__
    protocol.connection.h11_connection = None
    protocol.can_read = _UNHEARD
    stream.handshake = _SHAKEN


def find_wire(send: object) -> Wire | None:
    """The way past *send*, of a WebSocket that has been accepted."""
    global _known
    stream = _stream_of(send)
    server = _server_of(stream)
    if server is None:
        return None
    wire: Wire
    try:
        if stream.closed:
            # Its client left first: hypercorn has ignored the accept.
            return None
        if hasattr(server, "writer"):
            wire = _AsyncioWire(stream, server.writer)
        # With TLS there is no writing without Trio; and what is being written
        # must come to its end first.
        elif hasattr(server.stream, "socket") and not server.send_lock.locked():
            wire = _TrioWire(stream, server)
            # Of the time before the request; on Trio nobody stops it twice.
            server.idle_task = None
        else:
            return None
        _forget_http(stream)
    except AttributeError as error:
        _known = False
        HYPERCORN_UNEXPECTED.log(cause=str(error))
        return None
    return wire


class Queue:
    """hypercorn's queue of messages for one app, which need not go through it."""

    __slots__ = ("_source", "_stream")

    def __init__(self, source: Any, stream: Any) -> None:
        self._source = source
        self._stream = stream

    @property
    def in_use(self) -> bool:
        """Whether something waits in it, or nothing more will come."""
        source = self._source
        if hasattr(source, "qsize"):
            waiting: int = source.qsize()
        else:
            waiting = source.statistics().current_buffer_used
        return waiting > 0 or bool(self._stream.closed)

    def divert(self, take: Callable[[Any], Awaitable[None]]) -> None:
        """Have what comes from now on taken by *take*, and let the queue go."""
        self._stream.app_put = take
        # hypercorn holds the queue as long as its app runs: 1 to 3 kB of nothing.
        vars(self._source).clear()


def find_queue(receive: object, send: object) -> Queue | None:
    """The queue between *receive* and hypercorn, if both ends are its own."""
    stream = _stream_of(send)
    # Streams of one connection wait for one another: that is what the queue is for.
    if _server_of(stream) is None:
        return None
    source = getattr(receive, "__self__", None)
    if type(source).__module__ not in ("asyncio.queues", "trio"):
        return None
    return Queue(source, stream)


def drop(send: object) -> None:
    """Drop the TCP connection behind *send*, where there is a way but no wire.

    That is with TLS on Trio, and behind middleware.
    """
    server = _server_of(_stream_of(_innermost(send)))
    if hasattr(server, "writer"):
        _reset_on_close(server.writer.get_extra_info("socket"))
        server.writer.transport.abort()
    elif server is not None:
        sock = getattr(server.stream, "transport_stream", server.stream).socket
        _reset_on_close(sock)
        sock.close()


def spare_window(send: object) -> None:
    """Before the accept: agree that the client compresses each message by itself.

    Else a window of 32 kB is kept for each client that has compressed one.  A
    server may demand it of every client (RFC 7692, section 7.1.1.2).
    """
    handshake: Any = getattr(_stream_of(_innermost(send)), "handshake", None)
    offers: list[str] | None = getattr(handshake, "extensions", None)
    if offers:
        each_by_itself = "; client_no_context_takeover"
        handshake.extensions = [offer + each_by_itself for offer in offers]


def bound_messages(send: object, max_bytes: int) -> None:
    """Before the accept: keep no more of a message than somebody reads."""
    stream = _stream_of(_innermost(send))
    limit: int | None = getattr(getattr(stream, "buffer", None), "max_length", None)
    if limit is not None:
        stream.buffer = Pieces(max_bytes, limit)
        with suppress(AttributeError):
            bound_stream(stream, max_bytes)


def find_stopping(send: object) -> Stopping | None:
    """What is set when hypercorn has been told to stop."""
    context = getattr(_stream_of(_innermost(send)), "context", None)
    return getattr(context, "terminated", None)


async def may_accept(send: object) -> bool:
    """Whether hypercorn has not begun to answer with an error of its own.

    It does when bytes follow the handshake before it is accepted.  An accept
    after that breaks its HTTP connection, which kills the Trio worker; so does to
    return before it has done.
    """
    stream = _stream_of(_innermost(send))
    protocol = getattr(getattr(stream, "send", None), "__self__", None)
    connection = getattr(getattr(protocol, "connection", None), "h11_connection", None)
    if connection is None:
        return True
    import h11

    if connection.our_state is h11.SEND_RESPONSE:
        return True
    with anyio.move_on_after(1):
        while not stream.closed:
            await checkpoint()
    return False
