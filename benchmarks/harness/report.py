"""Samples of interleaved rounds, and what is said about them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from .load import Rate
from .machine import describe

#: The load client must be able to take so many times what it was given.
CEILING_FACTOR = 1.5
#: A load client as busy as this, and busier than the server, held the server back.
BUSY_LOAD = 0.85
#: Above this share of the server's core, somebody else's work is in the figure.
BUSY_OTHERS = 0.10


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of one round."""

    value: float
    load: float = 0.0
    server: float = 0.0
    others: float = 0.0
    #: What stands beside it, by the heads of the columns.
    beside: dict[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, rate: Rate) -> Sample:
        effort = rate.effort
        return cls(rate.per_second, effort.load, effort.server, effort.others)


@dataclass(frozen=True, slots=True)
class Row:
    """One subject's figures in one measure, over all rounds."""

    subject: str
    median: float
    low: float
    high: float
    #: Median of the ratios to the base subject, each within one round; none where
    #: there is nothing to compare with.
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    #: The same ratio of what a second of processor time achieved.  It suffers
    #: less from others on the core; but idling, too, costs nothing here.
    cpu_ratio: float | None
    load: float
    server: float
    beside: dict[str, float]
    doubts: tuple[str, ...]


@dataclass(slots=True)
class Measure:
    """One thing measured on every subject, once a round or more seldom."""

    name: str
    unit: str
    #: A short name, of files and for programs.
    key: str = ""
    #: Whether more is better.
    more: bool = True
    #: Whether a ratio to the base subject says anything.
    compared: bool = True
    #: Whether it is a rate of the server, which its processor time explains.
    by_cpu: bool = False
    #: What the load client can take; none where it plays no part.
    ceiling: float | None = None
    #: By subject and round.
    samples: dict[str, dict[int, Sample]] = field(
        default_factory=dict[str, dict[int, Sample]]
    )
    #: What is to be said about a subject, in the place of figures or below them.
    notes: dict[str, str] = field(default_factory=dict[str, str])
    #: The round that samples are added to.
    round: int = 1

    def add(self, subject: str, sample: Sample) -> None:
        self.samples.setdefault(subject, {})[self.round] = sample

    def ratios(self, subject: str, base: str) -> list[float]:
        """*subject*'s figures by *base*'s, of each round in which both have one."""
        mine, other = self.samples.get(subject, {}), self.samples.get(base, {})
        return [mine[n].value / other[n].value for n in mine if n in other]

    def row(self, subject: str, base: str) -> Row | None:
        """Sum up *subject*, against *base* in the same rounds; None if it has none."""
        mine, other = self.samples.get(subject, {}), self.samples.get(base, {})
        if not mine:
            return None
        samples = list(mine.values())
        values = [sample.value for sample in samples]
        ratios = self.ratios(subject, base) if self.compared else []
        cpu_ratios = [
            (mine[n].value / mine[n].server) / (other[n].value / other[n].server)
            for n in mine
            if self.by_cpu and n in other and mine[n].server and other[n].server
        ]
        return Row(
            subject=subject,
            median=median(values),
            low=min(values),
            high=max(values),
            ratio=median(ratios) if ratios else None,
            ratio_low=min(ratios, default=None),
            ratio_high=max(ratios, default=None),
            cpu_ratio=median(cpu_ratios) if cpu_ratios else None,
            load=median(sample.load for sample in samples),
            server=median(sample.server for sample in samples),
            beside={
                head: (max if head == "longest" else median)(
                    sample.beside[head] for sample in samples
                )
                for head in samples[0].beside
            },
            doubts=tuple(self._doubts(samples)),
        )

    def _doubts(self, samples: list[Sample]) -> Iterable[str]:
        figure = median(sample.value for sample in samples)
        if self.ceiling is not None and self.ceiling < CEILING_FACTOR * figure:
            yield f"load client's ceiling is {self.ceiling:,.0f}"
        load = median(sample.load for sample in samples)
        # An eager client that keeps up polls once for each frame and looks busy.
        # It is in the way only if it, not the server, had no time left.
        if load > BUSY_LOAD and load > median(sample.server for sample in samples):
            yield "load client busier than server"
        disturbed = sum(sample.others > BUSY_OTHERS for sample in samples)
        if disturbed:
            yield f"others on the server's core in {disturbed} of {len(samples)} rounds"


_NAME = 32


def text(measure: Measure, rows: list[Row]) -> str:
    """Write *rows* as a table for people."""
    rounds = max((len(each) for each in measure.samples.values()), default=0)
    ceiling = (
        f"; load client's ceiling {measure.ceiling:,.0f}" if measure.ceiling else ""
    )
    compared = any(row.ratio is not None for row in rows)
    by_cpu = any(row.cpu_ratio is not None for row in rows)
    busy = any(row.server for row in rows)
    heads = list(rows[0].beside) if rows else []
    lines = [
        f"{measure.name}, {measure.unit} (median of {rounds} rounds{ceiling})",
        f"  {'':{_NAME}}{'median':>9}  {'lowest - highest':>17}"
        + (f"  {'ratio':>6}  {'lowest - highest':>16}" if compared else "")
        + (f"  {'by CPU':>6}" if by_cpu else "")
        + "".join(f"  {head:>9}" for head in heads)
        + (f"  {'server':>6}  {'load':>5}" if busy else ""),
    ]
    for row in rows:
        spread = f"{_figure(row.low, row.median)} - {_figure(row.high, row.median)}"
        line = f"  {row.subject:{_NAME}}{_figure(row.median):>9}  {spread:>17}"
        if compared:
            line += _ratios(row)
        if by_cpu:
            line += "  " + (f"{row.cpu_ratio:>6.2f}" if row.cpu_ratio else " " * 6)
        line += "".join(f"  {_figure(row.beside[head]):>9}" for head in heads)
        if busy:
            line += f"  {row.server:>6.0%}  {row.load:>5.0%}"
        lines.append(line.rstrip())
        if row.subject in measure.notes:
            lines.append(f"  {'':4}{measure.notes[row.subject]}")
        lines.extend(f"  {'':4}doubtful: {doubt}" for doubt in row.doubts)
    shown = {row.subject for row in rows}
    for subject, note in measure.notes.items():
        if subject not in shown:
            lines.append(f"  {subject:{_NAME}}{note:>9}")
    return "\n".join(lines)


def _figure(value: float, like: float | None = None) -> str:
    scale = value if like is None else like
    digits = 0 if scale >= 1000 else 1 if scale >= 10 else 2
    return f"{value:,.{digits}f}"


def _ratios(row: Row) -> str:
    if row.ratio is None:
        return " " * 26
    spread = f"{row.ratio_low:.2f} - {row.ratio_high:.2f}"
    return f"  {row.ratio:>6.2f}  {spread:>16}"


def write(
    path: Path,
    settings: dict[str, object],
    tables: list[tuple[Measure, list[Row]]],
    targets: list[dict[str, object]],
) -> None:
    """Write everything as JSON, samples included, for programs and for plots."""
    document = {
        "machine": describe(),
        "settings": settings,
        "measures": [
            asdict(measure) | {"rows": [asdict(row) for row in rows]}
            for measure, rows in tables
        ],
        "targets": targets,
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
