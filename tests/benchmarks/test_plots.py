"""That the charts can be drawn from what a benchmark writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def measure(key: str, more: bool, notes: dict[str, str], **figures: float) -> Any:
    """What a benchmark writes of one measure, as far as charts need it."""
    rows = [
        {"subject": subject, "median": figure, "low": figure / 2, "high": figure * 2}
        for subject, figure in figures.items()
    ]
    return {
        "key": key,
        "name": f"what {key} < others & more",
        "unit": "kB",
        "more": more,
        "notes": notes,
        "rows": rows,
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ElementTree.Element]:
    """The charts that the command of benchmarks/README.md makes, by file name."""
    folder = tmp_path_factory.mktemp("charts")
    source = folder / "some.json"
    measures = [
        measure("rate", True, {"slow": "stops"}, bare=500.0, greenroom=1500.0, odd=7.0),
        measure("size", False, {"bare": "a remark"}, bare=20.0, greenroom=30.0),
        measure("none", True, {"bare": "failed in round 1"}),
    ]
    source.write_text(json.dumps({"measures": measures}), encoding="utf-8")
    into = folder / "figures"
    command = [sys.executable, "-m", "benchmarks.plots", str(source), "--into"]
    subprocess.run([*command, str(into)], cwd=ROOT, check=True, capture_output=True)
    return {
        file.name: ElementTree.fromstring(file.read_text(encoding="utf-8"))
        for file in into.iterdir()
    }


def words(chart: ElementTree.Element) -> list[str]:
    """All texts of *chart*, from top to bottom."""
    return [text.text or "" for text in chart.iter(f"{SVG}text")]


def test_a_chart_is_drawn_of_each_measure_that_has_figures(
    drawn: dict[str, ElementTree.Element],
) -> None:
    assert set(drawn) == {"some-rate.svg", "some-size.svg"}


def test_a_chart_says_what_it_shows_and_in_which_unit(
    drawn: dict[str, ElementTree.Element],
) -> None:
    shown = words(drawn["some-size.svg"])

    assert shown[0] == "what size < others & more"
    assert "kB (less is better)" in shown


def test_the_best_stands_first_and_who_has_no_figure_last(
    drawn: dict[str, ElementTree.Element],
) -> None:
    rate, size = words(drawn["some-rate.svg"]), words(drawn["some-size.svg"])

    assert rate[-8:] == [
        *("greenroom", "1,500", "bare", "500.0", "odd", "7.00"),
        *("slow", "stops"),
    ]
    assert size[-4:] == ["bare", "20.0", "greenroom", "30.0"]


def test_a_bar_is_as_long_as_its_figure_is_large(
    drawn: dict[str, ElementTree.Element],
) -> None:
    bars = drawn["some-rate.svg"].findall(f"{SVG}rect")
    lengths = [float(bar.attrib["width"]) for bar in bars]

    assert len(bars) == 3
    assert lengths[0] == pytest.approx(3 * lengths[1], rel=0.01)


def test_no_bar_leaves_the_picture(drawn: dict[str, ElementTree.Element]) -> None:
    for chart in drawn.values():
        width = float(chart.attrib["width"])
        ends = [
            float(bar.attrib["x"]) + float(bar.attrib["width"])
            for bar in chart.iter(f"{SVG}rect")
        ]
        whiskers = [float(line.attrib["x2"]) for line in chart.iter(f"{SVG}line")]

        assert max(ends + whiskers) < width


def test_greenroom_has_a_colour_of_its_own(
    drawn: dict[str, ElementTree.Element],
) -> None:
    ours, bare, odd = (
        bar.attrib["fill"] for bar in drawn["some-rate.svg"].iter(f"{SVG}rect")
    )

    assert bare == odd != ours
