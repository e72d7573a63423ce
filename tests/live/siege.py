"""Attackers by the thousand, from one address or from many: bytes out, bytes in.

They read and write while a witness has its round trips; what the server does
meanwhile is what it costs.
"""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest

from .server import HypercornServer
from .witness import LISTEN, Witness, cpu_seconds

WAIT_SECONDS = 20.0
# Between two round trips of the witness.
PAUSE = 0.02
# Who knocks while hypercorn's queue of 100 is full tries again a second later.
LOT = 25
CHUNK = 65_536

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@contextmanager
def many_files(count: int) -> Generator[None]:
    """Have this process, and those it starts, open so many files; or skip."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < count:
        pytest.skip(f"a process may open {most} files here, not {count}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, count), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def queue_of(server: HypercornServer) -> int:
    """How many wait to be accepted."""
    ours = f":{server.port:04X} "
    with Path("/proc/net/tcp").open() as table:
        for line in table:
            if ours in line and line.split()[3] == LISTEN:
                return int(line.split()[4].partition(":")[2], 16)
    raise AssertionError("nobody listens")


@final
class Attacker:
    """One connection.

    Attributes:
        come: All that the server has sent.
        closed: Whether the connection has ended.
    """

    def __init__(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
        self._sock = sock
        self._selector = selector
        self._unsent = b""
        self._is_last = False
        self.come = b""
        self.closed = False
        selector.register(sock, READ, self)

    @property
    def status(self) -> int:
        """Of the answer to its handshake; 0 for none."""
        head, found, _ = self.come.partition(b"\r\n\r\n")
        return int(head.split()[1]) if found else 0

    @property
    def told(self) -> bytes:
        """What came after the head of the answer."""
        return self.come.partition(b"\r\n\r\n")[2]

    def put(self, octets: bytes) -> None:
        """Send *octets*, after what is still to be sent."""
        self._unsent += octets
        if not self.closed:
            self._write()

    def turn(self, events: int) -> None:
        """Do what the socket is ready for."""
        if events & READ:
            self._read()
        if events & WRITE and not self.closed:
            self._write()

    def half_close(self) -> None:
        """Say that nothing more will come, once what is to be sent is."""
        self._is_last = True
        if not self.closed:
            self._write()

    def close(self) -> None:
        """Leave, without a goodbye; idempotent."""
        if not self.closed:
            self.closed = True
            self._selector.unregister(self._sock)
            self._sock.close()

    def _read(self) -> None:
        try:
            octets = self._sock.recv(CHUNK)
        except OSError:
            octets = b""
        self.come += octets
        if not octets:
            self.close()

    def _write(self) -> None:
        try:
            taken = self._sock.send(self._unsent)
        except BlockingIOError:
            taken = 0
        except OSError:
            # What the server has said before may still be to be read.
            self._unsent = b""
            taken = 0
        self._unsent = self._unsent[taken:]
        if self._is_last and not self._unsent:
            with suppress(OSError):  # the server may be faster
                self._sock.shutdown(socket.SHUT_WR)
        events = READ | WRITE if self._unsent else READ
        self._selector.modify(self._sock, events, self)


@final
@dataclass(slots=True)
class Seen:
    """What was seen of an attack.

    Attributes:
        slowest: The longest round trip of the witness, in seconds.
        turns: How many it had.
        memory: The most bytes that the server had, beyond those before.
        processor: The seconds for which the server had a processor.
        seconds: How long it has taken.
    """

    slowest: float = 0.0
    turns: int = 0
    memory: int = 0
    processor: float = 0.0
    seconds: float = 0.0


@final
class Siege:
    """The attackers of one server, and the witness that they shall not harm.

    Attributes:
        attackers: All that have come.
        seen: What the witness has seen so far.
    """

    def __init__(self, watching: Witness) -> None:
        self.attackers: list[Attacker] = []
        self.seen = Seen()
        self._watching = watching
        self._server = watching.server
        self._selector = selectors.DefaultSelector()
        self._memory: int = watching.ask("statistics")["memory"]
        self._processor = cpu_seconds(watching.pid)
        self._began = time.monotonic()

    def knock(self, octets: bytes, address: str = "127.0.0.1") -> Attacker:
        """Connect from *address*, and send *octets* as the first thing."""
        sock = socket.socket()
        try:
            sock.bind((address, 0))
            sock.connect(("127.0.0.1", self._server.port))
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        attacker = Attacker(sock, self._selector)
        self.attackers.append(attacker)
        if octets:
            attacker.put(octets)
        return attacker

    def knock_all(self, knocks: Iterable[tuple[bytes, str]]) -> list[Attacker]:
        """Send bytes from addresses, as fast as the server lets them in."""
        came: list[Attacker] = []
        for octets, address in knocks:
            came.append(self.knock(octets, address))
            if len(came) % LOT == 0:
                self.watch("a place", lambda: queue_of(self._server) <= LOT)
        return came

    def watch(
        self,
        what: str,
        condition: Callable[[], object],
        seconds: float = WAIT_SECONDS,
    ) -> None:
        """Read and write until *condition* holds; the witness has its round trips.

        Raises:
            AssertionError: It did not within *seconds*.
        """
        deadline = time.monotonic() + seconds
        self._look()
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            pause = time.monotonic() + PAUSE
            while (left := pause - time.monotonic()) > 0:
                self._turn(left)
            self._look()

    def watch_all_answers(self) -> None:
        """Until all handshakes are answered, refusals with their reason."""

        def are_there() -> bool:
            return all(each.status == 101 or each.told for each in self.attackers)

        self.watch("all answers", are_there)

    def answers(self) -> Counter[tuple[int, bytes]]:
        """The answers to all handshakes: a status, and what was told of a refusal."""
        return Counter(
            (each.status, b"" if each.status == 101 else each.told)
            for each in self.attackers
        )

    def close(self) -> None:
        for attacker in self.attackers:
            attacker.close()
        self._selector.close()

    def _look(self) -> None:
        """One round trip of the witness."""
        seen, began = self.seen, time.monotonic()
        memory: int = self._watching.ask("statistics")["memory"]
        ended = time.monotonic()
        seen.slowest = max(seen.slowest, ended - began)
        seen.turns += 1
        seen.memory = max(seen.memory, memory - self._memory)
        seen.processor = cpu_seconds(self._watching.pid) - self._processor
        seen.seconds = ended - self._began
        self._turn(0)

    def _turn(self, seconds: float) -> None:
        for key, events in self._selector.select(seconds):
            attacker: Attacker = key.data
            attacker.turn(events)


@contextmanager
def siege(watching: Witness) -> Generator[Siege]:
    """Attackers beside *watching*; their sockets are closed at the end."""
    attackers = Siege(watching)
    try:
        yield attackers
    finally:
        attackers.close()
