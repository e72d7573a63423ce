"""A real hypercorn in this process, and a bare TCP client for it."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import pytest
from hypercorn.config import Config

from ..websocket import read_frame

if not hasattr(anyio.abc.SocketStream, "from_socket"):
    pytest.skip("AnyIO before 4.12 wraps no sockets", allow_module_level=True)

SMALL = 8192

TEXT = 0x81
BINARY = 0x82
CLOSE = 0x88
PONG = 0x8A


@dataclass
class Peer:
    """A client that speaks just enough of WebSocket."""

    stream: anyio.abc.SocketStream
    buffer: bytearray = field(default_factory=bytearray)

    async def read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.buffer += await self.stream.receive()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte, and its payload."""
        return await read_frame(self.read)

    async def ask(self, event: str, data: object = None) -> Any:
        """Emit *event*, and wait for its ack; what comes before is dropped."""
        await self.send(1, json.dumps({"event": event, "data": data, "id": 1}).encode())
        while True:
            answer: dict[str, Any] = json.loads((await self.frame())[1])
            if "ack" in answer:
                return answer.get("data")

    async def send(self, opcode: int, payload: bytes = b"") -> None:
        """A masked frame, with a mask of zeros; up to 125 bytes of payload."""
        head = bytes((0x80 | opcode, 0x80 | len(payload)))
        await self.stream.send(head + bytes(4) + payload)


class Served:
    """A hypercorn with one app, and the way to it."""

    def __init__(self, port: int, stop: anyio.Event) -> None:
        self._port = port
        self.stop = stop

    @asynccontextmanager
    async def connect(
        self, extra: bytes = b"", behind: bytes = b"", *, small: bool = False
    ) -> AsyncGenerator[tuple[Peer, bytes]]:
        """A peer that has asked to connect, and the answer to that."""
        raw = socket.socket()
        if small:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        raw.connect(("127.0.0.1", self._port))
        async with await anyio.abc.SocketStream.from_socket(raw) as stream:
            key = base64.b64encode(os.urandom(16))
            await stream.send(
                b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
                b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
                b"sec-websocket-key: " + key + b"\r\n" + extra + b"\r\n" + behind
            )
            peer = Peer(stream)
            head = bytearray()
            while not head.endswith(b"\r\n\r\n"):
                head += await peer.read(1)
            yield peer, bytes(head)


@asynccontextmanager
async def served(app: Any, backend: str) -> AsyncGenerator[Served]:
    """Hypercorn's own worker for the loop that runs, in this process."""
    serve: Any = __import__(f"hypercorn.{backend}", fromlist=["serve"]).serve
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    config = Config()
    # hypercorn closes it.
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 0.1
    config.errorlog = None
    stop = anyio.Event()

    async def run() -> None:
        await serve(app, config, shutdown_trigger=stop.wait)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        yield Served(port, stop)
        stop.set()
