"""Actors that do as they are told, for tests of those who supervise them."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import anyio

from greenroom import (
    Actor,
    ActorRef,
    ActorSystem,
    Backoff,
    ChildSpec,
    Crashed,
    Decline,
    Declined,
    DynamicSupervisor,
    ExitReason,
    GaveUp,
    Intensity,
    Killed,
    MailboxOptions,
    Normal,
    Restart,
    Shutdown,
    StartFailed,
    Strategy,
    Supervisor,
)
from greenroom.supervision._family import Family
from greenroom.testing import wait_idle

REASONS = (Normal, Shutdown, Declined, Killed, Crashed, StartFailed, GaveUp)
MANY = Intensity(max_restarts=1000, period=1.0)


class Boom(Exception):
    """What the actors here fail with."""


class Journal(list[str]):
    """What happened, in order."""

    def take(self) -> list[str]:
        """What happened since the last time."""
        news = list(self)
        self.clear()
        return news

    def of(self, word: str) -> list[str]:
        """Who did *word*, in order."""
        return [who for what, who in map(str.split, self) if what == word]


class Plain(Actor[object]):
    """An actor with a `receive` and nothing else."""

    async def receive(self, message: object) -> object:
        if isinstance(message, BaseException):
            raise message
        return self.context.incarnation


Step = Callable[["Worker"], Awaitable[None]]


class Worker(Actor[object]):
    """Writes down its starts and stops, and ends as it is told.

    Args:
        name: What it calls itself in the journal.
        journal: Where it writes.
        on_start: What it does as it starts.
        on_stop: What it does as it stops.
    """

    def __init__(
        self,
        name: str,
        journal: Journal,
        on_start: Step | None = None,
        on_stop: Step | None = None,
    ) -> None:
        self.name = name
        self.journal = journal
        self._on_start = on_start
        self._on_stop = on_stop

    async def started(self) -> None:
        self.journal.append(f"start {self.name}")
        if self._on_start is not None:
            await self._on_start(self)

    async def receive(self, message: object) -> object:
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, REASONS):
            self.context.stop(message)
        elif callable(message):
            await cast("Step", message)(self)
        return self.context.incarnation

    async def stopped(self, reason: ExitReason) -> None:
        self.journal.append(f"stop {self.name}")
        if self._on_stop is not None:
            await self._on_stop(self)
        self.journal.append(f"gone {self.name}")


async def forever(_: object = None) -> None:
    """A step that takes for ever, until it is cancelled."""
    await anyio.sleep_forever()


async def fail(_: object = None) -> None:
    """A step that fails."""
    raise Boom


async def decline(_: object = None) -> None:
    """A step that declines."""
    raise Decline


def lasting(seconds: float) -> Step:
    """A step that takes *seconds*."""

    async def step(_: Worker) -> None:
        await anyio.sleep(seconds)

    return step


class Stubborn:
    """A step that no cancellation ends, until it is released."""

    def __init__(self) -> None:
        self.release = anyio.Event()
        self.over = anyio.Event()

    async def __call__(self, _: object = None) -> None:
        with anyio.CancelScope(shield=True):
            await self.release.wait()
        self.over.set()


def in_turn(*steps: Step | None) -> Step:
    """A step that is the first of *steps* the first time, and so on; then none."""
    left = list(steps)

    async def step(worker: Worker) -> None:
        now = left.pop(0) if left else None
        if now is not None:
            await now(worker)

    return step


def worker(
    name: str,
    journal: Journal,
    restart: Restart = Restart.PERMANENT,
    *,
    on_start: Step | None = None,
    on_stop: Step | None = None,
    shutdown: float | Literal["brutal_kill"] | None = None,
    significant: bool = False,
    start_timeout: float = 30.0,
    mailbox: MailboxOptions | None = None,
    on_restart: Literal["keep", "drop"] = "keep",
) -> ChildSpec[object]:
    """A spec of a `Worker`."""
    return ChildSpec(
        name,
        lambda: Worker(name, journal, on_start, on_stop),
        restart,
        shutdown=shutdown,
        significant=significant,
        start_timeout=start_timeout,
        mailbox=mailbox or MailboxOptions(),
        on_restart=on_restart,
    )


def spec(name: str = "a", **options: Any) -> ChildSpec[object]:
    """A spec of a `Plain`."""
    return ChildSpec(name, Plain, **options)


def acting(
    on_start: Step | None = None, on_stop: Step | None = None, **options: Any
) -> ChildSpec[object]:
    """A spec of a `Worker` whose journal nobody reads, with further options."""
    return ChildSpec("a", lambda: Worker("a", Journal(), on_start, on_stop), **options)


async def elapse(seconds: float) -> None:
    """Let *seconds* of virtual time go by, with all that happens in them."""
    await anyio.sleep(seconds)


async def incarnation(ref: ActorRef[object] | None) -> object:
    """Which incarnation answers at *ref*."""
    assert ref is not None
    return await ref.ask("which?")


@asynccontextmanager
async def running(
    supervisor: Family[Any],
) -> AsyncGenerator[ActorRef[Any]]:
    """Run *supervisor* as the only actor of a system."""
    async with ActorSystem() as system:
        yield await system.spawn(supervisor, name="top")


def family(children: Sequence[ChildSpec[Any]] = (), **options: Any) -> Supervisor:
    """A supervisor without backoff that gives up late, unless told otherwise."""
    settings: dict[str, Any] = {"intensity": MANY, "backoff": None, **options}
    return Supervisor(children, **settings)


def crowd(**options: Any) -> DynamicSupervisor:
    """A dynamic supervisor without backoff that gives up late."""
    settings: dict[str, Any] = {"intensity": MANY, "backoff": None, **options}
    return DynamicSupervisor(**settings)


class Longest(random.Random):
    """Jitter that takes the whole of what it may."""

    def uniform(self, a: float, b: float) -> float:
        return b


def patient(seconds: float = 10.0) -> dict[str, Any]:
    """Options of a supervisor that restarts at once, and then every *seconds*."""
    return {"backoff": Backoff(seconds, seconds), "rng": Longest()}


async def restarting(ref: ActorRef[object] | None) -> None:
    """Make a `patient` supervisor's child that `fails_again` wait for its start."""
    assert ref is not None
    ref.tell(Boom())
    await wait_idle()


def fails_again(times: int = 1) -> Step:
    """A start that succeeds the first time, and then fails *times*."""
    return in_turn(None, *[fail] * times)


def statuses(supervisor: Family[Any]) -> dict[str, str]:
    """What each child is doing."""
    return {info.id: info.status.value for info in supervisor.children()}


def now() -> float:
    """Seconds on the virtual clock."""
    return anyio.current_time()


def trio(
    journal: Journal, strategy: Strategy, b: Step | None = None, **options: Any
) -> Supervisor:
    """A supervisor of a, b and c."""
    return family(
        [
            worker("a", journal),
            worker("b", journal, on_start=b),
            worker("c", journal),
        ],
        strategy=strategy,
        **options,
    )


def child(supervisor: Supervisor, id: str) -> ActorRef[object]:
    """The ref of a child that must be there."""
    ref = supervisor.child(id)
    assert ref is not None
    return ref


async def incarnations(supervisor: Supervisor) -> list[object]:
    """Which incarnation of each child answers."""
    return [await incarnation(info.ref) for info in supervisor.children()]
