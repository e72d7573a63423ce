"""Multiplexed: several WebSockets on one TCP connection (HTTP/2, RFC 8441).

The law: the other streams of a connection are innocent.  A client that takes
nothing loses its own stream; the connection goes with it only when that takes
nothing either, or when nobody else is on it.

Private API of hypercorn 0.18, and what it has of h2: like `_wire`, this is asked
only where hypercorn is the one that it was written for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, final

import anyio

from ._hypercorn import is_unexpected, protocol_of

# Bytes that wait for a window: from the first on, who sends waits too, until less
# than the second are left.  hypercorn's own figures.
_HIGH = 32 * 1024
_LOW = 16 * 1024

# Bytes of pings and pongs that may come on top.
_CONTROL = 4096

# A connection that has taken nothing for so many rounds of so many seconds takes
# nothing.  Not one round of them all: this process may have been the one that slept.
_ROUNDS = 4
_ROUND_SECONDS = 0.25


def _shared_by(stream: Any) -> Any:
    """hypercorn's HTTP/2 connection that *stream* is one of; None if it is not."""
    protocol = protocol_of(stream)
    return protocol if type(protocol).__name__ == "H2Protocol" else None


@final
class Backlog:
    """What waits for the window of a stream, in place of hypercorn's own buffer.

    That one lets its writer go on whenever little was taken out of it, nothing
    included: of whatever is sent to a client that takes nothing, it keeps all,
    and nobody ever waits.  It keeps what a stream that was reset has left.  And it
    does not end a stream whose client has closed its WebSocket: of those a client
    may have a hundred.
    """

    __slots__ = (
        "_complete",
        "_connection",
        "_control",
        "_emptied",
        "_room",
        "_stream_id",
        "_waiting",
    )

    def __init__(self, connection: Any, stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._waiting = bytearray()
        self._control = 0
        self._complete = False
        self._emptied = anyio.Event()
        # There while somebody waits for it.
        self._room: anyio.Event | None = None

    @property
    def complete(self) -> bool:
        """Whether all has gone, and nothing more will come."""
        return self._complete and not self._waiting

    def set_complete(self) -> None:
        """Nothing more will come."""
        self._complete = True

    async def drain(self) -> None:
        """Wait until all has gone."""
        await self._emptied.wait()

    async def close(self) -> None:
        """Let go of everything: it will never be sent."""
        self._complete = True
        self._waiting.clear()
        self._emptied.set()
        self._let_in()

    async def push(self, data: bytes) -> None:
        """Take a frame, and wait for the client if there is a lot already.

        Raises:
            BufferCompleteError: Nothing more was to come.
        """
        if self._complete:
            from hypercorn.protocol.h2 import BufferCompleteError

            raise BufferCompleteError
        opcode = data[0] & 0x0F
        # Of pings and pongs, only so many are owed to one who takes nothing.
        if opcode > 0x8 and len(self._waiting) >= _HIGH:
            self._control += len(data)
            if self._control > _CONTROL:
                return
        if self._emptied.is_set():
            self._emptied = anyio.Event()
        self._waiting += data
        # Nothing follows a close frame.
        self._complete = opcode == 0x8
        # Answers to control frames come from the task that reads for all streams,
        # the news that there is room included: it must not wait.
        while opcode < 0x8 and len(self._waiting) >= _HIGH:
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()

    async def pop(self, max_length: int) -> bytes:
        """Hand over up to *max_length* bytes."""
        stream = self._connection.streams.get(self._stream_id)
        if stream is None or stream.closed:
            # Its client has reset it.
            await self.close()
        data = bytes(self._waiting[:max_length])
        del self._waiting[:max_length]
        if not self._waiting:
            self._emptied.set()
        if len(self._waiting) < _LOW:
            self._control = 0
            self._let_in()
        return data

    def _let_in(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None


@final
class _Nobody:
    """Has what still comes for a stream that has gone."""

    async def handle(self, event: object) -> None:
        """Nothing: nobody hears it."""


_NOBODY = _Nobody()


@final
class _Streams(dict[int, Any]):
    """The streams of a connection, where asking for one that has gone is no error.

    hypercorn does so for whatever comes after a WebSocket's close frame, the end of
    its stream included, and for what it had read already when the stream was
    dropped: a KeyError then ends the connection.
    """

    def __missing__(self, stream_id: int) -> _Nobody:
        return _NOBODY


def mend_stream(stream: Any) -> None:
    """Before the accept: have who sends to *stream* wait for its client to take it.

    And have what a client does once it has said goodbye be no concern of others.
    """
    protocol = _shared_by(stream)
    if protocol is None:
        return
    try:
        backlog = Backlog(protocol.connection, stream.stream_id)
        # It may have been reset already.
        if stream.stream_id in protocol.stream_buffers:
            protocol.stream_buffers[stream.stream_id] = backlog
        _mend_streams(protocol)
    except AttributeError as error:
        is_unexpected(error)


def _mend_streams(protocol: Any) -> None:
    if not isinstance(protocol.streams, _Streams):
        protocol.streams = _Streams(protocol.streams)


def reset(stream: Any, cut: Callable[[Any], None]) -> None:
    """Drop the client of *stream*, if that is one of several, without waiting.

    Args:
        stream: hypercorn's WebSocket stream.
        cut: Drops hypercorn's TCP connection.
    """
    protocol = _shared_by(stream)
    if protocol is None:
        return
    try:
        if protocol.closed or stream.stream_id not in protocol.streams:
            return
        ending = _Ending(protocol, stream, cut)
        spawn = protocol.task_group.spawn
    except AttributeError as error:
        is_unexpected(error)
        return
    _spawn(spawn, ending.run)


def _spawn(spawn: Any, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have hypercorn *run* it, unless that ends what it runs just now."""
    begun: list[Coroutine[Any, Any, None]] = []

    def begin() -> Coroutine[Any, Any, None]:
        begun.append(run())
        return begun[0]

    try:
        spawn(begin)
    except (AttributeError, RuntimeError):
        # asyncio has been handed it, and will not say that it was never awaited.
        for coroutine in begun:
            coroutine.close()


@final
class _Ending:
    """The end of one stream of a connection, in a task of that connection."""

    __slots__ = (
        "_buffers",
        "_busy",
        "_cut",
        "_flush",
        "_gone",
        "_protocol",
        "_report",
        "_server",
        "_socket",
        "_stream",
        "_told",
        "_wake",
        "_written",
    )

    def __init__(self, protocol: Any, stream: Any, cut: Callable[[Any], None]) -> None:
        from h2.errors import ErrorCodes
        from h2.exceptions import ProtocolError
        from hypercorn.events import Updated
        from hypercorn.protocol.events import StreamClosed

        # All that is asked of hypercorn is found here, before anything is done.
        self._protocol = protocol
        self._stream = stream
        self._cut = cut
        self._buffers: dict[int, Any] = protocol.stream_buffers
        self._flush = protocol._flush
        self._wake = protocol._window_updated
        self._server = server = protocol.send.__self__
        self._written: Callable[[], int] | None = None
        if hasattr(server, "writer"):
            self._socket = server.writer.get_extra_info("socket")
            self._written = server.writer.transport.get_write_buffer_size
        else:
            tcp = getattr(server.stream, "transport_stream", server.stream)
            self._socket = tcp.socket
        self._told = False
        self._gone: Any = StreamClosed(stream_id=stream.stream_id)
        self._busy: Any = Updated(idle=False)
        self._report = protocol.stream_send
        reset_stream = protocol.connection.reset_stream

        # From here on, what comes for it is nobody's.
        _mend_streams(protocol)
        del protocol.streams[stream.stream_id]
        # It may have come to its end in order, but for us.
        with suppress(ProtocolError):
            reset_stream(stream.stream_id, ErrorCodes.CANCEL)

    async def run(self) -> None:
        """All that is left to do."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell)
            group.start_soon(self._forget)
            group.start_soon(self._watch)

    async def _tell(self) -> None:
        """Write the reset, after what is being written."""
        # hypercorn is told of most kinds of it by itself.
        with suppress(OSError):
            await self._flush()
        self._told = True

    async def _forget(self) -> None:
        """Have hypercorn forget the stream, as if its client had reset it."""
        stream_id: int = self._stream.stream_id
        buffer = self._buffers.get(stream_id)
        if buffer is not None:
            await buffer.close()
            # Its sending task finds that there is no such stream any more.
            await self._wake(stream_id)
        # That waits for room in the app's queue.
        await self._stream.handle(self._gone)
        if not self._protocol.closed:
            # For the timeout of a connection without streams.
            await self._report(self._gone)

    async def _watch(self) -> None:
        """Drop the connection if it takes nothing, or is of no use to anybody."""
        rounds, before = 0, self._held()
        while rounds < _ROUNDS:
            await anyio.sleep(_ROUND_SECONDS)
            if self._protocol.closed or (self._told and self._protocol.streams):
                return
            now = self._held()
            rounds = rounds + 1 if self._told or now == before else 0
            before = now
        self._cut(self._server)
        # Whoever waits there for room would wait for ever.
        for buffer in tuple(self._buffers.values()):
            await buffer.close()
        # Else that timeout is waited for, with all that belongs to the connection.
        await self._protocol.send(self._busy)

    def _held(self) -> tuple[int, bytes]:
        """What has been written and not taken: it changes when somebody reads."""
        unacknowledged = b""
        # Where the kernel tells, and while there is a socket.
        with suppress(ImportError, AttributeError, OSError, TypeError, ValueError):
            import fcntl
            import termios

            unacknowledged = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
        return self._written() if self._written else 0, unacknowledged
