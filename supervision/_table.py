"""Table: a tree as lines of text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

_GAP = "  "
_CLASS_WIDTH = 20
_PATH_WIDTH = 12


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One line, what else there is to say, and the rows below it.

    Attributes:
        name: What stands behind the branches of the tree.
        cells: The other columns, of which the first may be cut short.
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
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    widths[0] = min(widths[0], _CLASS_WIDTH)
    rest = sum(widths) + len(_GAP) * len(widths)
    longest = max(len(lead + row.name) for lead, _, row in lines if row.cells)
    first = max(_PATH_WIDTH, min(longest, width - rest))
    text: list[str] = []
    for lead, hang, row in lines:
        if row.cells:
            cells = _columns(row.cells, widths)
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
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines


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
