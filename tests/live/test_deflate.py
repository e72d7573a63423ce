"""permessage-deflate (RFC 7692), agreed and used in both directions."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, final

import pytest
import trio

from ..websocket import read_frame
from .client import WAIT_SECONDS
from .server import HypercornServer

pytestmark = [pytest.mark.live, pytest.mark.anyio]

TEXT = 0x81
COMPRESSED_TEXT = 0xC1
PONG = 0x8A
CLOSE = 0x88


@final
class Deflating:
    """A client that compresses what it sends, and sees what the frames are."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        # Its window is kept from message to message, as a browser's is.
        self._inflate = zlib.decompressobj(-15)
        self.sid = ""

    async def read(self, count: int) -> bytes:
        with trio.fail_after(WAIT_SECONDS):
            while len(self._buffer) < count:
                octets = await self._stream.receive_some()
                assert octets, "the server hung up"
                self._buffer += octets
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def head(self) -> str:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += await self.read(1)
        return head.decode().lower()

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte, and its payload as it came."""
        return await read_frame(self.read)

    async def message(self) -> tuple[int, Any]:
        """The next message: the first byte of its frame, and what it says."""
        first, payload = await self.frame()
        if first == COMPRESSED_TEXT:
            payload = self._inflate.decompress(payload + b"\0\0\xff\xff")
        return first, json.loads(payload)

    async def send(self, opcode: int, payload: bytes) -> None:
        """Write a frame, masked with zeros."""
        size = len(payload)
        if size < 126:
            head = bytes((opcode, 0x80 | size))
        else:
            head = bytes((opcode, 0x80 | 126)) + size.to_bytes(2, "big")
        await self._stream.send_all(head + bytes(4) + payload)

    async def emit(self, event: str, data: Any = None, **fields: Any) -> None:
        """Send an event, compressed from a fresh context as was agreed."""
        text = json.dumps({"event": event, "data": data, **fields})
        deflate = zlib.compressobj(wbits=-15)
        small = deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
        await self.send(COMPRESSED_TEXT, small[:-4])

    async def ask(self, event: str, data: Any = None) -> Any:
        await self.emit(event, data, id=1)
        _, answer = await self.message()
        assert answer["ack"] == 1, answer
        return answer["data"]


@asynccontextmanager
async def deflating(
    server: HypercornServer, offer: str = "permessage-deflate; client_max_window_bits"
) -> AsyncGenerator[Deflating]:
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        key = base64.b64encode(os.urandom(16)).decode()
        await stream.send_all(
            "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
            "connection: upgrade\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: {key}\r\n"
            f"sec-websocket-extensions: {offer}\r\n\r\n".encode()
        )
        client = Deflating(stream)
        [agreed] = [
            line
            for line in (await client.head()).split("\r\n")
            if line.startswith("sec-websocket-extensions:")
        ]
        # Nobody has to keep a window for what the client sends.
        assert "permessage-deflate" in agreed
        assert "client_no_context_takeover" in agreed
        client.sid = (await client.message())[1]["data"]["sid"]
        yield client


async def test_small_and_large_messages_come_back(server: HypercornServer) -> None:
    before = len(server.log())
    async with deflating(server) as client:
        for size in (0, 1, 100, 900, 1100, 20_000, 60_000):
            data = os.urandom(size).hex()[:size]
            assert await client.ask("echo", data) == data
        # Nor is anything else in their way.
        await client.send(0x89, b"ping")
        assert await client.frame() == (PONG, b"ping")
        await client.emit("leave me", {"code": 4000, "reason": "bye"})
        assert (await client.message())[1]["event"] == "last words"
        assert await client.frame() == (CLOSE, (4000).to_bytes(2, "big") + b"bye")
    server.check_log(before)


async def test_from_a_kilobyte_on_a_message_is_compressed(
    server: HypercornServer,
) -> None:
    async with deflating(server) as client:
        overhead = len('{"ack":1,"data":""}')
        for size, first in ((1023, TEXT), (1024, COMPRESSED_TEXT)):
            await client.emit("echo", "x" * (size - overhead), id=1)
            assert (await client.message())[0] == first


async def test_what_is_compressed_once_is_read_by_all(server: HypercornServer) -> None:
    async with (
        deflating(server) as first,
        deflating(server, "permessage-deflate") as second,
        deflating(server, "permessage-deflate; server_max_window_bits=10") as narrow,
        deflating(server) as speaker,
    ):
        for client in (first, second, narrow):
            # What they have in their windows is not the same.
            await client.ask("echo", os.urandom(2000).hex())
            await client.ask("join", "deflate")
        for number in range(10):
            data = f"{number}" * 3000
            news = {"event": "news", "data": data, "room": "deflate"}
            await speaker.emit("emit", news)
            frames = [await client.frame() for client in (first, second)]
            assert frames[0] == frames[1]
            opcode, payload = frames[0]
            assert opcode == COMPRESSED_TEXT
            assert len(payload) < 200
            whole = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
            assert json.loads(whole)["data"] == data
            # Its window would be too small.
            opcode, payload = await narrow.frame()
            assert opcode == TEXT
            assert json.loads(payload)["data"] == data
