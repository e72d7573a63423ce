"""Measure one gateway of Nestipy's on every adapter that it can have.

``python -m benchmarks.nestipy``, from the root of the repository, with the extras
``nestipy`` and ``trio-asyncio`` installed.  The gateway's method returns what it is
given, and Nestipy emits that: events per second, and the memory of a client.
README.md in this folder says how the load client was kept out of it.
"""

from __future__ import annotations

import asyncio

from .harness.dialect import Envelope, SocketIO
from .harness.load import Client, close, connect, join
from .harness.program import Run, Settings, execute
from .harness.report import Measure, Sample
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


class Gateways(Run):
    """All subjects in turn, round after round."""

    def __init__(self, settings: Settings, subjects: tuple[Subject, ...]) -> None:
        super().__init__(settings, subjects)
        self.events = Measure(
            f"events through a gateway, {settings.players} clients",
            "events/s",
            by_cpu=True,
        )
        self.alone = Measure(
            "events through a gateway, 1 client", "events/s", by_cpu=True
        )
        self.cost = Measure("server's processor time for an event", "us")
        self.idle = Measure(
            f"memory of an idle connection, {settings.members:,} of them", "kB"
        )
        self.spoken = Measure("memory of a connection that has spoken once", "kB")

    async def gauge(self) -> None:
        """Nothing: no subject comes near what the load client takes."""

    async def measure(self, subject: Subject) -> None:
        """See `Run`."""
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

    def measures(self) -> tuple[Measure, ...]:
        """See `Run`."""
        return self.events, self.cost, self.alone, self.idle, self.spoken


if __name__ == "__main__":
    execute("benchmarks.nestipy", SUBJECTS, Gateways)
