"""Program: what every benchmark of servers does around its measuring."""

from __future__ import annotations

import argparse
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from picows import WSError

from .machine import Cores, allow_open_files, choose_cores, described, pinned
from .report import Measure, Row, text, write
from .server import ServerFailed, Subject
from .targets import Target, judge
from .targets import text as targets_text

#: Beside those of the clients.
SPARE_FILES = 200
_FAILURES = (ServerFailed, WSError, AssertionError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run does."""

    rounds: int
    members: int
    players: int
    seconds: float
    cores: Cores
    #: It is only to be seen whether everything works.
    quick: bool = False


class Run(ABC):
    """All subjects in turn, round after round."""

    #: What the figures are held against.
    targets: tuple[Target, ...] = ()

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        self._settings = settings
        self._subjects = subjects
        #: The round that is on, from 1.
        self.round = 1
        #: What went wrong; the rest was measured all the same.
        self.failures: list[str] = []

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
        began = time.monotonic()
        for round_number in range(1, self._settings.rounds + 1):
            self.round = round_number
            for measure in self.measures():
                measure.round = self.round
            # Each subject stands first once: a neighbour's noise hits no one always.
            first = (self.round - 1) % count
            turns = self._subjects[first:] + self._subjects[:first]
            for number, subject in enumerate(turns, 1):
                minutes, seconds = divmod(int(time.monotonic() - began), 60)
                print(
                    f"{minutes:3}:{seconds:02}  round {self.round} of"
                    f" {self._settings.rounds}, {number:2} of {count}: {subject.name}",
                    flush=True,
                )
                await self.measure(subject)
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"{minutes:3}:{seconds:02}  done")

    @contextmanager
    def attempt(self, subject: Subject, *measures: Measure) -> Generator[None]:
        """Note a failure in the place of *subject*'s figures, and go on.

        The others' are not to be lost over it, but the program ends with an error
        all the same.
        """
        try:
            yield
        except _FAILURES as error:
            kind = type(error).__name__
            print(f"failed: {kind}: {error}", flush=True)
            [words, *_] = [*str(error).splitlines(), ""]
            self.failures.append(f"{subject.name}, round {self.round}: {kind} {words}")
            for measure in measures:
                if self.round not in measure.samples.get(subject.name, {}):
                    measure.notes[subject.name] = f"failed in round {self.round}"

    def tables(self) -> list[tuple[Measure, list[Row]]]:
        """Sum up all rounds."""
        return [
            (
                measure,
                [
                    row
                    for subject in self._subjects
                    if (row := measure.row(subject.name, subject.base)) is not None
                ],
            )
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


def _installed(subjects: tuple[Subject, ...]) -> tuple[Subject, ...]:
    """Leave out those that cannot run here, and say so."""
    found: list[Subject] = []
    for subject in subjects:
        missing = subject.missing()
        if missing is None:
            found.append(subject)
        else:
            print(f"left out: {subject.name}: {missing}")
    return tuple(found)


def _arguments(name: str, rounds: int, seconds: float) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("--rounds", type=int, help=f"default {rounds}")
    parser.add_argument("--members", type=int, help="of the crowd, default 1000")
    parser.add_argument("--players", type=int, default=50, help="of the echo")
    parser.add_argument("--seconds", type=float, help=f"of a rate, default {seconds}")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--only", action="append", metavar="WORD", help="in a name")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all samples")
    options = parser.parse_args()
    quick = options.quick
    # What was said goes before what is meant by --quick.
    options.rounds = options.rounds or (1 if quick else rounds)
    options.members = options.members or (100 if quick else 1000)
    options.seconds = options.seconds or (0.3 if quick else seconds)
    return options


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def execute(
    name: str,
    subjects: tuple[Subject, ...],
    make: Callable[[Settings, tuple[Subject, ...]], Run],
    *,
    rounds: int = 5,
    seconds: float = 2.0,
) -> None:
    """Run the benchmark *name* as its command line says, and show the tables."""
    options = _arguments(name, rounds, seconds)
    cores = choose_cores()
    if cores.shared:
        print("doubtful: server and load client share the only core")
    allow_open_files(options.members + SPARE_FILES)
    settings = Settings(
        options.rounds,
        options.members,
        options.players,
        options.seconds,
        cores,
        options.quick,
    )
    chosen = _chosen(_installed(subjects), options.only or [""])
    run = make(settings, chosen)

    async def measure() -> None:
        await run.gauge()
        await run.rounds()

    # So that the server of the moment is stopped too.
    signal.signal(signal.SIGTERM, _exit)
    with pinned(cores.load):
        uvloop.run(measure())
    tables = run.tables()
    print("\n" + "\n\n".join(text(measure, rows) for measure, rows in tables))
    verdicts = judge(run.targets, run.measures())
    if verdicts:
        print("\n" + targets_text(verdicts, run.measures()))
    print("\n" + described())
    if options.json is not None:
        shown = {k: str(v) for k, v in vars(options).items() if k != "json"}
        write(options.json, dict(shown), tables, [v.document() for v in verdicts])
    if run.failures:
        raise SystemExit("\n".join(["failed:", *run.failures]))
