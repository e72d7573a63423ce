"""Table: a tree as lines of text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

_GAP = "  "
# The first column is cut last, the second first.
_FIRST_AT_LEAST = 16
_SECOND_AT_LEAST = 8
_SECOND_AT_MOST = 20


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One line, what else there is to say, and the rows below it.

    Attributes:
        name: What stands behind the branches of the tree.
        cells: The other columns, of which the first is never empty everywhere and
            may be cut short.
        notes: Lines of their own below it.
        below: Its branches.
        more: What stands in place of further branches; empty if there are none.
    """

    name: str
    cells: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    below: tuple[Row, ...] = ()
    more: str = ""


def draw(head: Row, root: Row, width: int) -> str:
    """The tree below *root* as a table of at most *width* columns.

    Wider only where the columns that cannot be cut leave nothing to cut from.
    """
    lines = [("", "", head), *_branches(root, "", "")]
    table = [row.cells for _, _, row in lines if row.cells]
    # Nothing but a heading is no column.
    kept = [n for n in range(len(head.cells)) if any(row[n] for row in table[1:])]
    widths = [max(len(row[n]) for row in table) for n in kept]
    longest = max(len(lead + row.name) for lead, _, row in lines if row.cells)
    rest = width - sum(widths[1:]) - len(_GAP) * len(widths)
    at_least = min(longest, _FIRST_AT_LEAST)
    second = min(widths[0], _SECOND_AT_MOST, rest - at_least)
    widths[0] = max(second, min(widths[0], _SECOND_AT_LEAST))
    first = max(at_least, min(longest, rest - widths[0]))
    text: list[str] = []
    for lead, hang, row in lines:
        if row.cells:
            cells = _columns([row.cells[n] for n in kept], widths)
            text.append(f"{_cut(lead + row.name, first)}{_GAP}{cells}".rstrip())
        else:
            text.extend(_wrap(lead + row.name, hang + "  ", width))
        for note in row.notes:
            text.extend(_wrap(hang + "  " + note, hang + "    ", width))
    return "\n".join(text)


def _branches(row: Row, lead: str, hang: str) -> Iterator[tuple[str, str, Row]]:
    """Each row, with what stands before its name and before its notes."""
    below = [*row.below, Row(row.more)] if row.more else row.below
    # The line down to its children goes on beside its notes.
    yield lead, hang + ("│" if below else " "), row
    for index, child in enumerate(below):
        last = index == len(below) - 1
        branch, down = ("└── ", "    ") if last else ("├── ", "│   ")
        yield from _branches(child, hang + branch, hang + down)


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(_cut(cell, w) for cell, w in zip(cells, widths, strict=True))


def _cut(text: str, width: int) -> str:
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.ljust(width)


def _wrap(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def seconds(value: float) -> str:
    """A duration, as exact as somebody who reads it wants it."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    if value < 7200:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h"


def counted(number: int, singular: str, plural: str) -> str:
    """A number of things."""
    return f"{number:,} {singular if number == 1 else plural}"
