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

from ..actors import Cell
from ._failure import is_own, place


def standpoints(backend: str) -> dict[int, str | None]:
    """The place that each actor's task has come to, by the `id` of its cell.

    That is the innermost line of the program's own; if there is none, that of the
    actor's innermost method, or None.  An actor that is not in it has no task.  To
    be called in the event loop.
    """
    coroutines = _trio_coroutines() if backend == "trio" else _asyncio_coroutines()
    found: dict[int, str | None] = {}
    for coroutine in coroutines:
        # Its other tasks do not run in its cell.
        cell: Cell[Any] | None = None
        own = False
        for frame in _suspended_frames(coroutine):
            if cell is None:
                cell = cell_of(frame)
                if cell is not None:
                    found.setdefault(id(cell), None)
            elif is_own(frame.f_code.co_filename):
                own = True
                found[id(cell)] = place_of(frame)
            elif not own and _is_method_of(cell.actor, frame):
                found[id(cell)] = place_of(frame)
    return found


def is_cell(value: object) -> TypeGuard[Cell[Any]]:
    """Whether that is a cell."""
    return isinstance(value, Cell)


def cell_of(frame: FrameType) -> Cell[Any] | None:
    """The cell of which *frame* is the life, if it is one."""
    home = getattr(_local(frame, "Incarnation.live", "self"), "_home", None)
    return home if is_cell(home) else None


def path_of(frame: FrameType) -> str | None:
    """The actor, if *frame* is where its handler or one of its tasks begins."""
    cell = cell_of(frame)
    if cell is not None:
        return cell.path
    belongings = _local(frame, "_Task.run", "belongings")
    path: object = getattr(getattr(belongings, "home", None), "path", None)
    return path if isinstance(path, str) else None


def _local(frame: FrameType, function: str, name: str) -> object:
    """A variable of *frame*, if it is one of our own with such a name."""
    # Only of those that change none of theirs: before Python 3.13 a frame that was
    # looked at keeps what they were, whatever becomes of them.
    code = frame.f_code
    if is_own(code.co_filename) or not code.co_qualname.startswith(function):
        return None
    return frame.f_locals.get(name)


def _is_method_of(actor: object, frame: FrameType) -> bool:
    """Whether *frame* is, by its name, a method of *actor*."""
    owner = frame.f_code.co_qualname.rpartition(".")[0]
    return any(kind.__qualname__ == owner for kind in type(actor).__mro__)


def place_of(frame: FrameType) -> str:
    """The line that *frame* has come to."""
    code = frame.f_code
    return place(code.co_filename, frame.f_lineno, code.co_qualname)


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
