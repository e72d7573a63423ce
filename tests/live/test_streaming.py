"""A handler that streams more than fits anywhere, to one that reads slowly."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import pytest

from greenroom import Options

from .apps.faults import SEND_SECONDS
from .crowd import REQUEST, WAIT_SECONDS, build
from .server import HypercornServer, hypercorn_server
from .witness import linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

PAD = 256_000
MEGABYTE = 1_000_000
GIGABYTE = 1000 * MEGABYTE
COUNT = GIGABYTE // PAD

SOCKET_BUFFER = 65_536
# What a reader takes at once, and in a second: about half of what the handler
# could send in one.
GULP = 128_000
PER_SECOND = 300 * MEGABYTE
# Messages between two looks at the server, of which there are sixty.
BETWEEN_LOOKS = 64

# Messages of that length that may wait, if nothing else is said.
FULL = Options().outbox_bytes // PAD

PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
NUMBER = re.compile(rb'^\{"event":"number","data":\[(\d+),"x+$')


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    target = "tests.live.apps.faults:app"
    with hypercorn_server(target, worker, socket_buffer=SOCKET_BUFFER) as server:
        yield server


@pytest.fixture(scope="module")
def roomy(worker: str) -> Iterator[HypercornServer]:
    """One whose kernel keeps as much for each client as it likes."""
    with hypercorn_server("tests.live.apps.faults:app", worker) as server:
        yield server


@final
class Reader:
    """A client that looks at the beginning of what comes, and lets the rest go by."""

    def __init__(self, sock: socket.socket, per_second: float) -> None:
        self._socket = sock
        self._per_second = per_second
        self._began = 0.0
        self._room = memoryview(bytearray(GULP))
        self.taken = 0

    def start(self, **stream: Any) -> None:
        """Ask for a stream."""
        self._socket.sendall(
            build(json.dumps({"event": "stream", "data": stream}).encode())
        )
        self._began, self.taken = time.monotonic(), 0

    def _take(self, size: int) -> memoryview:
        """The next *size* bytes, of GULP at most."""
        room = self._room[:size]
        at = 0
        while at < size:
            got = self._socket.recv_into(room[at:])
            assert got, "the server hung up"
            at += got
        self.taken += size
        return room

    def skip(self, size: int) -> None:
        """Let *size* bytes go by, no faster than it should."""
        while size:
            size -= len(self._take(min(size, GULP)))
            ahead = self.taken / self._per_second - (time.monotonic() - self._began)
            if ahead > 0:
                time.sleep(ahead)

    def head(self) -> tuple[int, bytes]:
        """How long the next message is, and the first bytes of it, which are taken."""
        first, size = self._take(2)
        assert first == 0x81
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        begin = bytes(self._take(min(size, 64)))
        return size, begin


@contextmanager
def reading(
    server: HypercornServer, per_second: float = PER_SECOND
) -> Generator[Reader]:
    with socket.socket() as sock:
        sock.settimeout(WAIT_SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(REQUEST % b"")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        reader = Reader(sock, per_second)
        size, begin = reader.head()
        assert b'"welcome"' in begin
        reader.skip(size - len(begin))
        yield reader


def resident(pid: int) -> int:
    """Bytes of memory that the process *pid* has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def forget_peak(pid: int) -> None:
    """Have the kernel begin anew with what `peak` tells."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """The most bytes of memory that the process *pid* has had since."""
    said = PEAK.search(Path(f"/proc/{pid}/status").read_text())
    assert said is not None
    return int(said[1]) * 1024


def test_a_gigabyte_goes_by_and_memory_stays_as_it_was(
    server: HypercornServer,
) -> None:
    with witness(server) as watching, reading(server) as reader:
        before = resident(watching.pid)
        forget_peak(watching.pid)
        memories: list[int] = []

        def is_full(statistics: dict[str, Any]) -> bool:
            pending: int = statistics["outbound"]["pending"]
            # And one that is being written.
            assert pending <= FULL + 1
            return pending >= FULL

        reader.start(count=COUNT, pad=PAD)
        for number in range(COUNT):
            size, begin = reader.head()
            said = NUMBER.match(begin)
            assert said is not None, begin
            assert int(said[1]) == number
            assert size >= PAD
            reader.skip(size - len(begin))
            if number % BETWEEN_LOOKS == 0 and number < COUNT - BETWEEN_LOOKS:
                # It is the reader that is waited for.
                watching.wait_for("a handler that waits", is_full)
                memories.append(resident(watching.pid))
        assert reader.taken > GIGABYTE
        # What waits to be written, in all the forms that it takes on its way; and
        # nothing more for what has been.
        assert peak(watching.pid) < before + 10 * MEGABYTE
        half = len(memories) // 2
        assert max(memories[half:]) < max(memories[:half]) + MEGABYTE


# Left to itself the kernel takes megabytes, and then has no room until a third of
# that is read: 80 kB/s took longer for it than a write may take by default.
def test_who_reads_slowly_and_steadily_is_not_taken_for_one_who_has_stopped(
    roomy: HypercornServer,
) -> None:
    with witness(roomy) as watching, reading(roomy, 10 * 80_000) as reader:
        reader.start(count=1_000_000, pad=1000)
        until = time.monotonic() + 4 * SEND_SECONDS
        number = 0
        while time.monotonic() < until:
            size, begin = reader.head()
            said = NUMBER.match(begin)
            assert said is not None, begin
            assert int(said[1]) == number
            reader.skip(size - len(begin))
            number += 1
        statistics = watching.ask("statistics")
        assert statistics["stalls"] == 0
        assert statistics["connections"] == 2
