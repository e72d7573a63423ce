"""What a supervisor hears of its children, through its system lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, final

from ..actors import Cell, ExitReason
from ._child import Child, Retry


@final
@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """A child has exited and is to be started again."""

    child: Child
    # A child may have got a new cell by the time this is read, and a cell a new
    # incarnation: then it is old news.
    cell: Cell[Any]
    incarnation: int
    reason: ExitReason
    at: float

    @property
    def is_current(self) -> bool:
        """Whether nobody has ended the child, or started it again, meanwhile."""
        child, cell = self.child, self.cell
        same = child.cell is cell and cell.incarnation == self.incarnation
        return same and not child.ending


@final
@dataclass(frozen=True, slots=True)
class Escalated:
    """A child has ended by what only the one above can deal with."""

    path: str
    reason: ExitReason


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """Those children have ended without which there is nothing more to do."""


FamilyNews: TypeAlias = Failed | Escalated | Finished | Retry
# To tell it from what users send.
FAMILY_NEWS = (Failed, Escalated, Finished, Retry)
