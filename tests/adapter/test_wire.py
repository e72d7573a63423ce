"""The wire, through a real hypercorn in this process and a bare TCP client."""

from __future__ import annotations

import importlib.metadata
import logging
import socket
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.abc
import pytest

from greenroom.adapter import Message, TransportClosed
from greenroom.adapter import _tested as tested_module
from greenroom.adapter._hypercorn import find_stopping, may_accept, spare_window
from greenroom.adapter._wire import drop, find_wire

from ..conftest import BACKENDS
from .stock import BINARY, CLOSE, PONG, TEXT, served
from .wired import App, wired

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Asyncio, then Trio, on the real clock: here are real sockets."""
    return request.param, BACKENDS[request.param]


async def test_messages_arrive_in_order_by_whichever_way(
    anyio_backend_name: str,
) -> None:
    async with wired(anyio_backend_name) as (wire, peer, app):
        assert wire.try_write(Message("one"))
        await wire.write(Message("two"))
        await app.send({"type": "websocket.send", "text": "three"})
        assert wire.try_write(Message(b"four"))
        assert not wire.unsent
        await wire.flush()
        got = [await peer.frame() for _ in range(4)]
        assert got == [
            (TEXT, b"one"),
            (TEXT, b"two"),
            (TEXT, b"three"),
            (BINARY, b"four"),
        ]


async def test_a_full_socket_takes_a_part_at_most_and_the_rest_goes_first(
    anyio_backend_name: str,
) -> None:
    block = "x" * 30_000
    async with wired(anyio_backend_name, small=True) as (wire, peer, _):
        written = 0
        while wire.try_write(Message(f"{written}{block}")):
            written += 1
            assert written < 1000
        # A pong of hypercorn's own must not get in between.
        await peer.send(0x9, b"ping")
        seen: list[bytes] = []
        async with anyio.create_task_group() as group:
            group.start_soon(wire.flush)
            group.start_soon(wire.write, Message("last"))
            while not seen or seen[-1] != b"last":
                first, payload = await peer.frame()
                assert first in (TEXT, PONG)
                if first == TEXT:
                    seen.append(payload)
        assert seen == [f"{n}{block}".encode() for n in range(written)] + [b"last"]


async def test_a_part_is_finished_by_another_task_than_the_one_that_began(
    anyio_backend_name: str,
) -> None:
    block = "x" * 1_000_000
    async with wired(anyio_backend_name, small=True) as (wire, peer, _):
        async with anyio.create_task_group() as group:
            assert wire.try_write(Message(block))
            assert wire.unsent == (anyio_backend_name == "trio")
            assert not wire.try_write(Message("not yet"))
            group.start_soon(wire.flush)
            assert await peer.frame() == (TEXT, block.encode())
        assert wire.try_write(Message("now"))
        assert await peer.frame() == (TEXT, b"now")


@pytest.mark.parametrize("by_peer", [True, False])
async def test_nothing_follows_a_close_frame(
    anyio_backend_name: str, by_peer: bool
) -> None:
    async with wired(anyio_backend_name) as (wire, peer, app):
        if by_peer:
            await peer.send(0x8, b"\x03\xe8")
        else:
            await app.send({"type": "websocket.close", "code": 1000})
        assert (await peer.frame())[0] == CLOSE
        assert not wire.try_write(Message("late"))
        with pytest.raises(TransportClosed):
            await wire.write(Message("later"))


async def test_aborted_the_peer_is_dropped_without_a_word(
    anyio_backend_name: str,
) -> None:
    async with wired(anyio_backend_name, small=True) as (wire, peer, app):
        wire.abort()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await peer.frame()
        await app.leave.wait()
        assert not wire.try_write(Message("late"))
        with pytest.raises(TransportClosed):
            await wire.write(Message("later"))


async def test_a_peer_that_vanishes_ends_a_write_that_waits(
    anyio_backend_name: str,
) -> None:
    async with wired(anyio_backend_name, small=True) as (wire, peer, _):
        raised: list[TransportClosed] = []

        async def write() -> None:
            try:
                while True:
                    await wire.write(Message("x" * 100_000))
            except TransportClosed as closed:
                raised.append(closed)

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            raw = peer.stream.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await peer.stream.aclose()
        assert raised[0].code == 1006


async def test_a_write_that_is_cancelled_half_way_takes_the_connection_along(
    anyio_backend_name: str,
) -> None:
    async with wired(anyio_backend_name, small=True) as (wire, peer, _):
        async with anyio.create_task_group() as group:
            group.start_soon(wire.write, Message("x" * 1_000_000))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        if anyio_backend_name == "trio":
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await peer.frame()
        else:  # it has a copy of its own, and goes on
            assert await peer.frame() == (TEXT, b"x" * 1_000_000)


@pytest.mark.parametrize("offer", [b"", b"; server_max_window_bits=9"])
async def test_large_messages_are_compressed_where_the_peer_can_read_that(
    anyio_backend_name: str, offer: bytes
) -> None:
    extra = b"sec-websocket-extensions: permessage-deflate%s\r\n" % offer
    async with wired(anyio_backend_name, extra) as (wire, peer, _):
        message = Message("x" * 5000)
        assert wire.try_write(message)
        first, payload = await peer.frame()
        if offer:
            assert (first, payload) == (TEXT, b"x" * 5000)
        else:
            assert first == 0x80 | 0x40 | 0x1
            assert len(payload) < 100


async def test_what_is_to_be_accepted_may_be(anyio_backend_name: str) -> None:
    async with wired(anyio_backend_name) as (_, _, app):
        assert app.accepts


async def test_what_hypercorn_has_begun_to_refuse_is_not_accepted(
    anyio_backend_name: str,
) -> None:
    app = App()
    app.ahead = anyio.Event()
    async with (
        served(app, anyio_backend_name) as server,
        server.connect(behind=b"\x81") as (_, head),
    ):
        assert head.startswith(b"HTTP/1.1 400")
        app.ahead.set()
        await app.accepted.wait()
        assert app.accepts is False
        app.leave.set()


async def test_it_is_known_when_hypercorn_has_been_told_to_stop(
    anyio_backend_name: str,
) -> None:
    app = App()
    async with served(app, anyio_backend_name) as server, server.connect():
        await app.accepted.wait()
        stopping = find_stopping(app.send)
        assert stopping is not None
        server.stop.set()
        await stopping.wait()
        app.leave.set()


async def test_a_client_is_asked_to_compress_each_message_by_itself(
    anyio_backend_name: str,
) -> None:
    extra = b"sec-websocket-extensions: permessage-deflate\r\n"
    app = App()
    async with (
        served(app, anyio_backend_name) as server,
        server.connect(extra) as (_, head),
    ):
        assert b"permessage-deflate; client_no_context_takeover\r\n" in head
        await app.accepted.wait()
        app.leave.set()


@pytest.mark.parametrize("veiled", [False, True])
async def test_without_a_wire_too_the_peer_can_be_dropped(
    anyio_backend_name: str, veiled: bool
) -> None:
    async with wired(anyio_backend_name) as (_, peer, app):
        drop(veil(app.send) if veiled else app.send)
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await peer.frame()
        await app.leave.wait()


# -- where there is no wire -------------------------------------------------


def veil(send: Any) -> Any:
    """*send* with something around it, as Starlette does."""

    async def sender(message: Any) -> None:
        await send(message)

    return sender


async def test_behind_middleware_there_is_none_but_it_is_known_when_to_stop(
    anyio_backend_name: str,
) -> None:
    app = App()
    async with served(app, anyio_backend_name) as server, server.connect():
        await app.accepted.wait()
        send = veil(veil(app.send))
        assert find_wire(send) is None
        assert find_stopping(send) is find_stopping(app.send) is not None
        app.leave.set()


async def test_middleware_that_goes_round_in_circles_is_left_alone() -> None:
    async def send(message: Any) -> None:
        await send(message)

    def plain(message: Any) -> None: ...

    assert find_stopping(send) is None
    assert find_stopping(veil(plain)) is None
    assert find_stopping(anyio.to_thread.run_sync) is None
    drop(send)


async def test_any_other_send_has_none(anyio_backend_name: str) -> None:
    async def send(message: Any) -> None: ...

    assert find_wire(send) is None
    assert find_stopping(send) is None
    assert await may_accept(send)
    spare_window(send)
    drop(send)


class WSStream:
    """As much of hypercorn's as says who it is."""

    __module__ = "hypercorn.protocol.ws_stream"
    closed = False

    def __init__(self, protocol: object) -> None:
        self.send = getattr(protocol, "stream_send", None)

    async def app_send(self, message: Any) -> None: ...


class H11Protocol:
    def __init__(self, server: object) -> None:
        self.send = getattr(server, "protocol_send", None)

    async def stream_send(self, event: Any) -> None: ...


class H2Protocol(H11Protocol):
    """Shared by several streams."""


class TCPServer(SimpleNamespace):
    async def protocol_send(self, event: Any) -> None: ...


async def test_a_stream_of_http2_has_none() -> None:
    assert find_wire(WSStream(H2Protocol(TCPServer())).app_send) is None


async def test_who_is_lost_has_no_socket_with_tls_and_is_dropped_all_the_same() -> None:
    aborted: list[bool] = []
    transport = SimpleNamespace(
        get_extra_info={"socket": None}.get, abort=lambda: aborted.append(True)
    )
    server = TCPServer(writer=SimpleNamespace(transport=transport))
    drop(WSStream(H11Protocol(server)).app_send)
    assert aborted == [True]


async def test_with_tls_trio_has_none() -> None:
    server = TCPServer(stream=SimpleNamespace())
    assert find_wire(WSStream(H11Protocol(server)).app_send) is None


async def test_a_hypercorn_with_other_insides_has_none_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    send = WSStream(H11Protocol(TCPServer())).app_send
    assert find_wire(send) is None
    assert find_wire(send) is None
    drop(send)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "plain ASGI" in caplog.text


@pytest.mark.parametrize("found", ["0.19.0", None])
async def test_another_hypercorn_has_none_and_that_is_said_once(
    found: str | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(tested_module, "version", version)
    send = WSStream(H11Protocol(TCPServer())).app_send
    assert find_wire(send) is None
    assert find_stopping(send) is None
    assert len(caplog.records) == 1
    assert "is not the 0.18.x this was tested with" in caplog.text
