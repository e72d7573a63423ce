"""Measure one gateway of Nestipy's on every adapter that it can have.

``python -m benchmarks.nestipy``, from the root of the repository, with the extras
``nestipy`` and ``trio-asyncio`` installed.  The gateway's method returns what it is
given, and Nestipy emits that: events per second, and the memory of a client.
README.md in this folder says how the load client was kept out of it.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path

import uvloop

from .harness.dialect import Envelope, SocketIO
from .harness.load import Client, close, connect, join
from .harness.machine import (
    Cores,
    allow_open_files,
    choose_cores,
    describe,
    pinned,
)
from .harness.report import Measure, Row, Sample, text, write
from .harness.server import Server, Subject, hypercorn, running
from .measures import echo, memory

_SHIPPED = "WebsocketAdapter, repaired"
_NATIVE = "greenroom, trio"

SUBJECTS = (
    Subject(
        name=_SHIPPED,
        command=hypercorn("asyncio", "nestipy_shipped:app"),
        dialect=Envelope(),
        base=_SHIPPED,
    ),
    Subject(
        name="SocketIoAdapter",
        command=hypercorn("asyncio", "nestipy_socketio:app"),
        dialect=SocketIO(),
        base=_SHIPPED,
    ),
    Subject(
        name="greenroom, asyncio",
        command=hypercorn("asyncio", "nestipy_greenroom:app"),
        dialect=Envelope(),
        base=_SHIPPED,
    ),
    Subject(
        name=_NATIVE,
        command=hypercorn("trio", "nestipy_greenroom:app"),
        dialect=Envelope(),
        base=_NATIVE,
    ),
    Subject(
        name="greenroom, bridged",
        command=hypercorn("trio", "nestipy_bridged:app"),
        dialect=Envelope(),
        base=_NATIVE,
    ),
)
"""Trio's against Trio's: what the bridge costs is to be seen."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run does."""

    rounds: int
    members: int
    players: int
    seconds: float
    cores: Cores


class Run:
    """All subjects in turn, round after round."""

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        self._settings = settings
        self._subjects = subjects
        self.events = Measure(
            f"events through a gateway, {settings.players} clients", "events/s"
        )
        self.alone = Measure("events through a gateway, 1 client", "events/s")
        self.cost = Measure("server's processor time for an event", "us")
        self.idle = Measure(
            f"memory of an idle connection, {settings.members:,} of them", "kB"
        )
        self.spoken = Measure("memory of a connection that has spoken once", "kB")

    async def rounds(self) -> None:
        """Measure everything on every subject, once a round."""
        count = len(self._subjects)
        for number in range(self._settings.rounds):
            # Each subject stands first once: a neighbour's noise hits no one always.
            first = number % count
            for subject in self._subjects[first:] + self._subjects[:first]:
                print(f"round {number + 1}: {subject.name}", flush=True)
                with running(subject, self._settings.cores.server) as server:
                    await self._crowd(server)
                with running(subject, self._settings.cores.server) as server:
                    await self._play(server)

    async def _crowd(self, server: Server) -> None:
        name, members = server.subject.name, self._settings.members
        before = await memory.base(server)
        crowd = await connect(server, Client, members)
        idle = memory.per_connection(before, await memory.settled(server), members)
        await join(crowd)
        spoken = memory.per_connection(before, await memory.settled(server), members)
        await close(crowd)
        self.idle.add(name, Sample(idle))
        self.spoken.add(name, Sample(spoken))

    async def _play(self, server: Server) -> None:
        settings, name = self._settings, server.subject.name
        rate = await echo.measure(server, settings.players, settings.seconds)
        self.events.add(name, Sample.of(rate))
        self.cost.add(name, Sample(1e6 * rate.effort.server / rate.per_second))
        await asyncio.sleep(0.2)
        alone = await echo.measure(server, 1, settings.seconds)
        self.alone.add(name, Sample.of(alone))

    def tables(self) -> list[tuple[Measure, list[Row]]]:
        """Sum up all rounds."""
        measures = (self.events, self.cost, self.alone, self.idle, self.spoken)
        return [
            (measure, [measure.row(s.name, s.base) for s in self._subjects])
            for measure in measures
        ]


def chosen(words: list[str]) -> tuple[Subject, ...]:
    """Pick the subjects whose names hold one of *words*, and those they need."""
    picked = {s.name for s in SUBJECTS if any(word in s.name for word in words)}
    bases = {s.base for s in SUBJECTS if s.name in picked}
    return tuple(s for s in SUBJECTS if s.name in picked | bases)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nestipy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--members", type=int, default=1000, help="of the crowd")
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
    allow_open_files(options.members + 200)
    with pinned(cores.load):
        uvloop.run(main(options, cores))
