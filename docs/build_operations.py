"""Write the generated tables of operations.md from the code.

    python docs/build_operations.py

What stands between `<!-- generated: ... -->` and `<!-- end -->` is replaced; the
rest of the page is written by hand. A test fails where the page is stale.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from greenroom.adapter import METRICS, MetricKind
from greenroom.adapter._events import EVENTS

PAGE = Path(__file__).with_name("operations.md")


def build(page: str) -> str:
    """*page* with its generated tables made anew."""

    def replace(match: re.Match[str]) -> str:
        table = GENERATORS[match[1]]()
        return f"<!-- generated: {match[1]} -->\n\n{table}\n\n<!-- end -->"

    pattern = r"<!-- generated: (.+?) -->\n.*?<!-- end -->"
    return re.sub(pattern, replace, page, flags=re.DOTALL)


def metrics() -> str:
    """What is counted, as Prometheus sees it."""
    rows = [
        (
            f"`greenroom_{each.name}{'_total' * (each.kind is MetricKind.COUNTER)}`",
            each.kind.value,
            each.help if each.label is None else f"{each.help} Label `{each.label}`.",
        )
        for each in METRICS
    ]
    return _table(("metric", "kind", "says"), rows)


def events() -> str:
    """What is logged."""
    rows = [
        (
            f"`{each.name}`",
            logging.getLevelName(each.level),
            ", ".join(f"`{field}`" for field in each.fields),
            each.meaning,
        )
        for each in EVENTS
    ]
    return _table(("event", "level", "fields", "when"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


GENERATORS: dict[str, Callable[[], str]] = {"metrics": metrics, "events": events}

if __name__ == "__main__":
    PAGE.write_text(build(PAGE.read_text("utf-8")), "utf-8")
