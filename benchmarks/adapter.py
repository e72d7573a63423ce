"""Measure the adapter beside other servers, Python's and Node's.

``python -m benchmarks.adapter``, from the root of the repository.  README.md in
this folder says what is measured and how the load client was kept out of it.
"""

from __future__ import annotations

from .harness.load import Rate
from .harness.machine import allow_open_files, most_open_files
from .harness.program import SPARE_FILES, Run, Settings, execute
from .harness.report import Measure, Sample
from .harness.server import Server, Subject, running
from .harness.targets import Target
from .measures import deflate, echo, large, memory, stalled, storm
from .measures.fanout import Room
from .subjects import ASYNCIO, GAUGE, GROWING, NODE_SOCKETIO, SUBJECTS, TRIO

#: Times the crowd: the large one.
_LARGE = 10
_DEFLATING = 300
_STORM_SECONDS = 1.5
_STALLED_SECONDS = 10.0
#: Of the rate the subject has just reached.
_STORM_SHARE = 0.5


def _targets() -> tuple[Target, ...]:
    of_both: list[Target] = []
    for worker, base, times in (("asyncio", ASYNCIO, 1.6), ("trio", TRIO, 4.5)):
        ours = f"greenroom, {worker}"
        of_both += [
            Target("fanout", ours, ">=", times, base),
            Target("fanout", ours, ">", 1.0, NODE_SOCKETIO),
            Target("fanout", f"{ours}, plain ASGI", ">=", 0.85, base),
            Target("echo", ours, ">=", 0.85, base),
            Target("idle", ours, "<=", 28.0),
            Target("deflate", ours, "<=", 60.0),
            Target("stalled", ours, ">=", 90.0),
            Target("growth", ours, "<=", 1.2),
            Target("storm", ours, "stated"),
        ]
    return tuple(of_both)


class Adapters(Run):
    """The gauge first, then all subjects in turn, round after round."""

    targets = _targets()

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        super().__init__(settings, subjects)
        members = settings.members
        large = members * _LARGE
        self.fanout = Measure(
            f"fan-out to {members:,} clients", "deliveries/s", "fanout", by_cpu=True
        )
        # Where nothing waits, there is nothing to be written in one piece.
        self.single = Measure(
            f"fan-out to {members:,} clients, one broadcast at a time",
            *("deliveries/s", "single"),
            by_cpu=True,
        )
        self.echo = Measure(
            f"echo, {settings.players} clients", "round trips/s", "echo"
        )
        self.idle = Measure(
            f"memory of an idle connection, {members:,} of them",
            *("kB", "idle"),
            more=False,
        )
        self.joined = Measure(
            "memory of a connection that has joined a room and spoken once",
            *("kB", "joined"),
            more=False,
        )
        self.deflate = Measure(
            "memory of a connection that offered compression and used it",
            *("kB", "deflate"),
            more=False,
        )
        self.storm = Measure(
            f"99th percentile of a round trip, broadcasts to {members:,} meanwhile",
            *("ms", "storm"),
            more=False,
            compared=False,
        )
        self.stalled = Measure(
            "fan-out kept when one client for each twenty stops reading",
            *("%", "stalled"),
            compared=False,
        )
        self.cost = Measure(
            f"processor time of a delivery at {large:,} connections",
            *("us", "cost"),
            more=False,
        )
        self.growth = Measure(
            f"processor time of a delivery at {large:,} connections"
            f" by that at {members:,}",
            *("times", "growth"),
            more=False,
            compared=False,
        )
        self._large = large
        self._room_for_large = most_open_files() >= large + SPARE_FILES
        if self._room_for_large:
            allow_open_files(large + SPARE_FILES)
        else:
            print(f"left out: {large:,} connections: see ulimit -Hn")

    async def gauge(self) -> None:
        """Find out how much the load client can take."""
        settings = self._settings
        with running(GAUGE, settings.cores.server) as server:
            room = Room(server)
            await room.fill(settings.members)
            await room.open()
            self.fanout.ceiling = await room.drain()
            source = await room.measure(settings.seconds)
            pace = source.per_second * _STORM_SHARE
            waits = await storm.measure(room, settings.seconds, pace)
            await room.leave()
            rally = await echo.measure(server, settings.players, settings.seconds)
        self.echo.ceiling = rally.per_second
        print(
            f"load client: takes {self.fanout.ceiling:,.0f} deliveries/s once they are"
            f" in its sockets; {source.per_second:,.0f}/s from a server that does"
            f" nothing else (server {source.effort.server:.0%},"
            f" load {source.effort.load:.0%});"
            f" {rally.per_second:,.0f} round trips/s"
            f" (server {rally.effort.server:.0%}, load {rally.effort.load:.0%});"
            f" at {waits.per_second:,.0f} deliveries/s one takes"
            f" {waits.median:.2f} ms, 99 % at most {waits.p99:.2f} ms",
            flush=True,
        )

    async def measure(self, subject: Subject) -> None:
        """See `Run`."""
        if not (self._is_close(subject) or self.round % 2):
            return
        await self._crowd(subject)
        with self.attempt(subject, self.echo):
            await self._rally(subject)
        if self._is_due(subject, self.deflate):
            await self._weighty(subject)

    def _is_close(self, subject: Subject) -> bool:
        """Whether it is ours, or ours are divided by it: others every second round."""
        return subject.ours or subject.name == subject.base

    def _is_due(self, subject: Subject, measure: Measure) -> bool:
        """Whether to take the time: once, and once more where there is a target."""
        if self.round == 2:
            wanted = {(target.key, target.subject) for target in self.targets}
            return (measure.key, subject.name) in wanted
        return self.round == 1

    async def _crowd(self, subject: Subject) -> None:
        """All that wants a crowd in one room."""
        members = self._settings.members
        with (
            self.attempt(
                subject, self.fanout, self.single, self.idle, self.joined, self.storm
            ),
            running(subject, self._settings.cores.server, kill=True) as server,
        ):
            before = await memory.base(server)
            room = Room(server)
            await room.fill(members)
            idle = memory.per_connection(before, await memory.settled(server), members)
            await room.open()
            joined = memory.per_connection(
                before, await memory.settled(server), members
            )
            self.idle.add(subject.name, Sample(idle))
            self.joined.add(subject.name, Sample(joined))
            rate = await room.measure(self._settings.seconds)
            self.fanout.add(subject.name, Sample.of(rate))
            single = await room.measure(self._settings.seconds, batch=1)
            self.single.add(subject.name, Sample.of(single))
            # Of which the broadcasts come one at a time.
            await self._storm(room, single)
            server.check()
            if self._is_due(subject, self.stalled):
                with self.attempt(subject, self.stalled):
                    await self._stalled(room)
            room.abandon()

    async def _storm(self, room: Room, most: Rate) -> None:
        seconds = 0.3 if self._settings.quick else _STORM_SECONDS
        waits = await storm.measure(room, seconds, most.per_second * _STORM_SHARE)
        beside = {
            "p50": waits.median,
            "longest": waits.longest,
            "answers": float(waits.answers),
            "storm/s": waits.per_second,
        }
        effort = waits.effort
        self.storm.add(
            room.server.subject.name,
            Sample(waits.p99, effort.load, effort.server, effort.others, beside),
        )

    async def _stalled(self, room: Room) -> None:
        name = room.server.subject.name
        seconds = 1.0 if self._settings.quick else _STALLED_SECONDS
        cost = await stalled.measure(room, seconds)
        if cost is None:
            self.stalled.notes[name] = "stops"
            return
        effort = cost.beside.effort
        beside = {
            "by CPU": cost.kept_by_cpu,
            "without/s": cost.alone.per_second,
            "with/s": cost.beside.per_second,
        }
        self.stalled.add(
            name, Sample(cost.kept, effort.load, effort.server, effort.others, beside)
        )

    async def _rally(self, subject: Subject) -> None:
        settings = self._settings
        with running(subject, settings.cores.server) as server:
            rate = await echo.measure(server, settings.players, settings.seconds)
        self.echo.add(subject.name, Sample.of(rate))

    async def _weighty(self, subject: Subject) -> None:
        """What is measured more seldom: it takes long, and varies little."""
        core = self._settings.cores.server
        with (
            self.attempt(subject, self.deflate, self.cost, self.growth),
            running(subject, core, kill=True) as server,
        ):
            await self._deflate(server)
            if self._room_for_large and subject.name in GROWING:
                await self._grow(server)

    async def _deflate(self, server: Server) -> None:
        name = server.subject.name
        count = 30 if self._settings.quick else _DEFLATING
        weight = await deflate.measure(server, count)
        self.deflate.add(name, Sample(weight.kilobytes))
        if not weight.agreed:
            self.deflate.notes[name] = "does not agree to compress unless told to"
        elif not weight.inflated:
            self.deflate.notes[name] = "agreed, and sent nothing compressed"

    async def _grow(self, server: Server) -> None:
        name = server.subject.name
        growth = await large.measure(
            server, self._settings.members, self._large, self._settings.seconds
        )
        effort = growth.large.effort
        shares = effort.load, effort.server, effort.others
        self.cost.add(name, Sample(growth.microseconds, *shares))
        self.growth.add(name, Sample(growth.factor, *shares))

    def measures(self) -> tuple[Measure, ...]:
        """See `Run`."""
        return (
            *(self.fanout, self.single, self.echo),
            *(self.idle, self.joined, self.deflate),
            *(self.stalled, self.cost, self.growth, self.storm),
        )


if __name__ == "__main__":
    execute("benchmarks.adapter", SUBJECTS, Adapters, rounds=3, seconds=1.0)
