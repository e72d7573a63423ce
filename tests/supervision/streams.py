"""What streams run, below a supervisor that must have nothing left in the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from greenroom import ActorSystem, Stream, TaskSupervisor

from .kit import Boom


@asynccontextmanager
async def supervising(**options: Any) -> AsyncGenerator[TaskSupervisor]:
    """A task supervisor; in the end no task is left, and no message lost."""
    tasks = TaskSupervisor(**options)
    async with ActorSystem() as system:
        await system.spawn(tasks, name="tasks")
        yield tasks
        assert tasks.children() == ()
        assert system.dead_letters.total == 0


class Load:
    """What streams run: how many at a time, and which began."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.running = 0
        self.peak = 0

    async def work(self, item: Any) -> Any:
        """Take *item* seconds, and return it; fail with what is no number."""
        self.began.append(item)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if not isinstance(item, int | float):
                raise Boom(item)
            await anyio.sleep(item)
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(item)
            raise
        finally:
            self.running -= 1
        self.ended.append(item)
        return item


async def take(stream: Stream[object], taken: list[object] | None = None) -> None:
    """Take all results; write them down in *taken*."""
    async with stream as results:
        async for each in results:
            if taken is not None:
                taken.append(each)
