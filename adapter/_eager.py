"""Eager: the first step of a coroutine, taken in the midst of another task.

Most sends have nothing to wait for.  To wake a task for each costs a good part of
what the send itself does; so its first step is taken where it is asked for, and only
what is left then, if anything, is for the task.

The law: to all that the coroutine calls, it runs in that task from its first step to
its last, with that task's context.  asyncio's alone: a step of Trio's always has
something to wait for.
"""

from __future__ import annotations

import asyncio
from asyncio import tasks as native
from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any, final


@final
class Begun:
    """A coroutine that has taken its first step: to be awaited, or closed."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: object) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        # Await itself takes only what has not begun.
        step, value = self._coroutine.send, self._waits_for
        while True:
            answer: Any = None
            try:
                answer = yield value
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:
                step, answer = self._coroutine.throw, error
            else:
                step = self._coroutine.send
            try:
                value = step(answer)
            except StopIteration:
                return

    def close(self) -> None:
        """It will not go on."""
        self._coroutine.close()


@final
class Eager:
    """Takes first steps for the asyncio task that makes this, which must sleep.

    Args:
        context: The context of that task.
    """

    __slots__ = ("_context", "_loop", "_task")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task = task

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> Begun | None:
        """Take the first step of *coroutine*.

        Returns:
            None if that was its last; else what the task has to await.

        Raises:
            Exception: What *coroutine* has raised.
        """
        loop, task = self._loop, self._task
        running = asyncio.current_task(loop)
        # What asyncio offers to those who write tasks of their own.
        if running is not None:
            native._leave_task(loop, running)
        native._enter_task(loop, task)
        try:
            waits_for = self._context.run(coroutine.send, None)
        except StopIteration:
            return None
        finally:
            native._leave_task(loop, task)
            if running is not None:
                native._enter_task(loop, running)
        return Begun(coroutine, waits_for)
