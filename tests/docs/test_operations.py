"""docs/operations.md: its tables are those of the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from greenroom.adapter import METRICS, MetricKind

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "operations.md"


def builder() -> Any:
    """docs/build_operations.py, which is a script and in no package."""
    file = DOCS / "build_operations.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_the_code_says() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count("| `greenroom_") >= len(METRICS)
    assert builder().build(page) == page, (
        "docs/operations.md is stale: run python docs/build_operations.py"
    )


def test_every_metric_that_the_page_speaks_of_is_there() -> None:
    known = {
        f"greenroom_{each.name}" + "_total" * (each.kind is MetricKind.COUNTER)
        for each in METRICS
    }
    spoken_of = set(re.findall(r"greenroom_\w+", PAGE.read_text(encoding="utf-8")))

    assert spoken_of - {"greenroom_"} == known
