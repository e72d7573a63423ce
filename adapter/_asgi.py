"""The door: the one file that spells "websocket.send".

ASGI spec 2.3 for websocket and lifespan scopes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias, final

import anyio
from anyio.lowlevel import checkpoint

from ._frames import Bundle
from ._frames import Message as Outbound
from ._hypercorn import find_stopping, may_accept, spare_window
from ._packets import Frame
from ._queue import Queue, find_queue, stop_filling
from ._shield import bound_messages
from ._transport import Listener, Stopping, TransportClosed
from ._wire import Wire, drop, even_out, find_wire

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# A little more than what waits in hypercorn's queue and for it; and longer than it
# takes to find that there is nothing.
_QUEUED = 16
_TURN = 0.05

# RFC 6455: no status code was present.
_NO_STATUS = 1005


def owns(path: str, scope: Scope) -> bool:
    """Whether the request of *scope* is for what stands at *path*.

    Paths match by whole segments.  Below a mount point, both the full path and
    the part after ``root_path`` count, since frameworks differ in which of them
    they leave in ``path``.
    """
    full: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if _is_below(path, full):
        return True
    return bool(root) and full.startswith(root) and _is_below(path, full[len(root) :])


def _is_below(path: str, requested: str) -> bool:
    return path == "/" or requested == path or requested.startswith(path + "/")


def _frame_of(message: Message) -> Frame:
    text: str | None = message.get("text")
    if text is not None:
        return text
    data: bytes = message.get("bytes") or b""
    return data


@final
class AsgiTransport:
    """A WebSocket as an ASGI server hands it over; with a wire where there is one."""

    __slots__ = (
        "_closed",
        "_end",
        "_gone",
        "_http_response",
        "_listener",
        "_max_bytes",
        "_patience",
        "_queue",
        "_receive",
        "_send",
        "_wire",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        max_bytes: int | None = None,
        patience: float | None = None,
    ) -> None:
        self._receive = receive
        self._send = send
        self._http_response = "websocket.http.response" in (
            scope.get("extensions") or {}
        )
        self._closed = False
        # The longest message that anybody reads.
        self._max_bytes = max_bytes
        # For how long the kernel waits for a peer that takes nothing, if somebody
        # writes to it.
        self._patience = patience
        # There is nothing more to receive.
        self._gone = False
        self._wire: Wire | None = None
        # hypercorn's queue, until what comes is diverted past it to a listener.
        self._queue: Queue | None = None
        self._listener: Listener | None = None
        # Set when the peer has gone; there while somebody waits for it.
        self._end: anyio.Event | None = None

    @property
    def stopping(self) -> Stopping | None:
        """See `Transport`."""
        return find_stopping(self._send)

    async def _connect(self) -> None:
        message = await self._receive()
        if message["type"] != "websocket.connect":
            self._closed = self._gone = True
            raise TransportClosed(message.get("code", 1006))

    async def accept(self, subprotocol: str | None = None) -> None:
        """See `Transport`."""
        await self._connect()
        try:
            if not await may_accept(self._send):
                raise TransportClosed(1002)
            spare_window(self._send)
            if self._max_bytes is not None:
                bound_messages(self._send, self._max_bytes)
        except TransportClosed:
            self._closed = self._gone = True
            raise
        try:
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
        except Exception as error:
            # A handshake that the server itself cannot finish: hypercorn raises
            # over extension parameters that mean nothing.  Left at that, it
            # raises again when the app returns, which ends its Trio worker; told
            # to close, it takes the connection for closed, whatever it raises.
            self._closed = self._gone = True
            with suppress(Exception):
                await self._send({"type": "websocket.close", "code": 1002})
            raise TransportClosed(1006, str(error)) from error
        self._wire = find_wire(self._send)
        even_out(self._send)
        if self._wire is not None and self._patience is not None:
            self._wire.expire(self._patience)
        self._queue = find_queue(self._receive, self._send)

    async def refuse(self, status: int, reason: str = "") -> None:
        """See `Transport`.  Where the server cannot send a status, it sends 403."""
        try:
            await self._connect()
        except TransportClosed:
            return
        self._closed = True
        # The peer may be faster.
        with suppress(OSError, RuntimeError):
            if not self._http_response:
                await self._send({"type": "websocket.close", "code": 1013})
                return
            body = reason.encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
            ]
            await self._send(
                {
                    "type": "websocket.http.response.start",
                    "status": status,
                    "headers": headers,
                }
            )
            await self._send({"type": "websocket.http.response.body", "body": body})

    async def receive(self) -> Frame:
        """See `Transport`."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            return _frame_of(message)
        raise self._ended(message)

    def _ended(self, message: Message) -> TransportClosed:
        self._closed = self._gone = True
        code = message.get("code")
        return TransportClosed(
            _NO_STATUS if code is None else code, message.get("reason") or ""
        )

    async def divert(self, listener: Listener) -> bool:
        """See `Transport`."""
        queue = self._queue
        if queue is None or queue.in_use:
            return False
        # Who waited for room in the queue has it, and gets a turn to use it.
        await checkpoint()
        if queue.in_use:
            return False
        self._queue, self._listener = None, listener
        queue.divert(self._take)
        return True

    async def _take(self, message: Message) -> None:
        """Take what hypercorn would have put in its queue."""
        assert self._listener is not None
        if message["type"] == "websocket.receive":
            await self._listener.hear(_frame_of(message))
            return
        closed = self._ended(message)
        self._listener.lost(closed.code, closed.reason)
        if self._end is not None:
            self._end.set()

    async def _receive_all(self) -> None:
        """Receive until there is nothing more, for nobody."""
        while not self._gone:
            if self._listener is None:
                await self.receive()
                # A server with a queue may never yield here.
                await checkpoint()
            else:
                # What comes is taken all the same; see `_take`.
                self._end = anyio.Event()
                await self._end.wait()

    async def send(self, frame: Frame) -> None:
        """See `Transport`."""
        if self._closed:
            raise TransportClosed(1006)
        if self._wire is not None:
            await self._wire.write(Outbound(frame))
            return
        try:
            if isinstance(frame, str):
                await self._send({"type": "websocket.send", "text": frame})
            else:
                await self._send({"type": "websocket.send", "bytes": frame})
        except (OSError, RuntimeError) as error:
            # uvicorn: ClientDisconnected, an OSError; starlette and others: a
            # RuntimeError for a send after the close.
            self._closed = True
            raise TransportClosed(1006, str(error)) from error

    @property
    def direct(self) -> bool:
        """See `Transport`: ASGI has no such thing, a wire is it."""
        return self._wire is not None

    def try_send(self, message: Outbound) -> bool:
        """See `Transport`."""
        wire = self._wire
        return wire is not None and not self._closed and wire.try_write(message)

    def try_send_all(self, bundle: Bundle[Outbound]) -> int:
        """See `Transport`."""
        wire = self._wire
        return 0 if wire is None or self._closed else wire.try_write_all(bundle)

    @property
    def unsent(self) -> bool:
        """See `Transport`."""
        return self._wire is not None and self._wire.unsent

    async def flush(self) -> None:
        """See `Transport`."""
        if self._wire is not None:
            await self._wire.flush()

    async def close(self, code: int, reason: str) -> None:
        """See `Transport`."""
        if self._closed:
            return
        self._closed = True
        # RFC 6455 5.5.1: at most 123 bytes, and no half character at the end.
        short = reason.encode()[:123].decode(errors="ignore")
        # The peer may be faster.
        with suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": code, "reason": short})

    def abort(self) -> None:
        """See `Transport`.  ASGI has no such thing."""
        self._closed = True
        if self._wire is not None:
            self._wire.abort()
        else:
            drop(self._send)

    async def linger(self, seconds: float) -> None:
        """See `Transport`: take what still comes, until the peer is gone.

        hypercorn hands an app its messages through a queue of 10.  An app that
        returns while that is full leaves hypercorn waiting for room in it for
        ever: the TCP connection then outlives its peer.
        """
        for last in (False, True):
            with suppress(TransportClosed), anyio.move_on_after(seconds):
                await self._receive_all()
            if self._gone:
                await self._settle(seconds)
            if self._gone or last:
                break
            self.abort()

    async def leave(self) -> None:
        """The app is about to return: nobody shall wait for room in its queue.

        hypercorn says that the peer is gone, and puts in what it has read before
        all the same.
        """
        if self._listener is not None or not stop_filling(self._send):
            return
        with suppress(RuntimeError), anyio.move_on_after(_TURN):
            for _ in range(_QUEUED):
                await self._receive()
                await checkpoint()

    async def _settle(self, seconds: float) -> None:
        """Drop a peer that takes no more of what was written, but stays.

        It has said that it will send no more; hypercorn's asyncio worker would
        wait for ever until it has taken everything.
        """
        if self._wire is None:
            return
        with anyio.move_on_after(seconds) as patience:
            await self._wire.settle()
        if patience.cancelled_caught:
            self.abort()
        else:
            # Not before: hypercorn would log that it has timed out.
            self._wire.expire(seconds)
