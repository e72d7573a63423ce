"""Forking: worlds by the thousand, on more than one processor.

A world is decided by its seed, so a process that finds one that fails need not
say more than the seed: whoever asked runs it again, and sees it fail.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar, final

T = TypeVar("T")


@final
class Child:
    """A process that calls a function, and what that returned."""

    def __init__(self, function: Callable[[], object]) -> None:
        read, write = os.pipe()
        with warnings.catch_warnings():
            # Of other threads, which are not there in the child: it needs none.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if not self._pid:  # pragma: no cover - its records end with it
            # A debugger or a coverage tool would only make it slow.
            sys.settrace(None)
            os.close(read)
            with open(write, "wb") as file:
                run_in_child(function, file)
            os._exit(0)
        os.close(write)
        self._file = open(read, "rb")  # noqa: SIM115 - closed by wait()

    def wait(self) -> bytes:
        """Wait for it; return what it has written."""
        with self._file:
            written = self._file.read()
        os.waitpid(self._pid, 0)
        return written


def run_in_child(function: Callable[[], object], file: BinaryIO) -> None:
    """Write what *function* returns to *file*."""
    try:
        pickle.dump(function(), file)
    except BaseException as error:
        # Nothing may get out of here, up into what the parent was doing.
        sys.excepthook(type(error), error, error.__traceback__)


def in_processes(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Call all of *functions* at the same time, each in a process of its own.

    What they return must be what pickle can carry.

    Raises:
        ChildProcessError: One of the processes has died.
    """
    children = [Child(function) for function in functions]
    results: list[T] = []
    for written in [child.wait() for child in children]:
        if not written:
            raise ChildProcessError("a process that explored worlds has died")
        results.append(pickle.loads(written))
    return results
