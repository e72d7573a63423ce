"""Program: what every benchmark of servers does around its measuring."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from .machine import Cores, allow_open_files, choose_cores, describe, pinned
from .report import Measure, Row, text, write
from .server import Subject

#: Beside those of the clients.
_SPARE_FILES = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run does."""

    rounds: int
    members: int
    players: int
    seconds: float
    cores: Cores


class Run(ABC):
    """All subjects in turn, round after round."""

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        self._settings = settings
        self._subjects = subjects

    @abstractmethod
    async def gauge(self) -> None:
        """Find out how much the load client can take, if that is in question."""

    @abstractmethod
    async def measure(self, subject: Subject) -> None:
        """Measure everything on one subject."""

    @abstractmethod
    def measures(self) -> tuple[Measure, ...]:
        """What was measured."""

    async def rounds(self) -> None:
        """Measure everything on every subject, once a round."""
        count = len(self._subjects)
        for number in range(self._settings.rounds):
            # Each subject stands first once: a neighbour's noise hits no one always.
            first = number % count
            for subject in self._subjects[first:] + self._subjects[:first]:
                print(f"round {number + 1}: {subject.name}", flush=True)
                await self.measure(subject)

    def tables(self) -> list[tuple[Measure, list[Row]]]:
        """Sum up all rounds."""
        return [
            (measure, [measure.row(s.name, s.base) for s in self._subjects])
            for measure in self.measures()
        ]


def _chosen(subjects: tuple[Subject, ...], words: list[str]) -> tuple[Subject, ...]:
    """Pick the subjects whose names hold one of *words*, and those they need."""
    picked = {s.name for s in subjects if any(word in s.name for word in words)}
    bases = {s.base for s in subjects if s.name in picked}
    chosen = tuple(s for s in subjects if s.name in picked | bases)
    if not chosen:
        names = ", ".join(subject.name for subject in subjects)
        raise SystemExit(f"--only must be in one of: {names}")
    return chosen


def _arguments(name: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--members", type=int, default=1000, help="of the crowd")
    parser.add_argument("--players", type=int, default=50, help="of the echo")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each rate")
    parser.add_argument("--only", action="append", metavar="WORD", help="in a name")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all samples")
    return parser.parse_args()


def execute(
    name: str,
    subjects: tuple[Subject, ...],
    make: Callable[[Settings, tuple[Subject, ...]], Run],
) -> None:
    """Run the benchmark *name* as its command line says, and show the tables."""
    options = _arguments(name)
    cores = choose_cores()
    if cores.shared:
        print("doubtful: server and load client share the only core")
    allow_open_files(options.members + _SPARE_FILES)
    settings = Settings(
        options.rounds, options.members, options.players, options.seconds, cores
    )
    run = make(settings, _chosen(subjects, options.only or [""]))

    async def measure() -> None:
        await run.gauge()
        await run.rounds()

    with pinned(cores.load):
        uvloop.run(measure())
    tables = run.tables()
    print("\n" + "\n\n".join(text(measure, rows) for measure, rows in tables))
    print("\n" + ", ".join(f"{name} {value}" for name, value in describe().items()))
    if options.json is not None:
        shown = {k: str(v) for k, v in vars(options).items() if k != "json"}
        write(options.json, dict(shown), tables)
