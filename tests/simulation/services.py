"""A world of routers, partitions, tasks, names and locks, and its laws."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Awaitable
from typing import Any, Final

import anyio

from greenroom import (
    ActorError,
    ActorRef,
    ActorSystem,
    Backoff,
    ChildSpec,
    PartitionSupervisor,
    Registry,
    Restart,
    Router,
    SupervisorError,
    TaskSupervisor,
)
from greenroom.testing import Faults, World

from .supervised import PATIENT, Boom, Life, Living

BACKOFF: Final = Backoff(0.01, 0.1)
FAULTS: Final = Faults(crash=0.02, cancel=0.02, kill=0.02, slow=0.02, slow_seconds=0.1)
PATIENCE = 0.5
CLIENTS = 3
ORDERS = 7
KEYS = 3


class Journal:
    """What happened in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lives: list[Life] = []
        self.sessions: list[ActorRef[Any]] = []
        self.asked = self.settled = 0
        self.held: Counter[int] = Counter()
        self.broken: list[str] = []

    async def in_time(self, step: Awaitable[object]) -> None:
        """Wait for what must not take longer than `PATIENCE`."""
        self.asked += 1
        began = self.world.now
        try:
            await step
        finally:
            self.settled += self.world.now <= began + PATIENCE + 1e-9

    async def locked(self, registry: Registry, key: int) -> None:
        """Be alone with *key* for a while."""
        async with registry.lock(key):
            self.held[key] += 1
            if self.held[key] != 1:
                self.broken.append("one at a time has the lock")
            try:
                await self.world.pause()
                await anyio.sleep(0.001)
            finally:
                self.held[key] -= 1

    def check(self) -> None:
        """The laws, when all is over."""
        assert not self.broken, self.broken[0]
        assert self.settled == self.asked, "every wait ends in time"
        assert all(life.is_whole() for life in self.lives), "starts and ends pair up"
        assert not +self.held, "locks are freed"


class Worker(Living):
    """Does what the messages say."""

    def __init__(self, journal: Journal, registry: Registry) -> None:
        super().__init__(journal.lives)
        self.journal = journal
        self.registry = registry

    async def receive(self, message: Any) -> object:
        match message:
            case "crash":
                raise Boom
            case "wait":
                await anyio.sleep(0.01)
            case "stop":
                self.context.stop()
            case int():
                await self.journal.locked(self.registry, message)
            case _:
                pass
        return message


class Services:
    """What clients make use of."""

    def __init__(self, world: World, journal: Journal, system: ActorSystem) -> None:
        chance = world.random
        backoff = chance.choice((None, BACKOFF))
        registry = system.registry
        self.world = world
        self.journal = journal
        self.system = system
        self.numbers = itertools.count()
        self.pool: Router[Any] = Router(
            [
                ChildSpec(
                    f"routee-{number}",
                    lambda: Worker(journal, registry),
                    chance.choice(list(Restart)),
                )
                for number in range(2)
            ],
            intensity=PATIENT,
            backoff=backoff,
            rng=chance,
        )
        self.parts: PartitionSupervisor[Any] = PartitionSupervisor(
            lambda number: ChildSpec(
                f"part-{number}",
                lambda: Worker(journal, registry),
                chance.choice((Restart.PERMANENT, Restart.TRANSIENT)),
            ),
            KEYS,
            intensity=PATIENT,
            backoff=backoff,
            rng=chance,
        )
        self.tasks = TaskSupervisor(max_children=3)

    async def start(self) -> None:
        await self.system.spawn(self.pool, name="pool")
        await self.system.spawn(self.parts, name="parts")
        await self.system.spawn(self.tasks, name="tasks")

    async def session(self) -> ActorRef[Any]:
        """A new actor, for a name that nobody has."""
        ref = await self.system.spawn(
            lambda: Worker(self.journal, self.system.registry),
            name=f"session-{next(self.numbers)}",
            restart=self.world.random.choice(list(Restart)),
        )
        self.journal.sessions.append(ref)
        return ref

    async def compute(self, number: int) -> int:
        """Something that takes time, and may fail."""
        await anyio.sleep(0.01)
        if number % 5 == 4:
            raise Boom
        return number

    async def client(self) -> None:
        """Do one thing after the other."""
        chance = self.world.random
        for _ in range(ORDERS):
            await self.world.pause()
            # Some give up soon.
            patience = 0.005 if chance.random() < 0.15 else 60
            try:
                with anyio.move_on_after(patience):
                    await self.order(int(chance.random() * 14))
            except (ActorError, SupervisorError, TimeoutError, Boom):
                pass

    async def order(self, what: int) -> None:
        chance, journal, registry = (
            self.world.random,
            self.journal,
            self.system.registry,
        )
        key = int(chance.random() * KEYS)
        message = chance.choice(("nothing", "crash", "wait", "stop", key))
        match what:
            case 0 | 1:
                await journal.in_time(self.pool.ask(message, timeout=PATIENCE))
            case 2 | 3:
                ref = self.parts.ref(key)
                await journal.in_time(ref.ask(message, timeout=PATIENCE))
            case 4:
                await self.parts.resize(key)
            case 5:
                task = self.tasks.start(self.compute, key)
                if chance.random() < 0.3:
                    task.cancel()
                await task.wait()
            case 6:
                stream = self.tasks.stream(
                    range(5), self.compute, max_concurrency=2, on_error="skip"
                )
                async with stream as results:
                    got = [result async for result in results]
                if got != sorted(got):
                    journal.broken.append("results come in order")
            case 7 | 8:
                ref = await registry.get_or_spawn(key, self.session)
                await journal.in_time(ref.ask(message, timeout=PATIENCE))
            case 9:
                await journal.locked(registry, key)
            case 10:
                await journal.in_time(registry.via(key).ask("wait", timeout=PATIENCE))
            case 11 if journal.sessions:
                chance.choice(journal.sessions).kill()
            case 12 if journal.sessions:
                self.world.cancel(chance.choice(journal.sessions))
            case _:
                await anyio.sleep(0.02)


async def services(world: World) -> Journal:
    """The world: what is served, and clients."""
    journal = Journal(world)
    for path in ("/pool/*", "/parts/*", "/tasks/*", "/session-*"):
        world.inject(path, FAULTS)
    async with ActorSystem(intensity=PATIENT, backoff=None) as system:
        served = Services(world, journal, system)
        try:
            await served.start()
        except (ActorError, SupervisorError):
            return journal  # a fault struck one as it started
        async with anyio.create_task_group() as clients:
            for _ in range(CLIENTS):
                clients.start_soon(served.client)
        # By then whoever was to end has ended.
        await anyio.sleep(10)
        holders = [system.registry.whereis(key) for key in range(KEYS)]
        assert all(ref is None or ref.alive for ref in holders), "names are freed"
    journal.check()
    return journal
