"""Draw one chart for each measure of a benchmark.

``python -m benchmarks.plots adapter.json --into docs/figures``, where the JSON is
what ``python -m benchmarks.adapter --json adapter.json`` wrote.  The charts are SVG,
written here as text: bars need no library, and the same figures give the same file.
They have no background, and colours that can be read on a white page and a dark one.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_OURS, _OTHERS, _INK, _GRID = "#2da44e", "#8b98a5", "#768390", "#76839055"
_WIDTH, _NAMES, _VALUES = 800, 260, 110
_BAR, _STEP, _HEAD, _FOOT = 16, 24, 44, 44
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One subject: its figure with the lowest and the highest, or a word instead."""

    name: str
    value: float | None
    low: float = 0.0
    high: float = 0.0
    word: str = ""

    @property
    def ours(self) -> bool:
        return self.name.startswith("greenroom")


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure."""

    key: str
    title: str
    unit: str
    more: bool
    bars: tuple[Bar, ...]


def charts(document: dict[str, Any]) -> list[Chart]:
    """Read what a benchmark wrote; measures that have no figures are left out."""
    found: list[Chart] = []
    for measure in document["measures"]:
        bars = [
            Bar(row["subject"], row["median"], row["low"], row["high"])
            for row in measure["rows"]
        ]
        shown = {bar.name for bar in bars}
        bars += [
            Bar(name, None, word=word)
            for name, word in measure["notes"].items()
            if name not in shown
        ]
        if shown and measure["key"]:
            # The best stands first; who has no figure, last.
            sign = -1 if measure["more"] else 1
            bars.sort(
                key=lambda bar: math.inf if bar.value is None else sign * bar.value
            )
            found.append(
                Chart(
                    measure["key"],
                    measure["name"],
                    measure["unit"],
                    measure["more"],
                    tuple(bars),
                )
            )
    return found


def svg(chart: Chart) -> str:
    """Draw *chart*."""
    ticks = _ticks(max(bar.high for bar in chart.bars))
    height = _HEAD + _STEP * len(chart.bars) + _FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" role="img" font-size="13"'
        ' font-family="system-ui, sans-serif">',
        f"<title>{escape(chart.title)}</title>",
        _text(0, 18, chart.title, "start", 'font-weight="600"'),
        *_axis(chart, ticks),
    ]
    for number, bar in enumerate(chart.bars):
        lines.extend(_bar(bar, _HEAD + _STEP * number, ticks[-1]))
    return "\n".join([*lines, "</svg>", ""])


def _axis(chart: Chart, ticks: Sequence[float]) -> Iterator[str]:
    bottom = _HEAD + _STEP * len(chart.bars)
    for tick in ticks:
        x = _x(tick, ticks[-1])
        yield (
            f'<line x1="{x:.1f}" y1="{_HEAD - 6}" x2="{x:.1f}" y2="{bottom}"'
            f' stroke="{_GRID}"/>'
        )
        yield _text(x, bottom + 16, f"{tick:,.10g}", "middle", 'font-size="11"')
    better = "more is better" if chart.more else "less is better"
    label = f"{chart.unit} ({better})"
    yield _text(_x(0, 1), bottom + 34, label, "start", 'font-size="11"')


def _bar(bar: Bar, top: int, end: float) -> Iterator[str]:
    colour, middle = (_OURS if bar.ours else _OTHERS), top + _BAR / 2
    weight = 'font-weight="600"' if bar.ours else ""
    yield _text(_NAMES - 8, middle + 4.5, bar.name, "end", weight)
    if bar.value is None:
        yield _text(_NAMES + 6, middle + 4.5, bar.word, "start", 'font-style="italic"')
        return
    width = _x(bar.value, end) - _NAMES
    yield (
        f'<rect x="{_NAMES}" y="{top}" width="{width:.1f}" height="{_BAR}"'
        f' rx="2" fill="{colour}"/>'
    )
    low, high = _x(bar.low, end), _x(bar.high, end)
    if high - low > 1:
        yield (
            f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"'
            f' stroke="{_INK}" stroke-width="1.5"/>'
        )
    yield _text(max(high, _NAMES + width) + 6, middle + 4.5, _say(bar.value), "start")


def _text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}" text-anchor="{anchor}"'
        f" {more}>{escape(words)}</text>"
    ).replace(" >", ">")


def _x(value: float, end: float) -> float:
    return _NAMES + (_WIDTH - _NAMES - _VALUES) * value / end


def _ticks(highest: float) -> list[float]:
    """Round numbers from 0 to *highest* or a little more, some `_TICKS` of them."""
    rough = (highest or 1.0) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999)
    return [round(step * n, 10) for n in range(math.ceil(highest / step - 0.001) + 1)]


def _say(value: float) -> str:
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def draw(source: Path, folder: Path) -> list[Path]:
    """Write a chart of each measure in *source* into *folder*; return the files."""
    document: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for chart in charts(document):
        file = folder / f"{source.stem}-{chart.key}.svg"
        file.write_text(svg(chart), encoding="utf-8")
        files.append(file)
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots")
    parser.add_argument("source", type=Path, help="JSON that a benchmark has written")
    parser.add_argument("--into", type=Path, default=Path("docs/figures"))
    options = parser.parse_args()
    for written in draw(options.source, options.into):
        print(written)
