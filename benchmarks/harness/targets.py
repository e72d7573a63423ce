"""Targets: what the figures are to come to, and whether they do."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from .report import Measure

_HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt}


@dataclass(frozen=True, slots=True)
class Target:
    """One bound on one figure, or on its ratio to another subject's."""

    #: Of the measure.
    key: str
    subject: str
    #: ">=", "<=" or ">"; or "stated", where any figure will do.
    relation: str
    bound: float = 0.0
    #: Whose figure it is divided by, round by round; none: it stands by itself.
    against: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a target; no figure if it was not measured."""

    target: Target
    figure: float | None
    met: bool | None

    def document(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def judge(targets: Sequence[Target], measures: Sequence[Measure]) -> list[Verdict]:
    """Hold the figures against *targets*."""
    by_key = {measure.key: measure for measure in measures}
    verdicts: list[Verdict] = []
    for target in targets:
        measure = by_key[target.key]
        if target.against is None:
            samples = measure.samples.get(target.subject, {}).values()
            values = [sample.value for sample in samples]
        else:
            values = measure.ratios(target.subject, target.against)
        figure = median(values) if values else None
        met = None
        if figure is not None and target.relation in _HOLDS:
            met = bool(_HOLDS[target.relation](figure, target.bound))
        verdicts.append(Verdict(target, figure, met))
    return verdicts


def text(verdicts: Sequence[Verdict], measures: Sequence[Measure]) -> str:
    """Write them down for people."""
    by_key = {measure.key: measure for measure in measures}
    lines = ["targets"]
    for verdict in verdicts:
        target = verdict.target
        measure = by_key[target.key]
        words = f"{target.subject}: {measure.name}"
        unit = measure.unit
        if target.against is not None:
            words, unit = f"{words}, by {target.against}", ""
        if verdict.figure is None:
            said, figure = "not measured", ""
        else:
            said = {None: "stated", True: "met", False: "MISSED"}[verdict.met]
            figure = f"{verdict.figure:.2f}"
        bound = "" if verdict.met is None else f"{target.relation} {target.bound:g}"
        lines.append(f"  {said:13}{figure:>8}  {f'{bound} {unit}':14}{words}")
    return "\n".join(lines)
