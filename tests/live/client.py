"""A client of the JSON envelope, on trio-websocket, that a test can mistreat."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from .server import HypercornServer

Frame: TypeAlias = dict[str, Any]

WAIT_SECONDS = 20.0
POLL_SECONDS = 0.02


@final
class Refused(Exception):
    """The server has answered with an error."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error)
        self.code = error["code"]
        self.message = error["message"]


def reset(sock: trio.socket.SocketType) -> None:
    """Close *sock* with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@final
class Peer:
    """One connected client.

    It reads only while a test waits for a frame: between, a frame or two are
    taken from the socket and then none.
    """

    def __init__(
        self, websocket: WebSocketConnection, stream: trio.SocketStream
    ) -> None:
        self._websocket = websocket
        self._stream = stream
        self._ids = itertools.count(1)
        # Frames that came before the ack that was waited for.
        self._early: deque[Frame] = deque()
        self.sid = ""

    async def send(self, frame: str | bytes) -> None:
        """Send *frame* as it is."""
        await self._websocket.send_message(frame)

    async def send_raw(self, octets: bytes) -> None:
        """Put *octets* on the wire, past the WebSocket."""
        await self._stream.send_all(octets)

    async def emit(self, event: str, data: Any = None, **fields: Any) -> None:
        """Send an event; *fields* are further ones of the envelope."""
        await self.send(json.dumps({"event": event, "data": data, **fields}))

    async def ask(self, event: str, data: Any = None, **fields: Any) -> Any:
        """Send an event and return the data of its ack.

        Raises:
            Refused: The ack is an error.
        """
        id = next(self._ids)
        await self.emit(event, data, id=id, **fields)
        while True:
            frame = await self._read()
            if frame.get("ack") != id:
                self._early.append(frame)
            elif "error" in frame:
                raise Refused(frame["error"])
            else:
                return frame["data"]

    async def receive(self) -> Frame:
        """The next frame, whatever it is."""
        return self._early.popleft() if self._early else await self._read()

    async def expect(self, event: str) -> Any:
        """The data of the next frame, which must be *event*."""
        frame = await self.receive()
        assert frame.get("event") == event, frame
        return frame.get("data")

    async def answer(self, frame: Frame, data: Any) -> None:
        """Send the ack that the event *frame* asked for."""
        await self.send(json.dumps({"ack": frame["id"], "data": data}))

    async def drain(self) -> list[Frame]:
        """All that has come, and was on its way, up to now."""
        await self.ask("echo")
        frames = list(self._early)
        self._early.clear()
        return frames

    async def wait_closed(self) -> tuple[int, str]:
        """The server's close code and reason; what comes before is skipped."""
        with trio.fail_after(WAIT_SECONDS), contextlib.suppress(ConnectionClosed):
            while True:
                await self._websocket.get_message()
        how = self._websocket.closed
        assert how is not None
        return how.code, how.reason or ""

    async def ping(self) -> None:
        """Return when the server has answered a ping."""
        with trio.fail_after(WAIT_SECONDS):
            await self._websocket.ping()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye in order."""
        with trio.fail_after(WAIT_SECONDS):
            await self._websocket.aclose(code, reason)

    def reset(self) -> None:
        """Vanish: the server gets a TCP reset."""
        reset(self._stream.socket)

    def drop(self) -> None:
        """Close the socket, without a goodbye; idempotent."""
        self._stream.socket.close()

    async def _read(self) -> Frame:
        with trio.fail_after(WAIT_SECONDS):
            frame: Frame = json.loads(await self._websocket.get_message())
            return frame


@final
class Crowd:
    """Opens clients, and closes those that are left at the end."""

    def __init__(
        self,
        server: HypercornServer,
        nursery: trio.Nursery,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._server = server
        self._nursery = nursery
        self._streams: list[trio.SocketStream] = []

    async def open(
        self,
        path: str = "/ws",
        *,
        headers: dict[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        socket_buffer: int | None = None,
    ) -> Peer:
        """Connect; *socket_buffer* is what the kernel keeps for it, each way."""
        sock = trio.socket.socket()
        if socket_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, socket_buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, socket_buffer)
        with trio.fail_after(WAIT_SECONDS):
            await sock.connect(("127.0.0.1", self._server.port))
            stream = trio.SocketStream(sock)
            self._streams.append(stream)
            websocket = await wrap_client_stream(
                self._nursery,
                stream
                if self._tls is None
                else trio.SSLStream(stream, self._tls, server_hostname="localhost"),
                f"127.0.0.1:{self._server.port}",
                path,
                subprotocols=subprotocols,
                extra_headers=[
                    (name.encode(), value.encode())
                    for name, value in (headers or {}).items()
                ],
            )
        return Peer(websocket, stream)

    async def knock_and_vanish(self, octets: bytes) -> None:
        """Send *octets* as the first thing on a connection, and reset it."""
        with trio.fail_after(WAIT_SECONDS):
            stream = await trio.open_tcp_stream("127.0.0.1", self._server.port)
            await stream.send_all(octets)
        reset(stream.socket)

    async def knock(
        self, octets: bytes, until: bytes = b"", *, address: str | None = None
    ) -> bytes:
        """Send *octets* as the first thing on a connection; what comes, to *until*.

        It comes from *address*, of this machine.
        """
        answer = b""
        with trio.fail_after(WAIT_SECONDS):
            stream = await trio.open_tcp_stream(
                "127.0.0.1", self._server.port, local_address=address
            )
            # The server may drop it without a word.
            async with stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(octets)
                    while more := await stream.receive_some():
                        answer += more
                        if until in answer:
                            break
        return answer

    async def welcome(self, path: str = "/ws", **options: Any) -> Peer:
        """Connect to an app that greets its clients with their sid."""
        peer = await self.open(path, **options)
        peer.sid = (await peer.expect("welcome"))["sid"]
        return peer

    async def welcome_many(self, count: int) -> list[Peer]:
        """Connect *count* clients, some at a time."""
        peers: list[Peer] = []
        turns = iter(range(count))

        async def open_some() -> None:
            for _ in turns:
                peers.append(await self.welcome())

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(open_some)
        return peers

    def close(self) -> None:
        for stream in self._streams:
            stream.socket.close()


@asynccontextmanager
async def crowd(
    server: HypercornServer, *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Crowd]:
    """Clients of *server*; their sockets are closed at the end of the block."""
    async with trio.open_nursery() as nursery:
        clients = Crowd(server, nursery, tls)
        try:
            yield clients
        finally:
            clients.close()
            nursery.cancel_scope.cancel()


async def eventually(
    what: str,
    condition: Callable[[], Awaitable[object]],
    wait_seconds: float = WAIT_SECONDS,
) -> None:
    """Poll until *condition* holds.

    Raises:
        AssertionError: It did not within *wait_seconds*.
    """
    with trio.move_on_after(wait_seconds):
        while not await condition():  # noqa: ASYNC110 - it is another process's
            await trio.sleep(POLL_SECONDS)
        return
    raise AssertionError(f"waited {wait_seconds} s in vain for {what}")


async def goodbyes(witness: Peer, sid: str) -> list[list[object]]:
    """Close code and reason of each call of on_disconnect for *sid*.

    Waits until there is one.  The app has to answer the event "gone".
    """
    calls: dict[str, list[list[object]]] = {}

    async def has_gone() -> bool:
        calls.update(await witness.ask("gone", [sid]))
        return sid in calls

    await eventually(f"on_disconnect of {sid}", has_gone)
    return calls[sid]


async def alone(witness: Peer, wait_seconds: float = WAIT_SECONDS) -> None:
    """Return when *witness* is the only client; the app answers "statistics"."""

    async def is_alone() -> bool:
        return bool((await witness.ask("statistics"))["connections"] == 1)

    await eventually("the end of all other clients", is_alone, wait_seconds)
