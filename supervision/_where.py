"""Where the code of an actor stands, seen from outside.

For an actor that is at one message for long: which of its lines waits.  Found by
going through all tasks of the event loop, so nothing is paid until somebody asks.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from types import FrameType
from typing import Any, TypeGuard

from ..actors import Actor, Cell
from ._failure import place


def standpoints(backend: str) -> dict[int, str | None]:
    """The place that each actor's task has come to, by the `id` of its cell.

    That is the innermost method of the actor's own that has not returned; None if
    there is none.  An actor that is not in it has no task.  To be called in the
    event loop.
    """
    coroutines = _trio_coroutines() if backend == "trio" else _asyncio_coroutines()
    found: dict[int, str | None] = {}
    for coroutine in coroutines:
        cell: object = None
        actor: object = None
        for frame in _suspended_frames(coroutine):
            subject = first_argument(frame)
            if cell is None:
                # Its other tasks do not run in its cell.
                if is_cell(subject):
                    cell = subject
                    # Unless it is somebody who waits for it.
                    found.setdefault(id(cell), None)
            elif is_actor(subject):
                # Not a supervisor that it gives an order to.
                actor = actor or subject
                if subject is actor:
                    found[id(cell)] = place_of(frame)
    return found


def is_cell(value: object) -> TypeGuard[Cell[Any]]:
    """Whether that is a cell."""
    return isinstance(value, Cell)


def is_actor(value: object) -> TypeGuard[Actor[Any]]:
    """Whether that is an actor."""
    return isinstance(value, Actor)


def place_of(frame: FrameType) -> str:
    """The line that *frame* has come to."""
    code = frame.f_code
    return place(code.co_filename, frame.f_lineno, code.co_qualname)


def first_argument(frame: FrameType) -> object:
    """What the function of *frame* was called with first: of a method, ``self``."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return frame.f_locals.get(names[0]) if names else None


def _suspended_frames(coroutine: object) -> Iterator[FrameType]:
    """From the outermost to the last that is a coroutine's."""
    while inspect.iscoroutine(coroutine):
        frame = coroutine.cr_frame
        assert frame is not None  # or its task would be gone
        yield frame
        coroutine = coroutine.cr_await


def _asyncio_coroutines() -> Iterator[object]:
    for task in asyncio.all_tasks():
        yield task.get_coro()


def _trio_coroutines() -> Iterator[object]:
    from trio.lowlevel import current_root_task

    root = current_root_task()
    assert root is not None
    tasks = [root]
    while tasks:
        task = tasks.pop()
        yield task.coro
        for nursery in task.child_nurseries:
            tasks.extend(nursery.child_tasks)
