"""Measure the adapter beside a bare loop and python-socketio, all on hypercorn.

``python -m benchmarks.adapter``, from the root of the repository.  README.md in
this folder says what is measured and how the load client was kept out of it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import uvloop

from .harness.machine import (
    Cores,
    allow_open_files,
    choose_cores,
    describe,
    pinned,
)
from .harness.report import Measure, Row, Sample, text, write
from .harness.server import Subject, running
from .measures import echo, memory
from .measures.fanout import Room, Tally
from .subjects import GAUGE, SUBJECTS

_SPARE_FILES = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run does."""

    rounds: int
    members: int
    players: int
    seconds: float
    cores: Cores


class Run:
    """One run: the gauge first, then all subjects in turn, round after round."""

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        self._settings = settings
        self._subjects = subjects
        self.fanout = Measure(
            f"fan-out to {settings.members:,} clients", "deliveries/s"
        )
        self.echo = Measure(f"echo, {settings.players} clients", "round trips/s")
        self.idle = Measure(
            f"memory of an idle connection, {settings.members:,} of them", "kB"
        )
        self.joined = Measure(
            "memory of a connection that has joined a room and spoken once", "kB"
        )

    async def gauge(self) -> None:
        """Find out how much the load client can take."""
        settings = self._settings
        with running(GAUGE, settings.cores.server) as server:
            room = Room(server, Tally())
            await room.fill(settings.members)
            await room.open()
            self.fanout.ceiling = await room.drain()
            source = await room.measure(settings.seconds)
            await room.leave()
            rally = await echo.measure(server, settings.players, settings.seconds)
        self.echo.ceiling = rally.per_second
        print(
            f"load client: takes {self.fanout.ceiling:,.0f} deliveries/s once they are"
            f" in its sockets; {source.per_second:,.0f}/s from a server that does"
            f" nothing else (server {source.effort.server:.0%},"
            f" load {source.effort.load:.0%});"
            f" {rally.per_second:,.0f} round trips/s"
            f" (server {rally.effort.server:.0%}, load {rally.effort.load:.0%})",
            flush=True,
        )

    async def rounds(self) -> None:
        """Measure everything on every subject, once a round."""
        count = len(self._subjects)
        for number in range(self._settings.rounds):
            # Each subject stands first once: a neighbour's noise hits no one always.
            first = number % count
            for subject in self._subjects[first:] + self._subjects[:first]:
                print(f"round {number + 1}: {subject.name}", flush=True)
                await self._crowd(subject)
                await self._rally(subject)

    async def _crowd(self, subject: Subject) -> None:
        members = self._settings.members
        with running(subject, self._settings.cores.server) as server:
            before = await memory.base(server)
            room = Room(server, Tally())
            await room.fill(members)
            idle = memory.per_connection(before, await memory.settled(server), members)
            await room.open()
            joined = memory.per_connection(
                before, await memory.settled(server), members
            )
            rate = await room.measure(self._settings.seconds)
            await room.leave()
        self.idle.add(subject.name, Sample(idle))
        self.joined.add(subject.name, Sample(joined))
        self.fanout.add(subject.name, Sample.of(rate))

    async def _rally(self, subject: Subject) -> None:
        settings = self._settings
        with running(subject, settings.cores.server) as server:
            rate = await echo.measure(server, settings.players, settings.seconds)
        self.echo.add(subject.name, Sample.of(rate))

    def tables(self) -> list[tuple[Measure, list[Row]]]:
        """Sum up all rounds."""
        return [
            (measure, [measure.row(s.name, s.base) for s in self._subjects])
            for measure in (self.fanout, self.echo, self.idle, self.joined)
        ]


def chosen(words: list[str]) -> tuple[Subject, ...]:
    """Pick the subjects whose names hold one of *words*, and those they need."""
    picked = {s.name for s in SUBJECTS if any(word in s.name for word in words)}
    bases = {s.base for s in SUBJECTS if s.name in picked}
    return tuple(s for s in SUBJECTS if s.name in picked | bases)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapter")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--members", type=int, default=1000, help="of the room")
    parser.add_argument("--players", type=int, default=50, help="of the echo")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each rate")
    parser.add_argument("--only", action="append", metavar="WORD", help="in a name")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all samples")
    return parser.parse_args()


async def main(options: argparse.Namespace, cores: Cores) -> None:
    settings = Settings(
        options.rounds, options.members, options.players, options.seconds, cores
    )
    run = Run(settings, chosen(options.only or [""]))
    await run.gauge()
    await run.rounds()
    tables = run.tables()
    print("\n" + "\n\n".join(text(measure, rows) for measure, rows in tables))
    print("\n" + ", ".join(f"{name} {value}" for name, value in describe().items()))
    if options.json is not None:
        shown = {k: str(v) for k, v in vars(options).items() if k != "json"}
        write(options.json, dict(shown), tables)


if __name__ == "__main__":
    options = arguments()
    cores = choose_cores()
    if cores.shared:
        print("doubtful: server and load client share the only core")
    allow_open_files(options.members + _SPARE_FILES)
    with pinned(cores.load):
        uvloop.run(main(options, cores))
