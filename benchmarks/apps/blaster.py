"""Not a subject but a gauge: how much the load client can take.

One thread, no event loop, frames built beforehand, written straight to the
socket.  What the client manages here is its ceiling; a subject's figure means
something only well below it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import selectors
import socket
import sys
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Peer:
    """One connection: bytes that came in, until a whole request or frame is there."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.upgraded = False


class Blaster:
    def __init__(self, listener: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._members: list[socket.socket] = []
        self._frames: dict[str, bytes] = {}
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, None)

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._accept()
                else:
                    self._read(key.data)

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        # Blocking: a full socket buffer waits for the client, as it should.
        sock.setblocking(True)
        self._selector.register(sock, selectors.EVENT_READ, Peer(sock))

    def _read(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._leave(peer)
            return
        peer.buffer += data
        if not peer.upgraded:
            self._upgrade(peer)
        while peer.upgraded and (frame := take_frame(peer)) is not None:
            opcode, payload = frame
            if opcode == 8:
                peer.sock.sendall(b"\x88" + bytes([len(payload)]) + payload)
                self._leave(peer)
                return
            self._obey(peer, payload)

    def _leave(self, peer: Peer) -> None:
        self._selector.unregister(peer.sock)
        if peer.sock in self._members:
            self._members.remove(peer.sock)
        peer.sock.close()

    def _upgrade(self, peer: Peer) -> None:
        head, end, peer.buffer = peer.buffer.partition(b"\r\n\r\n")
        if not end:
            peer.buffer = head
            return
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                accept = base64.b64encode(hashlib.sha1(value.strip() + _GUID).digest())
                peer.sock.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                    + accept
                    + b"\r\n\r\n"
                )
                peer.upgraded = True

    def _obey(self, peer: Peer, payload: bytes) -> None:
        if payload.startswith(b'{"event":"echo"'):
            peer.sock.sendall(self._frame("echo", payload))
            return
        message: dict[str, Any] = json.loads(payload)
        if message["event"] == "join":
            self._members.append(peer.sock)
            peer.sock.sendall(self._frame("joined", b'{"event":"joined"}'))
        elif message["event"] == "go":
            data = message["data"]
            packet = {"event": "news", "data": data["payload"], "namespace": "/"}
            frame = self._frame("news", json.dumps(packet).encode())
            for _ in range(data["count"]):
                for member in self._members:
                    member.send(frame)

    def _frame(self, name: str, payload: bytes) -> bytes:
        """Build a frame the first time, and never again."""
        frame = self._frames.get(name)
        if frame is None:
            size = len(payload)
            head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2)
            frame = self._frames[name] = b"\x81" + head + payload
        return frame


def take_frame(peer: Peer) -> tuple[int, bytes] | None:
    """Take the first whole frame of a client out of its buffer."""
    buffer = peer.buffer
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 0x7F, 2
    if size == 126:
        size, start = int.from_bytes(buffer[2:4]), 4
    end = start + 4 + size
    if len(buffer) < end:
        return None
    masked = int.from_bytes(buffer[start + 4 : end])
    mask = (buffer[start : start + 4] * (size // 4 + 1))[:size]
    peer.buffer = buffer[end:]
    return buffer[0] & 0x0F, (masked ^ int.from_bytes(mask)).to_bytes(size)


if __name__ == "__main__":
    Blaster(socket.socket(fileno=int(sys.argv[1]))).serve()
