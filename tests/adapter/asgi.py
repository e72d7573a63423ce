"""The server's side of ASGI, faked: peers with the faults of real ones.

What servers do here was seen in hypercorn and uvicorn: a send to a peer that
has left neither raises nor yields, a send cannot be cancelled, a receive queue
holds a few events and then pushes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from greenroom.adapter import Frame, TransportClosed
from greenroom.testing import Refused, websocket_scope

MAX_EVENTS = 10


class Asgi:
    """One WebSocket as a server keeps it; it is its own peer.

    ``scope``, ``app_receive`` and ``app_send`` are what an app is given; the rest
    has the names of `greenroom.testing.MemoryPeer`.
    """

    def __init__(
        self,
        path: str = "/ws",
        *,
        http_response: bool = True,
        connects: bool = True,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.scope: dict[str, Any] = websocket_scope(path)
        if http_response:
            self.scope["extensions"] = {"websocket.http.response": {}}
        self.max_events = max_events
        self.opened = anyio.Event()
        self.accepted = False
        self.refused: int | None = None
        # All that the app has sent, oldest first.
        self.sent: list[MutableMapping[str, Any]] = []
        self._inbound: deque[dict[str, Any]] = deque()
        self._outbound: deque[Frame] = deque()
        self._closed: TransportClosed | None = None
        self._left = False
        self._changed = anyio.Event()
        self.flowing = anyio.Event()
        self.flowing.set()
        self.holds_on = False
        self.error: Exception | None = None
        # Sends that were made after the peer had left.
        self.void = 0
        self.sending = 0
        if connects:
            self.connect()

    # -- what the app calls ------------------------------------------------

    async def app_receive(self) -> dict[str, Any]:
        while not self._inbound:
            await self._changed.wait()
        self._notify()
        return self._inbound.popleft()

    async def app_send(self, message: MutableMapping[str, Any]) -> None:
        if self._left:
            self.void += 1
            if self.error is not None:
                raise self.error
            return
        if self.error is not None:
            raise self.error
        self.sending += 1
        try:
            with anyio.CancelScope(shield=self.holds_on):
                await self.flowing.wait()
                while len(self._outbound) >= self.max_events and not self._left:
                    await self._changed.wait()
        finally:
            self.sending -= 1
        self.sent.append(message)
        self._act_on(message)
        self._notify()

    def _act_on(self, message: MutableMapping[str, Any]) -> None:
        match message["type"]:
            case "websocket.accept":
                self.accepted = True
                self.opened.set()
            case "websocket.http.response.start":
                self.refused = message["status"]
            case "websocket.http.response.body":
                self.opened.set()
            case "websocket.close" if not self.accepted:
                self.refused = 403
                self.opened.set()
            case "websocket.close":
                self._closed = TransportClosed(message["code"], message["reason"])
            case "websocket.send":
                text = message.get("text")
                self._outbound.append(message["bytes"] if text is None else text)
            case unknown:
                raise ValueError(f"no such message: {unknown!r}")

    # -- what its peer does ------------------------------------------------

    def connect(self) -> None:
        self._put({"type": "websocket.connect"})

    async def wait_opened(self) -> None:
        await self.opened.wait()
        if self.refused is not None:
            raise Refused(self.refused)

    async def send(self, frame: Frame) -> None:
        await checkpoint()
        while len(self._inbound) >= self.max_events:
            await self._changed.wait()
        # hypercorn gives both keys, uvicorn the one there is.
        if isinstance(frame, str):
            self._put({"type": "websocket.receive", "text": frame, "bytes": None})
        else:
            self._put({"type": "websocket.receive", "bytes": frame})

    async def receive(self) -> Frame:
        while not self._outbound:
            if self._closed is not None:
                self._leave(1000)
                raise self._closed
            await self._changed.wait()
        self._notify()
        return self._outbound.popleft()

    def close(self, code: int | None = 1000, reason: str | None = "") -> None:
        message: dict[str, Any] = {"type": "websocket.disconnect", "code": code}
        if reason is not None:
            message["reason"] = reason
        self._leave_with(message)

    def drop(self) -> None:
        self._leave(1006)

    def stall(self, *, shielded: bool = False) -> None:
        if self.flowing.is_set():
            self.flowing = anyio.Event()
        self.holds_on = shielded

    def unstall(self) -> None:
        self.flowing.set()

    def fail_sends(self, error: Exception) -> None:
        self.error = error

    def _leave(self, code: int) -> None:
        self._leave_with({"type": "websocket.disconnect", "code": code})

    def _leave_with(self, message: dict[str, Any]) -> None:
        if not self._left:
            self._left = True
            self._put(message)

    def _put(self, message: dict[str, Any]) -> None:
        self._inbound.append(message)
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


class Lifespan:
    """The lifespan of an app, as a server sees it through."""

    def __init__(self) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.answer: bool | None = None
        self._messages: deque[str] = deque(["lifespan.startup"])
        self._changed = anyio.Event()

    async def run(self, app: Callable[..., Awaitable[bool]]) -> None:
        self.answer = await app({"type": "lifespan"}, self._receive, self._send)

    async def started(self) -> None:
        while not self.sent:
            await self._changed.wait()

    def stop(self) -> None:
        self._messages.append("lifespan.shutdown")
        self._notify()

    async def _receive(self) -> dict[str, Any]:
        while not self._messages:
            await self._changed.wait()
        return {"type": self._messages.popleft()}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await checkpoint()
        self.sent.append(message)
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
