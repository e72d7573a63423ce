"""What the tests of the adapter share: an adapter with the usual handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, ActorRef, Client, Options
from greenroom.testing import MemoryClient, MemoryPeer, connect, connect_raw


class Chat:
    """An adapter with the usual handlers, and what they have seen.

    Its clients can ``call`` ``sid`` (who they are), ``join`` and ``leave`` a room,
    ``echo`` anything, and ``wait``, which lasts until `release` is called.
    """

    def __init__(self, *, debug: bool = False, **options: Any) -> None:
        self.options = Options(**options)
        self.adapter = ActorAdapter(options=self.options, debug=debug)
        # The client as its handlers see it, by sid.
        self.clients: dict[str, Client] = {}
        # The sids of on_disconnect, in order, each with code and reason.
        self.gone: list[tuple[str, int | None, str]] = []
        # The data of each message that a handler was given.
        self.handled: list[object] = []
        # How "wait" ended: "released" or "cancelled", and when.
        self.waits: list[tuple[str, float]] = []
        self.waiting = 0
        self._released = anyio.Event()
        adapter = self.adapter

        @adapter.on_connect()
        def hello(event: str, client: Client, data: Any) -> None:
            self.clients[client.sid] = client

        @adapter.on("sid")
        def sid(event: str, client: Client, data: Any) -> str:
            return client.sid

        @adapter.on("join")
        async def join(event: str, client: Client, data: Any) -> None:
            await client.join(data)

        @adapter.on("leave")
        async def leave(event: str, client: Client, data: Any) -> None:
            await client.leave(data)

        @adapter.on("echo")
        def echo(event: str, client: Client, data: Any) -> object:
            self.handled.append(data)
            return data

        @adapter.on("wait")
        async def wait(event: str, client: Client, data: Any) -> None:
            self.waiting += 1
            try:
                await self._released.wait()
                self.waits.append(("released", anyio.current_time()))
            except anyio.get_cancelled_exc_class():
                self.waits.append(("cancelled", anyio.current_time()))
                raise
            finally:
                self.waiting -= 1

        @adapter.on_disconnect()
        async def bye(event: str, client: Client, data: Any) -> None:
            self.gone.append((client.sid, client.close_code, client.close_reason))

    def release(self) -> None:
        """End every ``wait``."""
        released, self._released = self._released, anyio.Event()
        released.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Chat]:
        """Run the adapter, and look at the end whether anything is left."""
        async with self.adapter.running():
            yield self
        statistics = self.adapter.statistics()
        assert statistics.connections == 0
        assert statistics.rooms == 0
        assert statistics.inbound.pending == 0
        assert statistics.outbound.pending == 0
        self.check()

    @asynccontextmanager
    async def client(
        self, *rooms: str, max_frames: int = 16
    ) -> AsyncGenerator[tuple[MemoryClient, str]]:
        """A client that is in *rooms*, and its sid."""
        async with connect(self.adapter, max_frames=max_frames) as client:
            for room in rooms:
                await client.call("join", room)
            yield client, await client.call("sid")

    @asynccontextmanager
    async def peer(self, *, max_frames: int = 16) -> AsyncGenerator[MemoryPeer]:
        """A client that speaks in frames."""
        async with connect_raw(self.adapter, max_frames=max_frames) as peer:
            yield peer

    def connections(self) -> list[ActorRef[Any]]:
        """The refs of all connections that their supervisor knows."""
        server = self.adapter._server  # pyright: ignore[reportPrivateUsage]  # nothing public tells
        supervisor = server._supervisor  # pyright: ignore[reportPrivateUsage]  # likewise
        assert supervisor is not None
        return [child.ref for child in supervisor.children() if child.ref is not None]

    def check(self) -> None:
        """Conservation: nothing is lost without a dead letter."""
        statistics = self.adapter.statistics()
        for flow in (statistics.inbound, statistics.outbound):
            assert flow.accepted == flow.handled + flow.dead_lettered + flow.pending
            assert flow.pending >= 0


def on_asyncio() -> bool:
    """Whether the event loop is asyncio's, whose tasks anybody may cancel."""
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


def named(log: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """The records of one event."""
    return [
        record.__dict__
        for record in log.records
        if record.__dict__.get("event") == name
    ]


async def until(happened: Callable[[], object]) -> None:
    """Let other tasks run until something has happened; time stands still."""
    for _ in range(10_000):
        if happened():
            return
        await anyio.lowlevel.checkpoint()
    raise AssertionError("it has not happened")


def at_once(awaitable: Any) -> Any:
    """Run a coroutine to its end by hand; it must not suspend."""
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    awaitable.close()
    raise AssertionError("it has suspended")
