"""Measure what limits, checks, presence and history cost.

``python -m benchmarks.limits``, from the root of the repository.  Each is measured
on the same adapter with and without it.  README.md in this folder says how the load
client was kept out of it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from .harness.dialect import PAYLOAD, Envelope
from .harness.load import Client, close, connect, join
from .harness.machine import allow_open_files
from .harness.program import SPARE_FILES, Run, Settings, execute
from .harness.report import Measure, Sample
from .harness.server import Server, Subject, hypercorn, running
from .harness.targets import Target
from .measures import echo, handshakes, memory
from .measures.presence import Cost, Party

_WORKERS = "asyncio", "trio"
_PLAIN, _RATED, _GUARDED, _PRESENT = "plain", "rated", "guarded", "present"
_KEPT = 100
#: Times the crowd: the room whose guests hear of one another.
_PARTY = 5


def _name(app: str, worker: str) -> str:
    return f"greenroom, {app}, {worker}"


SUBJECTS = tuple(
    Subject(
        name=_name(app, worker),
        command=hypercorn(worker, f"greenroom_limits:{app}"),
        dialect=Envelope(),
        base=_name(_PLAIN, worker),
    )
    for worker in _WORKERS
    for app in (_PLAIN, _RATED, _GUARDED, _PRESENT)
)


class Limits(Run):
    """All subjects in turn, round after round; each is asked what it is there for."""

    targets = tuple(
        Target("echo", _name(_RATED, worker), ">=", 0.9, _name(_PLAIN, worker))
        for worker in _WORKERS
    )

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        super().__init__(settings, subjects)
        self._guests = settings.members * _PARTY
        self.echo = Measure(
            f"echo, {settings.players} clients, without rates and with",
            *("round trips/s", "echo"),
            by_cpu=True,
        )
        self.handshakes = Measure(
            "handshakes, without authentication and trusted origins and with",
            *("handshakes/s", "handshakes"),
            by_cpu=True,
        )
        self.joined = Measure(
            f"memory of a connection in a room of {settings.members:,},"
            f" without presence and with; {_KEPT} messages of history kept",
            *("kB", "joined"),
            more=False,
        )
        self.coming = Measure(
            f"presence: {self._guests:,} come into one room",
            *("CPU s", "coming"),
            more=False,
            compared=False,
        )
        self.going = Measure(
            f"presence: {self._guests // 2:,} of {self._guests:,} leave it",
            *("CPU s", "going"),
            more=False,
            compared=False,
        )
        self.emptying = Measure(
            f"presence: the other {(self._guests + 1) // 2:,} leave it, all but one",
            *("CPU s", "emptying"),
            more=False,
            compared=False,
        )
        allow_open_files(self._guests + SPARE_FILES)

    async def gauge(self) -> None:
        """Nothing: what is compared is one adapter with itself."""

    async def measure(self, subject: Subject) -> None:
        """See `Run`."""
        _, app, _ = subject.name.split(", ")
        if app in (_PLAIN, _RATED):
            with self.attempt(subject, self.echo), self._running(subject) as server:
                rate = await echo.measure(
                    server, self._settings.players, self._settings.seconds
                )
                self.echo.add(subject.name, Sample.of(rate))
        if app in (_PLAIN, _GUARDED):
            with (
                self.attempt(subject, self.handshakes),
                self._running(subject) as server,
            ):
                rate = await handshakes.measure(server, self._settings.seconds)
                self.handshakes.add(subject.name, Sample.of(rate))
        if app in (_PLAIN, _PRESENT):
            with self.attempt(subject, self.joined), self._running(subject) as server:
                await self._weigh(server)
        if app == _PRESENT:
            with (
                self.attempt(subject, self.coming, self.going, self.emptying),
                running(subject, self._settings.cores.server, kill=True) as server,
            ):
                party = Party(server, self._guests)
                self.coming.add(subject.name, _sample(await party.gather()))
                self.going.add(subject.name, _sample(await party.thin_out()))
                self.emptying.add(subject.name, _sample(await party.empty()))

    def _running(self, subject: Subject) -> AbstractContextManager[Server]:
        return running(subject, self._settings.cores.server)

    async def _weigh(self, server: Server) -> None:
        members = self._settings.members
        before = await memory.base(server)
        crowd = await connect(server, Client, members)
        await join(crowd)
        [speaker] = await connect(server, Client, 1)
        for _ in range(_KEPT):
            await speaker.client.ask(speaker.client.say("keep", PAYLOAD))
        after = await memory.settled(server)
        self.joined.add(
            server.subject.name, Sample(memory.per_connection(before, after, members))
        )
        await close([*crowd, speaker])

    def measures(self) -> tuple[Measure, ...]:
        """See `Run`."""
        presence = self.coming, self.going, self.emptying
        return self.echo, self.handshakes, self.joined, *presence


def _sample(cost: Cost) -> Sample:
    beside = {"told": float(cost.deliveries), "MB": cost.megabytes}
    return Sample(cost.seconds, cost.load, cost.server, cost.others, beside)


if __name__ == "__main__":
    execute("benchmarks.limits", SUBJECTS, Limits, rounds=5, seconds=1.5)
