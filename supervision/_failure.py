"""Failure: what is remembered of how an actor failed.

Names and places, never values: what an exception says may hold the message that
it is about, and the exception itself holds on to all that was there.  The whole
of it was in the log once.
"""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from types import TracebackType
from typing import Any, final

from ..actors import Cell, ExitReason, GaveUp, error_of

_KINDS = "stdlib", "platstdlib", "purelib", "platlib"
_LIBRARIES = (
    *(sysconfig.get_path(kind) + os.sep for kind in _KINDS),
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    "<frozen ",
)


@final
@dataclass(frozen=True, slots=True)
class Failure:
    """How an actor last failed.

    Attributes:
        path: The actor.
        reason: The name of its exit reason, for example ``"Crashed"``.
        error: The name of the exception's class; None if there was none.
        where: File, line and function that raised it, if it was raised: the last of
            the program's own on the way there.
        child: After `GaveUp`: whose failure was one too many.
        at: When, on the clock of the runtime; see `Tree.at`.
    """

    path: str
    reason: str
    error: str | None
    where: str | None
    child: str | None
    at: float

    def __str__(self) -> str:
        text = self.reason
        if self.child is not None:
            text += f" over {self.child}"
        if self.error is not None:
            text += f", {self.error}"
        if self.where is not None:
            text += f" at {self.where}"
        return text


@final
@dataclass(frozen=True, slots=True, eq=False)
class GivenUp:
    """An actor that cannot be killed, which its supervisor goes on without.

    Attributes:
        cell: Its cell, which has ended.
        kind: The name of its class.
        at: When it was given up.
    """

    cell: Cell[Any]
    kind: str
    at: float


def failure_of(path: str, reason: ExitReason, at: float) -> Failure:
    """What to remember of an actor that ended with *reason*."""
    error = error_of(reason)
    return Failure(
        path,
        type(reason).__name__,
        None if error is None else type(error).__name__,
        None if error is None else _origin(error.__traceback__),
        reason.child if isinstance(reason, GaveUp) else None,
        at,
    )


def is_own(filename: str) -> bool:
    """Whether that is a file of the program, and not of what it is built on."""
    return not filename.startswith(_LIBRARIES)


def place(filename: str, line: int | None, function: str) -> str:
    """A place in the code, for people."""
    return f"{filename.replace(chr(92), '/').rpartition('/')[2]}:{line} in {function}"


def _origin(traceback: TracebackType | None) -> str | None:
    if traceback is None:
        return None
    last = traceback
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
        filename = traceback.tb_frame.f_code.co_filename
        if is_own(filename) or not is_own(last.tb_frame.f_code.co_filename):
            last = traceback
    code = last.tb_frame.f_code
    return place(code.co_filename, last.tb_lineno, code.co_qualname)
