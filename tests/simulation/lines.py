"""Transports that go wrong in every way, and what each of them has carried.

A `Line` is both ends of one connection: the transport that the adapter holds, and
the peer, who reads what comes in the same step unless its kind forbids.  It holds
the adapter to the contract of `Transport`: what is torn, written side by side or
after the goodbye goes to `Line.broken`.
"""

from __future__ import annotations

import enum
import json
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any, NoReturn, final

import anyio
from anyio.lowlevel import checkpoint

from greenroom.adapter import Bundle, Frame, Message, TransportClosed
from greenroom.testing._memory import try_one_by_one

# So many frames of the peer are on their way; for more of them it waits.
_ON_THE_WAY = 4

# Until the kernel gives a peer up that answers nothing.
KERNEL_SECONDS = 30.0


class Kind(enum.Enum):
    """How a peer behaves."""

    OK = "ok"
    """It takes all at once."""
    SLOW = "slow"
    """It takes a frame now and then."""
    HALF_DEAD = "half-dead"
    """From some frame on it takes nothing any more, and says nothing of it."""
    DROPPED = "dropped"
    """It vanishes, perhaps in the handshake."""
    RAISING = "raising"
    """Its transport raises what no transport should."""


@final
class Line:
    """One connection.

    Args:
        kind: How its peer behaves.
        chance: Decides what it does.
        stopping: Set when the server is told to stop, where it says so.

    Attributes:
        wire: Whether it takes frames without waiting.
        aborts: Whether `abort` has an effect.
        heeds: Whether a write can be cancelled.
        took: What the peer has read, each with the time.
        answer: Called with each frame the peer has read.
        goodbye: Code, reason and time of the close frame, once the peer has it.
        stuck_at: Since when a write hangs for good.
        heard_at: When the server first was told that the peer is gone.
        over: Set when nothing will come any more, either way.
        broken: What the adapter did that a transport forbids.
    """

    def __init__(
        self, kind: Kind, chance: Random, *, stopping: anyio.Event | None = None
    ) -> None:
        self.kind = kind
        self.stopping = stopping
        self.wire = chance.random() < 0.5
        self.aborts = chance.random() < 0.7
        self.heeds = chance.random() < 0.6
        self.silent = chance.random() < 0.5
        self.took: list[tuple[float, dict[str, Any]]] = []
        self.answer: Callable[[dict[str, Any]], None] = lambda fields: None
        self.goodbye: tuple[int, str, float] | None = None
        self.refused: int | None = None
        self.accepted_at: float | None = None
        self.stuck_at: float | None = None
        self.heard_at: float | None = None
        self.aborted_at: float | None = None
        self.opened = anyio.Event()
        self.over = anyio.Event()
        self.broken: list[str] = []
        # What the server has read.
        self.heard: list[str] = []
        # Of these, what nobody could read who was still there to do so.
        self.unreadable = 0
        self.is_read: Callable[[], bool] = bool
        # Frames that went nowhere without a word.
        self.swallowed: list[dict[str, Any]] = []
        self.unsent = False
        # Whether `serve` has returned.
        self.served = False
        self._chance = chance
        # Frames until it goes wrong, where it does.
        self._good = chance.randrange(6)
        # Between two frames of a slow one, and when it takes the next.
        slow = kind is Kind.SLOW
        self._interval = 0.1 + 0.6 * chance.random() if slow else 0.0
        self._free_at = 0.0
        self._inbound: deque[str | Exception] = deque()
        self._ended: TransportClosed | None = None
        self._changed = anyio.Event()
        # What of a frame has been written, and what has not.
        self._half: str | None = None
        self._rest = ""
        self._writing: str | None = None
        self._receiving = False
        self._released = anyio.Event()

    # -- the transport -----------------------------------------------------

    async def accept(self, subprotocol: str | None = None) -> None:
        """See `Transport`."""
        await checkpoint()
        if self._chance.random() < 0.3:
            await anyio.sleep(0.1)
        if self.kind is Kind.RAISING and self._chance.random() < 0.1:
            self.opened.set()
            self._end(TransportClosed(1006))
            raise OSError("reset in the handshake")
        self._raise_if_gone()
        self.accepted_at = anyio.current_time()
        self.opened.set()

    async def refuse(self, status: int, reason: str = "") -> None:
        """See `Transport`."""
        await checkpoint()
        self.refused = status
        self._end(TransportClosed(1006))
        self.opened.set()

    async def receive(self) -> Frame:
        """See `Transport`."""
        self._require(not self._receiving, "one task at a time receives")
        self._receiving = True
        try:
            await checkpoint()
            while not self._inbound:
                self._raise_if_gone()
                await self._changed.wait()
            frame = self._inbound.popleft()
            self._notify()
            if isinstance(frame, Exception):
                self._hear()
                raise frame
            self.heard.append(frame)
            self.unreadable += frame == "{" and self.is_read()
            return frame
        finally:
            self._receiving = False

    async def send(self, frame: Frame) -> None:
        """See `Transport`."""
        self._look("send")
        if self._ended is not None and self.silent:
            # As hypercorn does, and without yielding.
            self.swallowed.append(json.loads(frame))
            return
        with self._write("send"):
            self._raise_if_gone()
            self._spend()
            await checkpoint()
            self._split(frame)
            await self._taken()
            self._finish()

    @property
    def direct(self) -> bool:
        """See `Transport`."""
        return self.wire

    def try_send(self, message: Message) -> bool:
        """See `Transport`."""
        if not self.wire:
            return False
        self._look("try_send")
        busy = anyio.current_time() < self._free_at or self._good < 0
        if busy or self._ended is not None or self._is_failing():
            return False
        self._spend()
        self._free_at = anyio.current_time() + self._interval
        self._split(message.frame)
        self.unsent = self._good < 0 or self._chance.random() < 0.2
        if not self.unsent:
            self._finish()
        return True

    async def divert(self, listener: object) -> bool:
        """See `Transport`: there is no server that could."""
        return False

    def try_send_all(self, bundle: Bundle[Message]) -> int:
        """See `Transport`."""
        return try_one_by_one(self, bundle)

    async def flush(self) -> None:
        """See `Transport`."""
        self._require(self.unsent, "flush with nothing to flush")
        self._look("flush")
        with self._write("flush"):
            self._raise_if_gone()
            if self.kind is Kind.RAISING and self._chance.random() < 0.5:
                self._fail()
            await checkpoint()
            await self._taken()
            self.unsent = False
            self._finish()

    async def close(self, code: int, reason: str) -> None:
        """See `Transport`."""
        if self._ended is not None:
            return
        self._look("close")
        with self._write("close"), suppress(TransportClosed):
            self._spend()
            await checkpoint()
            await self._taken()
            self.goodbye = code, reason, anyio.current_time()
            self._end(TransportClosed(code, reason))

    def abort(self) -> None:
        """See `Transport`."""
        if self.aborted_at is None:
            self.aborted_at = anyio.current_time()
        if self.aborts:
            self._end(TransportClosed(1006))

    async def linger(self, seconds: float) -> None:
        """See `Transport`."""
        with anyio.move_on_after(seconds):
            await self.over.wait()

    # -- the peer ----------------------------------------------------------

    async def say(self, text: str) -> None:
        """Send a frame to the server, when there is room for it."""
        while len(self._inbound) >= _ON_THE_WAY and self._ended is None:
            await self._changed.wait()
        self.push(text)

    def push(self, item: str | Exception) -> None:
        """Put something in the server's way at once."""
        if self._ended is None:
            self._inbound.append(item)
            self._notify()

    def leave(self, code: int) -> None:
        """Say goodbye: what was said before is still read."""
        self._end(TransportClosed(code, "bye"))

    def drop(self) -> None:
        """Be gone; what was said before may be lost."""
        if self._chance.random() < 0.5:
            self._inbound.clear()
        self._end(TransportClosed(1006))

    def is_cut(self) -> bool:
        """Whether the last frame came to the peer in part only."""
        return self._half is not None

    def shut(self) -> None:
        """The server's task has ended, and with it what it holds of the line."""
        self.served = True
        self.opened.set()
        self._end(TransportClosed(1006))

    # -- inside ------------------------------------------------------------

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            self.broken.append(what)

    def _look(self, what: str) -> None:
        """Whether it is the moment for *what*."""
        self._require(self._writing is None, f"{what} in the midst of {self._writing}")
        torn = self._half is not None and what != "flush"
        self._require(not torn, f"{what} in the midst of a frame")
        self._require(self.goodbye is None, f"{what} after the goodbye")
        self._require(self.accepted_at is not None, f"{what} before it is accepted")
        self._require(not self.served, f"{what} after the end")

    @contextmanager
    def _write(self, what: str) -> Generator[None]:
        self._writing = what
        try:
            yield
        finally:
            self._writing = None

    def _split(self, frame: Frame) -> None:
        text = frame if isinstance(frame, str) else frame.decode()
        cut = self._chance.randrange(len(text))
        self._half, self._rest = text[:cut], text[cut:]

    def _finish(self) -> None:
        half, self._half = self._half, None
        assert half is not None
        fields: dict[str, Any] = json.loads(half + self._rest)
        self.took.append((anyio.current_time(), fields))
        self.answer(fields)

    async def _taken(self) -> None:
        """Wait as long as the peer keeps the writer waiting."""
        with anyio.CancelScope(shield=not self.heeds):
            if self.kind is Kind.HALF_DEAD and self._good < 0:
                if self.stuck_at is None:
                    self.stuck_at = anyio.current_time()
                with anyio.move_on_after(KERNEL_SECONDS):
                    await self._released.wait()
                self._end(TransportClosed(1006))
            elif self._interval:
                await anyio.sleep(max(0.0, self._free_at - anyio.current_time()))
                self._free_at = anyio.current_time() + self._interval
            self._raise_if_gone()

    def _is_failing(self) -> bool:
        return self.kind is Kind.RAISING and self._good <= 0

    def _spend(self) -> None:
        """One frame less until it goes wrong."""
        if self._is_failing():
            self._fail()
        if self.kind is Kind.HALF_DEAD or self.kind is Kind.RAISING:
            self._good -= 1

    def _fail(self) -> NoReturn:
        self._hear()
        error = self._chance.choice((OSError, RuntimeError, ConnectionResetError))
        raise error("the transport is broken")

    def _end(self, closed: TransportClosed) -> None:
        if self._ended is None:
            self._ended = closed
        self._released.set()
        self.over.set()
        self._notify()

    def _hear(self) -> None:
        if self.heard_at is None:
            self.heard_at = anyio.current_time()

    def _raise_if_gone(self) -> None:
        if self._ended is not None:
            self._hear()
            raise TransportClosed(self._ended.code, self._ended.reason)

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
