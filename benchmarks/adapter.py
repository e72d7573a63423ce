"""Measure the adapter beside a bare loop and python-socketio, all on hypercorn.

``python -m benchmarks.adapter``, from the root of the repository.  README.md in
this folder says what is measured and how the load client was kept out of it.
"""

from __future__ import annotations

from .harness.program import Run, Settings, execute
from .harness.report import Measure, Sample
from .harness.server import Subject, running
from .measures import echo, memory
from .measures.fanout import Room, Tally
from .subjects import GAUGE, SUBJECTS


class Adapters(Run):
    """The gauge first, then all subjects in turn, round after round."""

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        super().__init__(settings, subjects)
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

    async def measure(self, subject: Subject) -> None:
        """See `Run`."""
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

    def measures(self) -> tuple[Measure, ...]:
        """See `Run`."""
        return self.fanout, self.echo, self.idle, self.joined


if __name__ == "__main__":
    execute("benchmarks.adapter", SUBJECTS, Adapters)
