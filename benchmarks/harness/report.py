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
    #: Median of the ratios to the base subject, each within one round.
    ratio: float
    ratio_low: float
    ratio_high: float
    #: The same ratio of what a second of processor time achieved.  It suffers
    #: less from others on the core; but idling, too, costs nothing here.
    cpu_ratio: float | None
    load: float
    server: float
    doubts: tuple[str, ...]


@dataclass(slots=True)
class Measure:
    """One thing measured on every subject, once a round."""

    name: str
    unit: str
    #: What the load client can take; none where it plays no part.
    ceiling: float | None = None
    samples: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])

    def add(self, subject: str, sample: Sample) -> None:
        self.samples.setdefault(subject, []).append(sample)

    def row(self, subject: str, base: str) -> Row:
        """Sum up *subject*, against *base* in the same rounds."""
        samples = self.samples[subject]
        pairs = list(zip(samples, self.samples[base], strict=True))
        values = [sample.value for sample in samples]
        ratios = [sample.value / other.value for sample, other in pairs]
        cpu_ratios = [
            (sample.value / sample.server) / (other.value / other.server)
            for sample, other in pairs
            if sample.server and other.server
        ]
        return Row(
            subject=subject,
            median=median(values),
            low=min(values),
            high=max(values),
            ratio=median(ratios),
            ratio_low=min(ratios),
            ratio_high=max(ratios),
            cpu_ratio=median(cpu_ratios) if cpu_ratios else None,
            load=median(sample.load for sample in samples),
            server=median(sample.server for sample in samples),
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


def text(measure: Measure, rows: list[Row]) -> str:
    """Write *rows* as a table for people."""
    rounds = len(next(iter(measure.samples.values())))
    ceiling = (
        f"; load client's ceiling {measure.ceiling:,.0f}" if measure.ceiling else ""
    )
    rates = rows[0].cpu_ratio is not None
    lines = [
        f"{measure.name}, {measure.unit} (median of {rounds} rounds{ceiling})",
        f"  {'':26}{'median':>9}  {'lowest - highest':>17}"
        f"  {'ratio':>6}  {'lowest - highest':>16}"
        + (f"  {'by CPU':>6}  {'server':>6}  {'load':>5}" if rates else ""),
    ]
    for row in rows:
        digits = 0 if row.median >= 1000 else 1
        spread = f"{row.low:,.{digits}f} - {row.high:,.{digits}f}"
        ratios = f"{row.ratio_low:.2f} - {row.ratio_high:.2f}"
        line = (
            f"  {row.subject:26}{row.median:>9,.{digits}f}  {spread:>17}"
            f"  {row.ratio:>6.2f}  {ratios:>16}"
        )
        if row.cpu_ratio is not None:
            line += f"  {row.cpu_ratio:>6.2f}  {row.server:>6.0%}  {row.load:>5.0%}"
        lines.append(line)
        lines.extend(f"  {'':4}doubtful: {doubt}" for doubt in row.doubts)
    return "\n".join(lines)


def write(
    path: Path, settings: dict[str, object], tables: list[tuple[Measure, list[Row]]]
) -> None:
    """Write everything as JSON, samples included, for programs and for plots."""
    document = {
        "machine": describe(),
        "settings": settings,
        "measures": [
            asdict(measure) | {"rows": [asdict(row) for row in rows]}
            for measure, rows in tables
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
