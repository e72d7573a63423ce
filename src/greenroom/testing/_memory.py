"""A transport within one process, and the faults that real peers show."""

from __future__ import annotations

from collections import deque
from typing import final

import anyio
from anyio.lowlevel import checkpoint

from ..adapter import Bundle, Frame, Message, Transport, TransportClosed

DEFAULT_MAX_FRAMES = 16


class Refused(Exception):
    """The handshake was refused.

    Attributes:
        status: The HTTP status it was refused with.
        reason: The word that came with it.
    """

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(f"the connection was refused with {status} {reason}".strip())
        self.status = status
        self.reason = reason


def try_one_by_one(transport: Transport, bundle: Bundle[Message]) -> int:
    """`Transport.try_send_all` for a transport that has nothing to gain from it."""
    taken = 0
    for message in bundle.messages:
        if transport.unsent or not transport.try_send(message):
            break
        taken += 1
    return taken


@final
class MemoryTransport:
    """A `Transport` whose other end, `peer`, is in the same process.

    Bounded both ways, as TCP is: who sends more than the other side reads has
    to wait.

    Args:
        max_frames: How many frames may be on their way, each way.
    """

    def __init__(self, max_frames: int = DEFAULT_MAX_FRAMES) -> None:
        self._inbound = _Pipe(max_frames)
        self._outbound = _Pipe(max_frames)
        self._faults = _Faults()
        self.peer: MemoryPeer = MemoryPeer(self._inbound, self._outbound, self._faults)

    async def accept(self, subprotocol: str | None = None) -> None:
        """See `Transport`."""
        await checkpoint()
        self._inbound.raise_if_ended()
        self.peer.subprotocol = subprotocol
        self.peer.opened.set()

    async def refuse(self, status: int, reason: str = "") -> None:
        """See `Transport`."""
        await checkpoint()
        self.peer.refused = status
        self.peer.refused_reason = reason
        self.peer.opened.set()

    async def receive(self) -> Frame:
        """See `Transport`."""
        return await self._inbound.get()

    async def send(self, frame: Frame) -> None:
        """See `Transport`."""
        if self._faults.silent:
            return
        if self._faults.error is not None:
            raise self._faults.error
        await self._faults.wait()
        await self._outbound.put(frame)

    @property
    def direct(self) -> bool:
        """See `Transport`."""
        return True

    def try_send(self, message: Message) -> bool:
        """See `Transport`."""
        return not self._faults.any() and self._outbound.try_put(message.frame)

    async def divert(self, listener: object) -> bool:
        """See `Transport`: there is no server that could."""
        return False

    def try_send_all(self, bundle: Bundle[Message]) -> int:
        """See `Transport`."""
        return try_one_by_one(self, bundle)

    @property
    def stopping(self) -> None:
        """See `Transport`: there is no server that could."""

    @property
    def unsent(self) -> bool:
        """See `Transport`: a frame is taken whole."""
        return False

    async def flush(self) -> None:
        """See `Transport`."""

    async def linger(self, seconds: float) -> None:
        """See `Transport`: there is nothing left of it."""

    async def close(self, code: int, reason: str) -> None:
        """See `Transport`."""
        if self._outbound.ended is None:
            await self._faults.wait()
            await self._outbound.put_end(TransportClosed(code, reason))

    def abort(self) -> None:
        """See `Transport`."""
        self.peer.aborted = True
        self._outbound.end(TransportClosed(1006), at_once=True)
        self._inbound.end(TransportClosed(1006), at_once=True)


@final
class MemoryPeer:
    """The far end of a `MemoryTransport`: the client, seen from below.

    Attributes:
        opened: Set when the server has accepted or refused.
        refused: The HTTP status it refused with.
        refused_reason: The word that came with it.
        subprotocol: The one it has agreed to.
        aborted: Whether the server has dropped the connection without a word.
    """

    def __init__(self, to_server: _Pipe, from_server: _Pipe, faults: _Faults) -> None:
        self._to_server = to_server
        self._from_server = from_server
        self._faults = faults
        self.opened: anyio.Event = anyio.Event()
        self.refused: int | None = None
        self.refused_reason: str = ""
        self.subprotocol: str | None = None
        self.aborted = False

    async def wait_opened(self) -> None:
        """Wait until the server has accepted.

        Raises:
            Refused: It has not.
        """
        await self.opened.wait()
        if self.refused is not None:
            raise Refused(self.refused, self.refused_reason)

    async def send(self, frame: Frame) -> None:
        """Send *frame* to the server; wait while that reads nothing.

        Raises:
            TransportClosed: The connection is closed, by either side.
        """
        await self._to_server.put(frame)

    async def receive(self) -> Frame:
        """Wait for the server's next frame.

        Raises:
            TransportClosed: There will be none; says with which code it closed.
        """
        try:
            return await self._from_server.get()
        except TransportClosed as closed:
            # A peer that has read the goodbye answers it.
            self._to_server.end(closed)
            raise

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; what was sent before still reaches the server."""
        self._to_server.end(TransportClosed(code, reason))
        self._from_server.end(TransportClosed(code, reason), at_once=True)

    # -- faults ------------------------------------------------------------

    def drop(self, *, silent: bool = False) -> None:
        """Be gone without a word.

        Args:
            silent: Let the server's sends go nowhere, without an error and
                without yielding, as hypercorn does; else they raise.
        """
        self._faults.silent = silent
        self.unstall()
        self._to_server.end(TransportClosed(1006), at_once=True)
        self._from_server.end(TransportClosed(1006), at_once=True)

    def stall(self, *, shielded: bool = False) -> None:
        """Let every send of the server hang from now on, until `unstall`.

        Args:
            shielded: Sends cannot be cancelled, as on hypercorn's trio worker.
        """
        self._faults.stall(shielded)

    def unstall(self) -> None:
        """Let the server's sends go on."""
        self._faults.flowing.set()

    def fail_sends(self, error: Exception) -> None:
        """Let every send of the server raise *error* from now on."""
        self._faults.error = error


@final
class _Faults:
    """What is wrong with a peer, for the transport to look at."""

    def __init__(self) -> None:
        self.silent = False
        self.error: Exception | None = None
        self.flowing: anyio.Event = anyio.Event()
        self.flowing.set()
        self._shielded = False

    def any(self) -> bool:
        return self.silent or self.error is not None or not self.flowing.is_set()

    def stall(self, shielded: bool) -> None:
        if self.flowing.is_set():
            self.flowing = anyio.Event()
        self._shielded = shielded

    async def wait(self) -> None:
        with anyio.CancelScope(shield=self._shielded):
            await self.flowing.wait()


@final
class _Pipe:
    """Frames one way, bounded, with an end."""

    def __init__(self, max_frames: int) -> None:
        self._max_frames = _check_max_frames(max_frames)
        self._frames: deque[Frame] = deque()
        # Made by who waits, and not by who notifies: under trio-asyncio the two
        # may be tasks of different kinds.
        self._changed: anyio.Event | None = None
        self.ended: TransportClosed | None = None

    def raise_if_ended(self) -> None:
        if self.ended is not None:
            raise TransportClosed(self.ended.code, self.ended.reason)

    async def put(self, frame: Frame) -> None:
        await checkpoint()
        while not self.try_put(frame):
            self.raise_if_ended()
            await self._wait()

    def try_put(self, frame: Frame) -> bool:
        if self.ended is not None or len(self._frames) >= self._max_frames:
            return False
        self._frames.append(frame)
        self._notify()
        return True

    async def put_end(self, closed: TransportClosed) -> None:
        """End it; a goodbye needs room like any frame."""
        while self.ended is None and len(self._frames) >= self._max_frames:
            await self._wait()
        self.end(closed)

    async def get(self) -> Frame:
        await checkpoint()
        while not self._frames:
            self.raise_if_ended()
            await self._wait()
        self._notify()
        return self._frames.popleft()

    def end(self, closed: TransportClosed, *, at_once: bool = False) -> None:
        """Take no more frames; with *at_once*, lose those on their way too."""
        if at_once:
            self._frames.clear()
        if self.ended is None:
            self.ended = closed
        self._notify()

    async def _wait(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()


def _check_max_frames(max_frames: object) -> int:
    if not isinstance(max_frames, int) or isinstance(max_frames, bool):
        raise TypeError(f"max_frames must be an int, got {max_frames!r}")
    if max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, got {max_frames!r}")
    return max_frames
