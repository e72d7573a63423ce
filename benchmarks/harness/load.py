"""The load: many clients on one core, doing as little as possible for each frame.

They run on picows under uvloop.  A client that is not measured at the moment
reads text; one that is measured looks at the size of a frame and no further.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]  # untyped **kwargs
)

from . import machine
from .dialect import Dialect, client_frame
from .server import Server

_CONNECT_SECONDS = 30.0
_ANSWER_SECONDS = 30.0
_AT_ONCE = 50


class Client(WSListener):
    """One connection.  Subclasses take the frames they measure, pass on the rest."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._raw: asyncio.Transport | None = None
        self._waiting: asyncio.Future[str] | None = None
        #: Done when the greeting is over; fails when the server hangs up.
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._raw = transport.underlying_transport
        if not self._dialect.greets:
            self.ready.set_result(None)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        text = frame.get_payload_as_utf8_text()
        answer = self._dialect.answer(text)
        if answer is not None:
            self.write(client_frame(answer))
        elif not self.ready.done() and self._dialect.is_ready(text):
            self.ready.set_result(None)
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(text)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for future in (self.ready, self._waiting):
            if future is not None and not future.done():
                future.set_exception(ConnectionError("the server hung up"))

    def write(self, frame: bytes) -> None:
        """Write a frame built before."""
        assert self._raw is not None, "written before it was connected"
        self._raw.write(frame)

    def say(self, name: str, data: object) -> bytes:
        """Build the frame of an event."""
        return client_frame(self._dialect.event(name, data))

    def listen(self) -> asyncio.Future[str]:
        """Get the next event, when it comes."""
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    async def ask(self, frame: bytes) -> str:
        """Write *frame* and wait for the next event."""
        heard = self.listen()
        self.write(frame)
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await heard


C = TypeVar("C", bound=Client)


@dataclass(frozen=True, slots=True)
class Connection(Generic[C]):
    """A client and the socket below it."""

    client: C
    transport: WSTransport


async def connect(
    server: Server, make: Callable[[Dialect], C], count: int, *, first: int = 0
) -> list[Connection[C]]:
    """Open *count* connections, greeting included; offers no compression.

    *first* is how many this server has already: one address has ports for some ten
    thousand connections to it, and the next come from another.
    """
    ports = machine.ports_of_one_address()
    url = f"ws://127.0.0.1:{server.port}{server.subject.dialect.path}"
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> Connection[C]:
        # The whole of 127.0.0.0/8 is this machine.  The first address is not named:
        # the kernel knows better than anyone which of its ports are free.
        address = number // ports
        source = (f"127.0.1.{address}", 0) if address else None
        client = make(server.subject.dialect)
        async with turn, asyncio.timeout(_CONNECT_SECONDS):
            transport, _ = await ws_connect(
                lambda: client,
                url,
                websocket_handshake_timeout=_CONNECT_SECONDS,
                read_buffer_init_size=4096,
                local_addr=source,
            )
            await client.ready
        return Connection(client, transport)

    return await asyncio.gather(*(one(first + i) for i in range(count)))


async def join(connections: list[Connection[C]], *, at_once: int = 1) -> None:
    """Bring every client into the room, each waiting for the server's word."""
    for start in range(0, len(connections), at_once):
        clients = [c.client for c in connections[start : start + at_once]]
        await asyncio.gather(*(c.ask(c.say("join", None)) for c in clients))


async def close(connections: list[Connection[C]]) -> None:
    """Close every connection properly, and wait until all sockets are gone."""
    for connection in connections:
        connection.transport.send_close()
        connection.transport.disconnect()
    async with asyncio.timeout(_ANSWER_SECONDS):
        await asyncio.gather(*(c.transport.wait_disconnected() for c in connections))


def abandon(connections: list[Connection[C]]) -> None:
    """Drop every connection, for a server that is about to be killed."""
    for connection in connections:
        connection.transport.disconnect(graceful=False)


@dataclass(slots=True)
class Effort:
    """How long a timed section took, and who worked for what share of it."""

    seconds: float = 0.0
    #: The load client, on its core.
    load: float = 0.0
    #: The server, on its own.
    server: float = 0.0
    #: Anybody else on the server's core: the figure is disturbed.
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """How many a second, and at whose expense."""

    per_second: float
    effort: Effort


@contextmanager
def timed(server: Server) -> Generator[Effort, None, None]:
    """Time a section, and the work of both sides in it."""
    effort = Effort()
    # The load's own collections would be pauses the server is blamed for.
    gc.collect()
    gc.disable()
    try:
        core_busy = machine.core_busy(server.core)
        server_cpu = server.cpu_seconds()
        load_cpu = time.process_time()
        start = time.perf_counter()
        yield effort
        effort.seconds = time.perf_counter() - start
        effort.load = (time.process_time() - load_cpu) / effort.seconds
        effort.server = (server.cpu_seconds() - server_cpu) / effort.seconds
        busy = (machine.core_busy(server.core) - core_busy) / effort.seconds
        effort.others = max(0.0, busy - effort.server)
    finally:
        gc.enable()
