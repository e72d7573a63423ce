"""Many receivers that wait: fan-out to all, and what a crowd costs one message."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from greenroom import Actor, ActorSystem

from .duel import Duel, Finish, Turn

CROWD: Final = 5000
#: Crowds over which the cost of one message should not change.
SIZES: Final = (10, 100, 1_000, 10_000, 100_000)
_MESSAGES: Final = 10_000
#: Messages on their way at once; the smallest crowd gets one each.
_AT_ONCE: Final = 10
#: A prime, so that neighbours in time are no neighbours in memory.
_STRIDE: Final = 7919

Tell = Callable[[object], None]
#: A crowd of so many receivers: how to tell each of them, and their finish.
Crowd = Callable[[int], AbstractAsyncContextManager[tuple[list[Tell], Finish]]]


@asynccontextmanager
async def streams(size: int) -> AsyncGenerator[tuple[list[Tell], Finish], None]:
    """A stream and a task for each receiver."""
    finish = Finish()

    async def consume(receive: MemoryObjectReceiveStream[object]) -> None:
        async for _ in receive:
            finish.arrived()

    pairs = [anyio.create_memory_object_stream[object](1024) for _ in range(size)]
    async with anyio.create_task_group() as group:
        for _, receive in pairs:
            group.start_soon(consume, receive)
        await anyio.wait_all_tasks_blocked()
        yield [send.send_nowait for send, _ in pairs], finish
        for send, _ in pairs:
            send.close()
    for _, receive in pairs:
        receive.close()


class _Member(Actor[object]):
    def __init__(self, finish: Finish) -> None:
        self._finish = finish

    async def receive(self, message: object) -> None:
        self._finish.arrived()


@asynccontextmanager
async def actors(size: int) -> AsyncGenerator[tuple[list[Tell], Finish], None]:
    """A supervised actor for each receiver."""
    finish = Finish()
    async with ActorSystem() as system:
        refs = [await system.spawn(lambda: _Member(finish)) for _ in range(size)]
        yield [ref.tell for ref in refs], finish


@asynccontextmanager
async def _fanout(crowd: Crowd) -> AsyncGenerator[Turn, None]:
    async with crowd(CROWD) as (tells, finish):

        async def turn() -> float:
            start = time.process_time()
            finish.expect(CROWD)
            for tell in tells:
                tell("news")
            await finish.wait()
            return (time.process_time() - start) / CROWD

        yield turn


async def scattered(tells: list[Tell], finish: Finish) -> float:
    """Tell members here and there; return processor seconds for each message."""
    size = len(tells)
    start = time.process_time()
    for first in range(0, _MESSAGES, _AT_ONCE):
        finish.expect(_AT_ONCE)
        for number in range(first, first + _AT_ONCE):
            tells[number * _STRIDE % size]("news")
        await finish.wait()
    return (time.process_time() - start) / _MESSAGES


FANOUT: Final = Duel(
    f"fan-out to {CROWD:,} idle", partial(_fanout, streams), partial(_fanout, actors)
)
