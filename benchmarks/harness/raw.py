"""A WebSocket by hand, over one plain socket: for what a load client cannot do.

Stop reading like a client far away, speak permessage-deflate like a browser, or be
told by the kernel when an answer arrived.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator

from .dialect import client_frame
from .server import Server

#: Segments of Ethernet.  Loopback's are so long that the kernel takes megabytes
#: for a client before its server notices that it does not read.
_SEGMENT = 1460
_NARROW_BUFFER = 4096
_OFFER = "permessage-deflate; client_max_window_bits"
_WINDOW = re.compile(r"client_max_window_bits=(\d+)")
_SECONDS = 30.0
_COMPRESSED = 0x40
_TEXT, _PING, _PONG = 0x1, 0x9, 0xA
#: From asm-generic/socket.h; the socket module does not name it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")


class Raw:
    """One connection, blocking, greeting included.

    Args:
        server: Whom to connect to.
        offer: Offer permessage-deflate, in a browser's words.
        narrow: Take little before the server notices that nobody reads.
    """

    def __init__(
        self, server: Server, *, offer: bool = False, narrow: bool = False
    ) -> None:
        self._dialect = server.subject.dialect
        self._buffer = b""
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        #: Messages that came compressed.
        self.inflated = 0
        self.socket = socket.socket()
        if narrow:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(_SECONDS)
        self.socket.connect(("127.0.0.1", server.port))
        #: What the server made of the offer; empty if nothing.
        self.agreed = self._shake_hands(server.port, offer)
        while self._dialect.greets and not self._dialect.is_ready(self.read()):
            pass

    def _shake_hands(self, port: int, offer: bool) -> str:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self._dialect.path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        if offer:
            lines.append(f"Sec-WebSocket-Extensions: {_OFFER}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *headers = head.decode("latin-1").split("\r\n")
        assert " 101 " in status, status
        for header in headers:
            name, _, value = header.partition(":")
            if name.lower() == "sec-websocket-extensions":
                return value.strip()
        return ""

    def say(self, name: str, data: object) -> bytes:
        """Build the frame of an event; compressed, if that was agreed."""
        text = self._dialect.event(name, data)
        if not self.agreed:
            return client_frame(text)
        window = _WINDOW.search(self.agreed)
        bits = int(window[1]) if window else zlib.MAX_WBITS
        # From a fresh context, so that it can be sent again, and by others.
        deflater = zlib.compressobj(wbits=-bits)
        data_ = deflater.compress(text.encode()) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return client_frame(data_[:-4], _COMPRESSED | _TEXT)

    def write(self, frame: bytes) -> None:
        """Write a frame built before."""
        self.socket.sendall(frame)

    def ask(self, frame: bytes) -> str:
        """Write *frame* and wait for the next event."""
        self.write(frame)
        return self.read()

    def read(self) -> str:
        """Wait for the next event.

        Raises:
            ConnectionError: The server hung up.
            TimeoutError: None came, though perhaps something else did.
        """
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            for text in self.events():
                return text
            self._fill()
        raise TimeoutError(f"no event of the server in {_SECONDS} s")

    def events(self) -> Iterator[str]:
        """The events among what was received; answers what is none."""
        while (frame := self._take()) is not None:
            first, payload = frame
            if first & 0x0F == _PING:
                self.write(client_frame(payload, _PONG))
            if first & 0x0F != _TEXT:
                continue
            if first & _COMPRESSED:
                self.inflated += 1
                payload = self._inflater.decompress(payload + b"\x00\x00\xff\xff")
            text = payload.decode()
            answer = self._dialect.answer(text)
            if answer is None:
                yield text
            else:
                self.write(client_frame(answer))

    def stamp(self) -> None:
        """Have the kernel note when data arrives, for `receive`; do not block."""
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)

    def receive(self) -> float:
        """Receive what is there; return when the last of it arrived."""
        data, notes, _, _ = self.socket.recvmsg(1 << 16, 128)
        self._add(data)
        for level, kind, content in notes:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(content)
                return int(seconds) + int(nanoseconds) / 1e9
        return now()

    def close(self) -> None:
        """Close the socket, and say nothing."""
        self.socket.close()

    def _fill(self) -> None:
        self._add(self.socket.recv(1 << 16))

    def _add(self, data: bytes) -> None:
        if not data:
            raise ConnectionError("the server hung up")
        self._buffer += data

    def _take(self) -> tuple[int, bytes] | None:
        """Take the first whole frame out of the buffer, its first byte apart."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start])
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        return buffer[0], buffer[start : start + size]


def now() -> float:
    """The time on the clock that the kernel's notes are of."""
    return time.clock_gettime(time.CLOCK_REALTIME)
