"""A small supervised world in which everything happens that can, and its laws."""

from __future__ import annotations

from typing import Any, Final

import anyio
from anyio.lowlevel import checkpoint

from greenroom import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    Down,
    ExitReason,
    Intensity,
    MailboxOptions,
    Monitor,
    Overflow,
    Restart,
)
from greenroom.testing import Faults, World

PATIENT: Final = Intensity(max_restarts=1000, period=1.0)
FAULTS: Final = Faults(crash=0.03, cancel=0.03, kill=0.02, slow=0.03)

# One that asks for longer than this has been forgotten.
PATIENCE = 0.5

WORKERS = 2
CLIENTS = 2
ORDERS = 3

MESSAGES = ("nothing", "crash", "wait", "stop", "more", "watch", "watch", "ask")
OVERFLOW = (Overflow.REJECT, Overflow.BLOCK, Overflow.DROP_NEW, Overflow.DROP_OLD)
# Who is never restarted is the one whose end others hear of.
RESTART = (Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY, Restart.TEMPORARY)


class Boom(Exception):
    """What an actor fails with."""


class Life:
    """One incarnation of one actor, as its hooks saw it."""

    def __init__(self) -> None:
        self.started = self.stopped = self.killed = 0

    def is_whole(self) -> bool:
        """Whether it came to an end if it began, and to each end once."""
        if self.stopped > 1 or self.killed > 1:
            return False
        return not self.started or self.stopped + self.killed > 0


class Living(Actor[Any]):
    """An actor each of whose incarnations keeps a `Life`, in *lives*."""

    def __init__(self, lives: list[Life]) -> None:
        self.life = Life()
        lives.append(self.life)

    async def started(self) -> None:
        await checkpoint()
        self.life.started += 1

    async def stopped(self, reason: ExitReason) -> None:
        await checkpoint()
        self.life.stopped += 1

    def killed(self) -> None:
        self.life.killed += 1


class Journal:
    """What happened in one world."""

    def __init__(self) -> None:
        self.refs: list[ActorRef[Any]] = []
        self.lives: list[Life] = []
        # How often each message was handled.
        self.handled: dict[int, int] = {}
        self.asked = 0
        self.settled = 0
        # Those of clients, who wait for them at the end.
        self.monitors: list[Monitor] = []
        # How many Downs each incarnation got of each actor, and begun watches.
        self.downs: dict[tuple[Life, ActorRef[Any]], int] = {}
        self.watches: dict[tuple[Life, ActorRef[Any]], int] = {}

    async def ask(self, ref: ActorRef[Any], message: tuple[str, int]) -> None:
        """Ask *ref*, and write down that it was settled, however."""
        self.asked += 1
        began = anyio.current_time()
        try:
            assert await ref.ask(message, timeout=PATIENCE) == message[1]
        except (ActorError, TimeoutError):
            pass
        finally:
            # The asker may have been cancelled, which settles it too.
            self.settled += anyio.current_time() <= began + PATIENCE

    def check(self) -> None:
        """The laws, when all is over."""
        assert self.settled == self.asked, "every ask settles"
        assert all(life.is_whole() for life in self.lives), "starts and ends pair up"
        assert all(count == 1 for count in self.handled.values()), "at most once"
        assert not any(ref.alive for ref in self.refs), "everybody ends"
        for watch, downs in self.downs.items():
            assert downs <= self.watches[watch], "one Down of each watch"


class Worker(Living):
    """Does what the messages say."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal.lives)
        self.journal = journal

    async def receive(self, message: Any) -> object:
        journal = self.journal
        if isinstance(message, Down):
            key: tuple[Life, ActorRef[Any]] = (self.life, message.ref)
            journal.downs[key] = journal.downs.get(key, 0) + 1
            return None
        what: str = message[0]
        number: int = message[1]
        journal.handled[number] = journal.handled.get(number, 0) + 1
        other = journal.refs[number % len(journal.refs)]
        if what == "crash":
            raise Boom
        if what == "wait":
            await anyio.sleep(0.01)
        elif what == "stop":
            self.context.stop()
        elif what == "more":
            self.context.ref.try_tell(("nothing", number + 1000))
        elif what == "watch":
            key = self.life, other
            journal.watches[key] = journal.watches.get(key, 0) + 1
            other.monitor()
        elif what == "ask":
            # Of itself, perhaps, or of one who waits for it.
            await journal.ask(other, ("nothing", number + 2000))
        return number


async def client(world: World, journal: Journal, first: int) -> None:
    """Do one thing after the other to one worker or the other."""
    chance = world.random
    for number in range(first, first + ORDERS):
        await world.pause()
        ref = journal.refs[int(chance.random() * WORKERS)]
        message = MESSAGES[int(chance.random() * len(MESSAGES))], number
        what = int(chance.random() * 10)
        if what < 2:
            ref.try_tell(message)
        elif what < 6:
            await journal.ask(ref, message)
        elif what == 6:
            journal.monitors.append(ref.monitor())
        elif what == 7:
            ref.stop_nowait()
        elif what == 8:
            world.cancel(ref)
        else:
            ref.kill()


async def supervised(world: World) -> Journal:
    """The world: workers, and clients who do them good and ill."""
    journal = Journal()
    chance = world.random
    world.inject("/worker-*", FAULTS)
    mailbox = MailboxOptions(capacity=3, overflow=chance.choice(OVERFLOW))
    async with ActorSystem(intensity=PATIENT, backoff=None) as system:
        for number in range(WORKERS):
            ref = await system.spawn(
                lambda: Worker(journal),
                name=f"worker-{number}",
                restart=chance.choice(RESTART),
                mailbox=mailbox,
            )
            journal.refs.append(ref)
        async with anyio.create_task_group() as clients:
            for number in range(CLIENTS):
                clients.start_soon(client, world, journal, 100 * number)
    for monitor in journal.monitors:
        # Here already; with none coming, the world would stand still.
        assert (await monitor.wait()).ref in journal.refs
    journal.check()
    return journal
