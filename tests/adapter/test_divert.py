"""What comes may be handed over by hypercorn's own task: in order, and nothing lost."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.lowlevel import checkpoint

from greenroom.adapter import Frame, TransportClosed
from greenroom.adapter._asgi import AsgiTransport
from greenroom.adapter._queue import Queue

from ..conftest import BACKENDS
from .stock import CLOSE, PONG, Peer, served

pytestmark = pytest.mark.anyio

# More than hypercorn's queue holds.
MANY = 40


@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Asyncio, then Trio, on the real clock: here are real sockets."""
    return request.param, BACKENDS[request.param]


class Hearing:
    """Who hears, and may be made to take its time."""

    def __init__(self) -> None:
        self.heard: list[Frame] = []
        self.end: tuple[int, str] | None = None
        self.ended = anyio.Event()
        self.goes_on = anyio.Event()
        self.goes_on.set()

    async def hear(self, frame: Frame) -> bool:
        await self.goes_on.wait()
        self.heard.append(frame)
        return True

    def lost(self, code: int, reason: str) -> None:
        self.end = code, reason
        self.ended.set()


class App:
    """Accepts when told to, and does with the transport what the test says."""

    def __init__(self) -> None:
        self.listener = Hearing()
        self.begins = anyio.Event()
        self.accepted = anyio.Event()
        self.diverted = anyio.Event()
        self.lingers = anyio.Event()
        self.done = anyio.Event()
        self.transport: AsgiTransport
        # hypercorn's own.
        self.stream: Any
        self.scope: Any = None
        self.wrapped = False
        # In front of this app: an app that reads ahead, and hands on from its own.
        self.ahead = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return

        async def passed_on() -> Any:
            return await receive()

        own = passed_on if self.wrapped else receive
        if self.ahead:
            own = await _read_ahead(receive)
        self.transport = transport = AsgiTransport(scope, own, send, 100)
        self.stream = getattr(send, "__self__", None)
        await transport.accept()
        self.accepted.set()
        await self.begins.wait()
        with suppress(TransportClosed):
            while not await transport.divert(self.listener):
                await self.listener.hear(await transport.receive())
            self.diverted.set()
            await self.lingers.wait()
            await transport.close(1000, "")
        await transport.linger(0.2)
        await transport.leave()
        self.done.set()


async def _read_ahead(receive: Any) -> Any:
    """The way out of a queue that looks like the server's own."""
    first = await receive()
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        queue.put_nowait(first)
        return queue.get
    import trio

    way_in, way_out = trio.open_memory_channel[Any](10)
    way_in.send_nowait(first)
    return way_out.receive


@asynccontextmanager
async def connected(app: App, backend: str) -> AsyncGenerator[Peer]:
    async with served(app, backend) as server, server.connect() as (peer, head):
        assert head.startswith(b"HTTP/1.1 101")
        await app.accepted.wait()
        yield peer
        app.begins.set()
        app.lingers.set()


async def pong(peer: Peer) -> None:
    """All that was sent before has been read."""
    await peer.send(0x9)
    while (await peer.frame())[0] != PONG:
        pass


async def test_messages_come_in_order_over_the_change(anyio_backend_name: str) -> None:
    app = App()
    expected = [str(number) for number in range(MANY)]
    async with connected(app, anyio_backend_name) as peer:
        # In one go: some in hypercorn's queue, one at its door, others unread.
        frame = b"".join(
            bytes((0x81, 0x80 | len(text))) + bytes(4) + text.encode()
            for text in expected
        )
        await peer.stream.send(frame)
        app.begins.set()
        await app.diverted.wait()
        await peer.send(0x1, b"last")
        await pong(peer)
        assert app.listener.heard == [*expected, "last"]


async def test_binary_messages_come_as_bytes(anyio_backend_name: str) -> None:
    app = App()
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await app.diverted.wait()
        await peer.send(0x2, b"\x00\xff")
        await peer.send(0x2)
        await pong(peer)
        assert app.listener.heard == [b"\x00\xff", b""]


async def test_a_listener_that_waits_is_not_handed_more(
    anyio_backend_name: str,
) -> None:
    app = App()
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await app.diverted.wait()
        app.listener.goes_on = anyio.Event()
        for text in (b"one", b"two"):
            await peer.send(0x1, text)
        # What hypercorn would answer, if it read on.
        await peer.send(0x9)
        with anyio.move_on_after(0.05) as waited:
            await peer.frame()
        assert waited.cancelled_caught
        assert app.listener.heard == []
        app.listener.goes_on.set()
        assert (await peer.frame())[0] == PONG
        assert app.listener.heard == ["one", "two"]


async def test_the_end_is_told_with_its_code(anyio_backend_name: str) -> None:
    app = App()
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await app.diverted.wait()
        await peer.send(0x8, b"\x03\xe8")
        await app.listener.ended.wait()
        assert app.listener.end is not None
        # hypercorn says 1006 for whatever the client said.
        assert app.listener.end[0] in (1000, 1005, 1006)
        assert not await app.transport.divert(app.listener)


async def test_who_lingers_sees_the_peer_go(anyio_backend_name: str) -> None:
    app = App()
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await app.diverted.wait()
        app.lingers.set()
        assert (await peer.frame())[0] == CLOSE
        # What it still says is taken, and nobody waits for more than its end.
        await peer.send(0x1, b"wait")
        await peer.send(0x8, b"\x03\xe8")
        await app.done.wait()
        assert app.listener.ended.is_set()


async def test_a_peer_that_stays_is_dropped(anyio_backend_name: str) -> None:
    app = App()
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await app.diverted.wait()
        app.lingers.set()
        assert (await peer.frame())[0] == CLOSE
        await app.done.wait()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await peer.frame()


async def test_a_peer_that_has_gone_before_is_not_waited_for(
    anyio_backend_name: str,
) -> None:
    app = App()
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await app.diverted.wait()
        await peer.send(0x8, b"\x03\xe8")
        await app.listener.ended.wait()
        app.lingers.set()
        await app.done.wait()
    assert app.listener.heard == []


async def test_behind_middleware_all_is_received(anyio_backend_name: str) -> None:
    app = App()
    app.wrapped = True
    async with connected(app, anyio_backend_name) as peer:
        app.begins.set()
        await peer.send(0x1, b"one")
        await pong(peer)
        with anyio.fail_after(5):
            while not app.listener.heard:
                await checkpoint()
        assert app.listener.heard == ["one"]
        assert not app.diverted.is_set()


async def test_a_queue_of_somebody_else_is_left_alone(anyio_backend_name: str) -> None:
    app = App()
    app.ahead = True
    async with connected(app, anyio_backend_name) as peer:
        assert not await app.transport.divert(app.listener)
        await peer.send(0x8, b"\x03\xe8")


async def test_who_waits_to_put_something_in_a_queue_without_room_is_seen(
    anyio_backend_name: str,
) -> None:
    if anyio_backend_name == "asyncio":
        pytest.skip("its queues have room for one at least")
    import trio
    import trio.testing

    way_in, way_out = trio.open_memory_channel[int](0)
    queue = Queue(way_out, SimpleNamespace(closed=False))
    assert not queue.in_use
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(way_in.send, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert queue.in_use
        assert await way_out.receive() == 1
    assert not queue.in_use


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_peer_that_is_reset_in_mid_flood_leaves_nothing(
    anyio_backend_name: str, wrapped: bool
) -> None:
    """hypercorn reports its end, and hands on what it has read before all the same."""
    app = App()
    app.wrapped = wrapped
    async with served(app, anyio_backend_name) as server:
        async with server.connect() as (peer, _):
            await app.accepted.wait()
            stream = weakref.ref(app.stream)
            del app.stream, app.transport
            tiny = b"\x81\x81\0\0\0\0x"
            await peer.stream.send(tiny * 40 + b"\x89\x80\0\0\0\0" + tiny * 30)
            raw = peer.stream.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        app.begins.set()
        app.lingers.set()
        with anyio.fail_after(10):
            while stream() is not None:
                await anyio.sleep(0.01)
                gc.collect()
