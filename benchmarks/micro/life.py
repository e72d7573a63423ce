"""From nothing to nothing: spawn and stop of one receiver."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectReceiveStream

from greenroom import Actor, ActorSystem, Restart

from .duel import Duel, Turn

_LIVES: Final = 300


async def _consume(
    receive: MemoryObjectReceiveStream[object], over: anyio.Event
) -> None:
    async with receive:
        async for _ in receive:
            pass
    over.set()


@asynccontextmanager
async def _stream(messages: int) -> AsyncGenerator[Turn, None]:
    """A task in a task group; nobody waits for its start or hears of its failure."""
    async with anyio.create_task_group() as group:

        async def live() -> float:
            start = time.process_time()
            for _ in range(_LIVES):
                send, receive = anyio.create_memory_object_stream[object](1024)
                over = anyio.Event()
                group.start_soon(_consume, receive, over)
                for number in range(messages):
                    await send.send(number)
                send.close()
                await over.wait()
            return (time.process_time() - start) / _LIVES

        yield live


class _Idle(Actor[object]):
    async def receive(self, message: object) -> None: ...


@asynccontextmanager
async def _actor(messages: int) -> AsyncGenerator[Turn, None]:
    async with ActorSystem() as system:

        async def live() -> float:
            start = time.process_time()
            for _ in range(_LIVES):
                ref = await system.spawn(_Idle, restart=Restart.TEMPORARY)
                for number in range(messages):
                    await ref.send(number)
                # A stop overtakes what waits; the stream's side reads it all.
                while ref.statistics().pending:
                    await checkpoint()
                await ref.stop()
            return (time.process_time() - start) / _LIVES

        yield live


LIVES: Final = tuple(
    Duel(name, partial(_stream, messages), partial(_actor, messages))
    for name, messages in (("spawn and stop", 0), ("spawn, message, stop", 1))
)
