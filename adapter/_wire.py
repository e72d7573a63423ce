"""The wire: a client's TCP connection, written to past ASGI.

ASGI has no words for "write this if you can do so at once", and none for "drop this
client".  Where there is a way into hypercorn (see `_hypercorn`), both can be done
all the same.

The law: a frame is written whole, or its rest before anything else, hypercorn's
own pongs and closes included.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Protocol, final

from ._baton import Baton
from ._frames import WINDOW_BITS, Bundle, Message
from ._hypercorn import (
    innermost,
    is_unexpected,
    protocol_of,
    server_of,
    stream_of,
)
from ._multiplexed import reset
from ._transport import TransportClosed

# Bytes that asyncio may still hold of what was written before.  uvloop writes
# only when the loop turns, so with none at all it would never be direct.
_BUFFERED = 16 * 1024

# What has to be taken of that before it may be written again.
_LITTLE = 1024

# What the kernel takes for a number.
_MOST = 2**31 - 1

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
        _cut_asyncio(self._transport)


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
        _cut_trio(self._tcp)


def even_out(send: object) -> None:
    """Have a write wait until a little is taken, and not until nearly all is.

    Else who reads steadily but slowly would count as stalled.  Of asyncio's own
    marks the upper is 64 kB and the lower 16.  And the kernel takes megabytes, and
    then says for as long that there is no room, until a third of it is free; told
    like this, as Trio tells it, it keeps no more than that unsent.
    """
    server = server_of(stream_of(innermost(send)))
    if not hasattr(server, "writer"):
        return
    try:
        transport = server.writer.transport
        sock = transport.get_extra_info("socket")
        # The client may have gone, which with uvloop is a RuntimeError.
        with suppress(RuntimeError):
            transport.set_write_buffer_limits(_BUFFERED, _BUFFERED - _LITTLE)
    except AttributeError as error:
        is_unexpected(error)
    else:
        _set(sock, "TCP_NOTSENT_LOWAT", _BUFFERED)


def _expire(sock: Any, seconds: float) -> None:
    # 0 would be for ever.
    _set(sock, "TCP_USER_TIMEOUT", max(1, min(int(seconds * 1000), _MOST)))


def _set(sock: Any, option: str, value: int) -> None:
    # Not every system has each.  The socket may be closed already, which with uvloop
    # is a ValueError.
    with suppress(AttributeError, OSError, ValueError):
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _reset_on_close(sock: Any) -> None:
    if sock is None:
        return  # TLS on asyncio, when the connection is lost
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
    protocol = protocol_of(stream)
    protocol.connection.h11_connection = None
    protocol.can_read = _UNHEARD
    stream.handshake = _SHAKEN


def find_wire(send: object) -> Wire | None:
    """The way past *send*, of a WebSocket that has been accepted."""
    stream = stream_of(send)
    server = server_of(stream)
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
        is_unexpected(error)
        return None
    return wire


def drop(send: object) -> None:
    """Drop the client behind *send*, where there is a way but no wire.

    That is with TLS on Trio, behind middleware, and with HTTP/2.
    """
    stream = stream_of(innermost(send))
    try:
        reset(stream, _cut)
        _cut(server_of(stream))
    except AttributeError as error:
        is_unexpected(error)


def _cut(server: Any) -> None:
    """Drop a TCP connection of hypercorn's."""
    if hasattr(server, "writer"):
        _cut_asyncio(server.writer.transport)
    elif server is not None:
        _cut_trio(getattr(server.stream, "transport_stream", server.stream))


def _cut_asyncio(transport: Any) -> None:
    _reset_on_close(transport.get_extra_info("socket"))
    transport.abort()


def _cut_trio(tcp: Any) -> None:
    _reset_on_close(tcp.socket)
    tcp.socket.close()
