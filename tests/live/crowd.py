"""A thousand clients in one thread: raw sockets, that a test can stall and reset."""

from __future__ import annotations

import contextlib
import itertools
import json
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, TypeAlias, final

from .server import HypercornServer

Frame: TypeAlias = dict[str, Any]

REQUEST = (
    b"GET /ws%s HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
    b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

SWITCHING = b"HTTP/1.1 101 "

WAIT_SECONDS = 15.0
# Between two looks at what no socket tells of.
POLL_SECONDS = 0.02
# Handshakes at a time: fewer than hypercorn lets wait to be accepted.
ABREAST = 64
CHUNK = 65_536

TEXT, CLOSE, PONG = 0x1, 0x8, 0xA
FINAL, MASKED, COMPRESSED = 0x80, 0x80, 0x40

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


def build(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame; its mask is zero."""
    size = len(payload)
    if size < 126:
        head = bytes((FINAL | opcode, MASKED | size))
    elif size < 1 << 16:
        head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


@final
class Member:
    """One client of a crowd.

    Attributes:
        port: Its own, by which the kernel knows the connection.
        head: The server's answer to the handshake, once it has come.
        numbers: The numbers it was sent, in the order of their coming.
        frames: Other events.
        answers: Acks, by id.
        pong: What the latest pong said, if there was one.
        code: The close code the server gave, if it gave one.
        closed: Whether the connection has ended.
        reads: Whether it takes what comes.
        sent: How many bytes the kernel has taken.
    """

    def __init__(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
        self._sock = sock
        self._selector = selector
        self.port: int = sock.getsockname()[1]
        self.sid = ""
        self.head: bytes | None = None
        self.numbers: list[int] = []
        self.frames: deque[Frame] = deque()
        self.answers: dict[int, Frame] = {}
        self.pong: bytes | None = None
        self.code: int | None = None
        self.closed = False
        self.reads = True
        self.sent = 0
        self._come = b""
        self._unsent = b""
        self._flood = b""

    # -- what it does ------------------------------------------------------

    def put(self, octets: bytes) -> None:
        """Send *octets* as they are."""
        self._unsent += octets
        self._write()
        self._watch()

    def emit(self, event: str, data: Any = None, **fields: Any) -> None:
        """Send an event; *fields* are further ones of the envelope."""
        packet = {"event": event, "data": data, **fields}
        self.put(build(json.dumps(packet).encode()))

    def flood(self, octets: bytes) -> None:
        """From now on send *octets* again and again, as fast as it can be."""
        self._flood = octets
        self._watch()

    def stall(self) -> None:
        """Take nothing more of what comes."""
        self.reads = False
        self._watch()

    def resume(self) -> None:
        """Take what comes again."""
        self.reads = True
        self._watch()

    def half_close(self) -> None:
        """Say that nothing more will come, and stay."""
        with contextlib.suppress(OSError):  # the server may be faster
            self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: the server gets a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.drop()

    def drop(self) -> None:
        """Close the socket, without a goodbye; idempotent."""
        # Not only that its number may be another's soon: closed it has none.
        if self._sock.fileno() >= 0:
            self._end()
            self._sock.close()

    # -- when its crowd waits ----------------------------------------------

    def turn(self, events: int) -> None:
        """Do what the socket is ready for."""
        if events & READ:
            self._read()
        if events & WRITE:
            self._write()
        self._watch()

    def _watch(self) -> None:
        events = READ if self.reads else 0
        if self._unsent or self._flood:
            events |= WRITE
        if self.closed:
            events = 0
        known = self._selector.get_map().get(self._sock)
        if known is not None and known.events != events:
            self._selector.unregister(self._sock)
            known = None
        if known is None and events:
            self._selector.register(self._sock, events, self)

    def _write(self) -> None:
        try:
            while self._unsent or self._flood:
                self._unsent = self._unsent or self._flood
                taken = self._sock.send(self._unsent)
                self.sent += taken
                self._unsent = self._unsent[taken:]
        except BlockingIOError:
            pass
        except OSError:
            self._end()

    def _read(self) -> None:
        try:
            octets = self._sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self._end()
            return
        self._come += octets
        if self.head is None:
            head, found, rest = self._come.partition(b"\r\n\r\n")
            if not found:
                return
            self.head, self._come = head, rest
        if self.head.startswith(SWITCHING):
            self._parse()

    def _end(self) -> None:
        self.closed = True
        self._watch()

    def _parse(self) -> None:
        come, at = self._come, 0
        while len(come) - at >= 2:
            size, begin = come[at + 1], at + 2
            if size >= 126:
                begin += 2 if size == 126 else 8
                size = int.from_bytes(come[at + 2 : begin], "big")
            if len(come) < begin + size:
                break
            # Nobody here asks what is in a compressed one.
            if not come[at] & COMPRESSED:
                self._take(come[at] & 0x0F, come[begin : begin + size])
            at = begin + size
        self._come = come[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
            self.put(build(payload, CLOSE))
        if opcode == PONG:
            self.pong = payload
        if opcode != TEXT:
            return
        frame: Frame = json.loads(payload)
        if "ack" in frame:
            self.answers[frame["ack"]] = frame
        elif frame["event"] == "number":
            self.numbers.append(frame["data"][0])
        elif frame["event"] == "welcome":
            self.sid = frame["data"]["sid"]
        else:
            self.frames.append(frame)


@final
class Crowd:
    """The clients of one server; they read and write while somebody waits."""

    def __init__(self, server: HypercornServer) -> None:
        self.server = server
        self.members: list[Member] = []
        self._selector = selectors.DefaultSelector()
        self._ids = itertools.count(1)

    def knock(self, octets: bytes, socket_buffer: int | None = None) -> Member:
        """Connect, and send *octets* as the first thing."""
        sock = socket.socket()
        if socket_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, socket_buffer)
        try:
            sock.connect(("127.0.0.1", self.server.port))
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        member = Member(sock, self._selector)
        self.members.append(member)
        member.put(octets)
        return member

    def welcome(
        self, count: int, query: bytes = b"", socket_buffer: int | None = None
    ) -> list[Member]:
        """Connect *count* clients, some at a time; each has been greeted."""
        members: list[Member] = []
        request = REQUEST % query
        while len(members) < count:
            abreast = min(ABREAST, count - len(members))
            some = [self.knock(request, socket_buffer) for _ in range(abreast)]
            self.wait_all("a welcome", some, lambda member: member.sid)
            members += some
        return members

    def ask(self, member: Member, event: str, data: Any = None) -> Any:
        """Send an event and return the data of its ack."""
        return self.ask_all([member], event, data)[0]

    def ask_all(self, members: list[Member], event: str, data: Any = None) -> list[Any]:
        """Send an event for each of *members*; the data of the acks."""
        id = next(self._ids)
        for member in members:
            member.emit(event, data, id=id)
        self.wait_all(f"an ack of {event}", members, lambda one: id in one.answers)
        return [member.answers.pop(id)["data"] for member in members]

    def wait_all(
        self,
        what: str,
        members: Iterable[Member],
        condition: Callable[[Member], object],
        seconds: float = WAIT_SECONDS,
    ) -> None:
        """Read and write until *condition* holds for all of *members*."""
        waiting = list(members)

        def all_do() -> bool:
            # From the end, and not again those for which it held once.
            while waiting and condition(waiting[-1]):
                waiting.pop()
            return not waiting

        self.wait(what, all_do, seconds)

    def wait(
        self,
        what: str,
        condition: Callable[[], object],
        seconds: float = WAIT_SECONDS,
    ) -> None:
        """Read and write until *condition* holds.

        Raises:
            AssertionError: It did not within *seconds*.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"waited {seconds} s in vain for {what}; the log ends with:\n"
                    f"{self.server.log()[-5000:]}"
                )
            self._turn(POLL_SECONDS)

    def go_on(self, seconds: float) -> None:
        """Read and write for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._turn(left)

    def _turn(self, seconds: float) -> None:
        for key, events in self._selector.select(seconds):
            member: Member = key.data
            member.turn(events)

    def close(self) -> None:
        for member in self.members:
            member.drop()
        self._selector.close()


@contextmanager
def crowd(server: HypercornServer) -> Generator[Crowd]:
    """Clients of *server*; their sockets are closed at the end of the block."""
    clients = Crowd(server)
    try:
        yield clients
    finally:
        clients.close()
