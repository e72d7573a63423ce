"""A supervised world in which actors use all that they have, and its laws."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import anyio

from greenroom import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    Backoff,
    ChildSpec,
    Down,
    DynamicSupervisor,
    MailboxOptions,
    Overflow,
    Restart,
    StashFull,
    Strategy,
    Supervisor,
    SupervisorError,
)
from greenroom.testing import Faults, World

from .supervised import PATIENT, Boom, Life, Living

BACKOFF: Final = Backoff(0.01, 0.1)
FAULTS: Final = Faults(crash=0.02, cancel=0.03, kill=0.02, slow=0.03, slow_seconds=0.2)
PATIENCE = 0.5
AT_ONCE = 2
CLIENTS = 3
ORDERS = 6

MESSAGES = (
    "nothing",
    "crash",
    "wait",
    "stop",
    "stash",
    "unstash",
    "beside",
    "beside crash",
    "pipe",
    "timer",
    "interval",
    "defer",
    "child task",
    "bind",
    "monitor",
    "ask",
    "send",
    "publish",
)
OVERFLOW = (Overflow.REJECT, Overflow.BLOCK, Overflow.DROP_NEW, Overflow.DROP_OLD)

Order = Callable[[ActorRef[Any], tuple[str, int]], Awaitable[object]]


class Journal:
    """What happened in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.refs: list[ActorRef[Any]] = []
        self.lives: list[Life] = []
        self.asked = self.settled = 0
        # Laws that were seen to be broken where nobody could raise.
        self.broken: list[str] = []

    async def in_time(self, step: Awaitable[object]) -> None:
        """Wait for what must not take longer than `PATIENCE`."""
        self.asked += 1
        began = self.world.now
        try:
            await step
        except (ActorError, TimeoutError):
            pass
        finally:
            # Who waits may be cancelled, which ends the wait too.
            self.settled += self.world.now <= began + PATIENCE + 1e-9

    def other(self, number: int) -> ActorRef[Any]:
        return self.refs[number % len(self.refs)]

    def check(self) -> None:
        """The laws, when all is over."""
        assert not self.broken, self.broken[0]
        assert self.settled == self.asked, "every wait ends in time"
        assert all(life.is_whole() for life in self.lives), "starts and ends pair up"
        for ref in self.refs:
            assert not ref.alive, "everybody ends"
            assert ref.statistics().pending == 0, "nothing is left in a mailbox"


class Worker(Living):
    """Does what the messages say."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal.lives)
        self.journal = journal
        self.busy = False
        self.at_once = 0

    async def receive(self, message: Any) -> object:
        if self.busy:
            self.journal.broken.append("one message at a time")
        if not self.life.started or self.life.stopped:
            self.journal.broken.append("between its start and its end")
        self.busy = True
        try:
            return await self.handle(message)
        finally:
            self.busy = False

    async def handle(self, message: Any) -> object:
        if isinstance(message, Down):
            return None
        what: str = message[0]
        number: int = message[1]
        context, journal = self.context, self.journal
        other = journal.other(number)
        later = ("nothing", number)
        match what:
            case "crash":
                raise Boom
            case "wait":
                await anyio.sleep(0.01)
            case "stop":
                context.stop()
            case "stash":
                with suppress(StashFull):
                    context.stash()
            case "unstash":
                context.unstash()
            case "beside" | "beside crash":
                await context.concurrently(AT_ONCE, self.beside, what, number)
            case "pipe":
                context.pipe_to_self(self.fetch, number)
            case "timer":
                mine = "mine", context.incarnation
                context.send_after(0.02, mine)
            case "interval":
                context.send_every(0.05, ("mine", context.incarnation))
            case "mine" if number != context.incarnation:
                journal.broken.append("a timer's message is for its incarnation")
            case "defer":
                reply = context.defer_reply()
                context.start_soon(self.answer, reply, number)
            case "child task":
                context.start_soon(anyio.sleep, 0.05)
            case "bind" if number % 3 == 0:
                context.bind_to(other)
            case "monitor":
                other.monitor()
            case "ask":
                await journal.in_time(other.ask(later, timeout=PATIENCE))
            case "send":
                await journal.in_time(other.send(later, timeout=PATIENCE))
            case _:
                pass
        return number

    async def beside(self, what: str, number: int) -> int:
        self.at_once += 1
        if self.at_once > AT_ONCE:
            self.journal.broken.append("so many at once and no more")
        try:
            await anyio.sleep(0.01)
            if what == "beside crash":
                raise Boom
            return number
        finally:
            self.at_once -= 1

    async def fetch(self, number: int) -> tuple[str, int]:
        await anyio.sleep(0.01)
        return "nothing", number

    async def answer(self, reply: Any, number: int) -> None:
        await anyio.sleep(0.01)
        reply.send(number)


class Inline(Actor[Any]):
    """Answers in the task of its asker, if it can."""

    inline_asks = True

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def receive(self, message: Any) -> object:
        if isinstance(message, Down):
            return None
        what: str = message[0]
        number: int = message[1]
        if what == "crash":
            raise Boom
        if what == "stop":
            self.context.stop()
        elif what == "stash":
            with suppress(StashFull):
                self.context.stash()
        elif what == "unstash":
            self.context.unstash()
        elif what == "defer":
            self.context.defer_reply().send(number)
        elif what == "monitor":
            self.journal.other(number).monitor()
        return number


async def client(world: World, journal: Journal, system: ActorSystem, n: int) -> None:
    """Do one thing after the other to one actor or the other."""
    chance = world.random
    registry = system.registry
    for number in range(100 * n, 100 * n + ORDERS):
        await world.pause()
        ref = journal.refs[int(chance.random() * len(journal.refs))]
        message = MESSAGES[int(chance.random() * len(MESSAGES))], number
        what = int(chance.random() * 16)
        try:
            match what:
                case 0 | 1:
                    ref.try_tell(message)
                case 2 | 3 | 4 | 5:
                    await journal.in_time(ref.ask(message, timeout=PATIENCE))
                case 6:
                    await journal.in_time(ref.send(message, timeout=PATIENCE))
                case 7:
                    ref.stop_nowait()
                case 8:
                    world.cancel(ref)
                case 9:
                    ref.kill()
                case 10:
                    ref.suspend()
                    await world.pause()
                    ref.resume()
                case 11:
                    with anyio.fail_after(PATIENCE):
                        await journal.in_time(ref.inspect(lambda actor: actor))
                case 12:
                    await registry.join("group", ref)
                    await registry.publish(["group"], message)
                case 13:
                    await registry.register(number % 3, ref)
                case 14:
                    with anyio.move_on_after(0.001):
                        await ref.ask(message)
                case _:
                    await anyio.sleep(0.03)
        except (ActorError, SupervisorError, TimeoutError):
            pass


def specs(world: World, journal: Journal) -> list[ChildSpec[Any]]:
    """Three children of the fixed supervisor."""
    chance = world.random
    return [
        ChildSpec(
            f"worker-{number}",
            (lambda: Inline(journal)) if number == 2 else (lambda: Worker(journal)),
            chance.choice(list(Restart)),
            mailbox=MailboxOptions(capacity=4, overflow=chance.choice(OVERFLOW)),
            redeliver=int(chance.random() * 2),
            on_restart=chance.choice(("keep", "drop")),
        )
        for number in range(3)
    ]


async def features(world: World, *, shaky: bool = False) -> Journal:
    """The world: two supervisors, their workers, and clients.

    Args:
        world: Where it is.
        shaky: Whether faults befall the supervisors, too.
    """
    journal = Journal(world)
    chance = world.random
    world.inject("*/worker-*", FAULTS)
    if shaky:
        world.inject("/fixed", FAULTS)
        world.inject("/dynamic", FAULTS)
    backoff = chance.choice((None, BACKOFF))
    fixed = Supervisor(
        specs(world, journal),
        strategy=chance.choice(list(Strategy)),
        intensity=PATIENT,
        backoff=backoff,
        rng=chance,
    )
    dynamic = DynamicSupervisor(intensity=PATIENT, backoff=backoff, rng=chance)
    async with ActorSystem(intensity=PATIENT, backoff=None) as system:
        try:
            await system.spawn(lambda: fixed, name="fixed", restart=Restart.PERMANENT)
        except ActorError:
            # A fault struck a child as it started.
            return journal
        # It may be down again; then there is nobody to do anything to.
        for info in fixed.children():
            if info.ref is not None:
                journal.refs.append(info.ref)
        with suppress(ActorError, SupervisorError):
            await system.spawn(dynamic, name="dynamic")
            spec: ChildSpec[Any] = ChildSpec(
                "worker-3", lambda: Worker(journal), Restart.TRANSIENT
            )
            journal.refs.append(await dynamic.start_child(spec))
        async with anyio.create_task_group() as clients:
            for number in range(CLIENTS if journal.refs else 0):
                clients.start_soon(client, world, journal, system, number)
    journal.check()
    assert not system.registry.sizes(), "who has ended is in no group"
    return journal
