"""ActorKit: one actor, tested in plain functions.

    with ActorKit(Counter()) as kit:
        kit.tell(2)
        assert kit.ask(3) == 5

The event loop is in the kit, and its time is virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar, final, overload

from ..actors import (
    Actor,
    ActorRef,
    DeadLetter,
    ExitReason,
    MailboxOptions,
    Monitor,
    Request,
)
from ..supervision import ActorSystem
from ._clock import VirtualEventLoop, wait_idle

M = TypeVar("M")
R = TypeVar("R")
T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True)
class Sent:
    """A message that reached a probe.

    Attributes:
        to: The name of the probe.
        message: The message.
    """

    to: str
    message: object


@final
class _Probe(Actor[Any]):
    """Writes down what it is sent, and answers if it is asked."""

    def __init__(
        self, name: str, sent: list[Sent], answer: Callable[[Any], object] | None
    ) -> None:
        self._name = name
        self._sent = sent
        self._answer = answer

    def receive(self, message: object) -> object:
        self._sent.append(Sent(self._name, message))
        return None if self._answer is None else self._answer(message)


@final
class ActorKit(Generic[M]):
    """An actor, run step by step by whoever holds the kit.

    A ``with`` block around the actor's life.  Each call below runs until nothing
    more happens; time goes by in `advance` only, and in an `ask` that is waited
    for.  The actor is not restarted: see `reason` for how it ended.

    Args:
        actor: The actor; or a function of the kit that makes it, to hand it the
            refs of probes: ``ActorKit(lambda kit: Shop(kit.probe("bank")))``.
        mailbox: How much may wait for it.

    Attributes:
        sent: What reached the probes, in order.
        actor: The actor, to look at.
    """

    def __init__(
        self,
        actor: Actor[M] | Callable[[ActorKit[M]], Actor[M]],
        *,
        mailbox: MailboxOptions = MailboxOptions(),  # noqa: B008 - frozen
    ) -> None:
        self.sent: list[Sent] = []
        self.actor: Actor[M]
        self._given = actor
        self._mailbox = mailbox
        self._loop: VirtualEventLoop | None = None
        # Holds the system open, in a task of its own: its block is entered and
        # left in the same one.
        self._life: asyncio.Task[None]
        self._leave: asyncio.Event
        self._system: ActorSystem
        self._ref: ActorRef[M]
        self._monitor: Monitor

    def __enter__(self) -> ActorKit[M]:
        if self._loop is not None:
            raise RuntimeError("an ActorKit can be entered only once")
        if _loop_is_running():
            raise RuntimeError("an ActorKit has an event loop of its own: use a system")
        self._loop = VirtualEventLoop()
        self._run(self._begin)
        with ExitStack() as undo:
            undo.callback(self._end)
            given = self._given
            self.actor = given if isinstance(given, Actor) else given(self)
            self._ref = self._run(self._start)
            undo.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    # -- what is done to the actor -----------------------------------------

    def tell(self, message: M) -> None:
        """Tell the actor *message*, and wait until nothing more happens.

        Raises:
            MailboxFull: As `ActorRef.tell` does.
            ActorNotAlive: The actor has ended.
        """
        self._run(lambda: _do(self._ref.tell, message))

    @overload
    def ask(self, message: Request[R], *, timeout: float = ...) -> R: ...

    @overload
    def ask(self, message: M, *, timeout: float = ...) -> object: ...

    def ask(self, message: Any, *, timeout: float = 5.0) -> object:
        """Ask the actor *message*, and wait for its answer.

        Raises:
            AskTimeout: It has not answered within *timeout* virtual seconds.
            ActorCrashed: It failed over it.
            ActorNotAlive: It has ended.
        """
        return self._run(lambda: self._ref.ask(message, timeout=timeout))

    def advance(self, seconds: float) -> None:
        """Let *seconds* go by, with all that happens in them."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds must be at least 0, got {seconds!r}")
        self._run(lambda: asyncio.sleep(seconds))

    def stop(self, reason: ExitReason | None = None) -> ExitReason:
        """Stop the actor, and return how it ended."""
        return self._run(lambda: self._ref.stop(reason))

    def kill(self) -> None:
        """Cancel the actor where it stands."""
        self._run(lambda: _do(self._ref.kill))

    def probe(
        self, name: str, answer: Callable[[Any], object] | None = None
    ) -> ActorRef[Any]:
        """The ref of an actor that writes what it is sent into `sent`.

        Args:
            name: What `Sent.to` calls it.
            answer: Makes the answer to what it is asked; by default None.
        """
        probe = _Probe(name, self.sent, answer)
        return self._run(lambda: self._system.spawn(probe, name=name))

    # -- what can be seen --------------------------------------------------

    @property
    def ref(self) -> ActorRef[M]:
        """The actor's ref."""
        return self._ref

    @property
    def reason(self) -> ExitReason | None:
        """How the actor ended; None while it lives."""
        return self._monitor.reason

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The latest of what was accepted and not handled, oldest first."""
        return self._system.dead_letters.latest

    @property
    def now(self) -> float:
        """Virtual seconds since the kit was entered."""
        assert self._loop is not None
        return self._loop.time()

    # -- its event loop ----------------------------------------------------

    def _run(self, step: Callable[[], Awaitable[T]]) -> T:
        assert self._loop is not None
        if self._loop.is_closed():
            raise RuntimeError("the ActorKit has been left")
        return self._loop.run_until_complete(_settled(step))

    async def _begin(self) -> None:
        self._leave = asyncio.Event()
        self._system = ActorSystem()
        entered = asyncio.Event()
        self._life = asyncio.create_task(self._live(entered))
        await entered.wait()

    async def _live(self, entered: asyncio.Event) -> None:
        async with self._system:
            entered.set()
            await self._leave.wait()

    async def _start(self) -> ActorRef[M]:
        ref = await self._system.spawn(self.actor, name="actor", mailbox=self._mailbox)
        self._monitor = ref.monitor()
        return ref

    def _end(self) -> None:
        assert self._loop is not None
        self._leave.set()
        try:
            self._loop.run_until_complete(self._life)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


async def _do(function: Callable[..., T], *args: object) -> T:
    return function(*args)


async def _settled(step: Callable[[], Awaitable[T]]) -> T:
    """What *step* comes to, when nothing more comes of it."""
    try:
        return await step()
    finally:
        await wait_idle()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
