"""A writer with a peer, and what it has reported."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from greenroom import ActorSystem, Options, Undelivered
from greenroom.adapter import Bundle, Frame, Message, TransportClosed
from greenroom.adapter._acks import Acks
from greenroom.adapter._addressee import STALLED
from greenroom.adapter._couriers import couriers_of
from greenroom.adapter._outgoing import Outgoing, outbox_options
from greenroom.adapter._writer import Writer
from greenroom.testing import MemoryTransport


class Plain:
    """A transport that takes nothing at once, as ASGI has it."""

    direct = unsent = False

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def send(self, frame: Frame) -> None:
        # Without a checkpoint, as hypercorn does it on asyncio.
        if not self._transport.try_send(Message(frame)):
            await self._transport.send(frame)

    def try_send(self, message: Message) -> bool:
        return False

    def try_send_all(self, bundle: Bundle[Message]) -> int:
        return 0


class Desk:
    """A writer with a peer, and what it has reported."""

    #: Whether the transport takes messages at once.
    direct = True

    def __init__(self, system: ActorSystem, max_frames: int, **options: Any) -> None:
        self.system = system
        self.transport = MemoryTransport(max_frames)
        self.peer = self.transport.peer
        transport: Any = self.transport if self.direct else Plain(self.transport)
        self.reports: list[object] = []
        self.options = Options(**options)
        self.acks = Acks("~sid", system.runtime, 10)
        self.writer = Writer(
            "/_connections/~sid",
            transport,
            self.acks,
            system.runtime,
            outbox_options(self.options),
            self.options.send_seconds,
            self,
            couriers_of(system.runtime),
        )
        self.outbox = self.writer.outbox

    def too_slow(self, cause: str) -> None:
        self.reports.append(cause)
        if cause == STALLED:
            self.writer.abandon()
        else:
            self.writer.finish(1013, cause, drop=True)

    def lost(self, code: int, reason: str) -> None:
        self.reports.append((code, reason))
        self.writer.abandon()

    def count(self, what: str) -> None:
        self.reports.append(f"counted: {what}")

    def put(self, *frames: str) -> None:
        for frame in frames:
            self.outbox.put(Outgoing(frame))

    async def read(self, count: int) -> list[object]:
        return [await self.peer.receive() for _ in range(count)]

    async def close_code(self) -> int:
        with pytest.raises(TransportClosed) as closed:
            await self.peer.receive()
        return closed.value.code

    def buried(self) -> list[tuple[object, Undelivered]]:
        letters = self.system.dead_letters.latest
        assert {letter.recipient for letter in letters} <= {"/_connections/~sid"}
        return [(letter.message, letter.why) for letter in letters]

    def check(self) -> None:
        """Each accepted frame is written, or a dead letter, or waits."""
        numbers = self.outbox.statistics()
        assert (
            numbers.accepted
            == numbers.handled + numbers.dead_lettered + numbers.pending
        )
        assert numbers.dead_lettered == self.system.dead_letters.total


@asynccontextmanager
async def desk(max_frames: int = 16, **options: Any) -> AsyncGenerator[Desk]:
    async with ActorSystem() as system:
        desk = Desk(system, max_frames, **options)
        desk.writer.start()
        yield desk
        desk.peer.unstall()
        desk.writer.abandon()
        await desk.writer.ended.wait()
        desk.check()
        assert desk.outbox.pending == 0
