"""Transport: what a connection asks of the world.

A connection knows nothing of ASGI.  Each transport passes the shared suite in
``tests/adapter/transport_suite.py``.
"""

from __future__ import annotations

from typing import Protocol

from ._frames import Bundle, Message
from ._packets import Frame


class TransportClosed(Exception):
    """The peer is gone, or we closed; nothing more comes or goes.

    Attributes:
        code: The WebSocket close code (RFC 6455, section 7.4), as the server
            reports it.
        reason: The peer's words, often none.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Stopping(Protocol):
    """An event: the server has been told to stop."""

    async def wait(self) -> object:
        """Wait for it."""
        ...


class Listener(Protocol):
    """Who hears what comes of one connection."""

    async def hear(self, frame: Frame) -> bool:
        """Take one message; waiting here pushes back on the peer.

        Returns:
            False if it takes no more.
        """
        ...

    def lost(self, code: int, reason: str) -> None:
        """There will be no more."""
        ...


class Transport(Protocol):
    """One connection to one peer, from before it is accepted."""

    @property
    def stopping(self) -> Stopping | None:
        """What the server says of its own end, where it does."""
        ...

    async def accept(self, subprotocol: str | None = None) -> None:
        """Take the connection, and tell the client the *subprotocol*.

        Raises:
            TransportClosed: The peer left while it was waiting.
        """
        ...

    async def refuse(self, status: int, reason: str = "") -> None:
        """Do not take it; with an HTTP status and a word, where there is one."""
        ...

    async def receive(self) -> Frame:
        """Wait for the next message, whole.  One task at a time.

        Raises:
            TransportClosed: There will be none.
        """
        ...

    async def divert(self, listener: Listener) -> bool:
        """Have the server's own task hand all that comes to *listener* from now on.

        Saves a queue and a switch of tasks for each message.

        Returns:
            False if that cannot be, or not yet, since something waits to be
            received.  Else nobody may receive any more.
        """
        ...

    async def send(self, frame: Frame) -> None:
        """Write one message.  One task at a time; may wait for the peer.

        Cancelling it may not end it, and on a connection that is gone it may
        neither raise nor yield: what ASGI servers really do.

        Raises:
            TransportClosed: It cannot be written any more.
        """
        ...

    @property
    def direct(self) -> bool:
        """Whether `try_send` may take anything; it does not change once accepted."""
        ...

    def try_send(self, message: Message) -> bool:
        """Take one message without waiting; False if that cannot be.

        Not while a `send` or a `flush` is under way.  Then see `unsent`.
        """
        ...

    def try_send_all(self, bundle: Bundle[Message]) -> int:
        """Take messages without waiting, as many as that can be done with.

        Like `try_send` for one after the other.  What is unsent then belongs to the
        last that was taken.

        Returns:
            How many were taken; at least one if not 0.
        """
        ...

    @property
    def unsent(self) -> bool:
        """Whether a part of what was taken must be written by `flush`."""
        ...

    async def flush(self) -> None:
        """Write the rest of what was taken, waiting for the peer like `send`.

        Raises:
            TransportClosed: It cannot be written any more.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye.  Doing so twice is fine."""
        ...

    def abort(self) -> None:
        """Drop the connection without a word, as far as that is possible."""
        ...

    async def linger(self, seconds: float) -> None:
        """See to it that the connection goes away, once it is closed on our side."""
        ...
