"""What a user writes: an actor, and what it can ask of its surroundings."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, TypeVarTuple, final

from ._ask import Reply
from ._exit import ExitReason, Normal
from ._mailbox import Mailbox
from ._ref import ActorRef
from ._runtime import Runtime
from ._timers import Timer

M = TypeVar("M")
Ts = TypeVarTuple("Ts")


class Host(Protocol):
    """What a context needs of the incarnation it is the context of."""

    @property
    def number(self) -> int:
        """Which incarnation it is, from 1."""
        ...

    @property
    def mailbox(self) -> Mailbox[Any]:
        """The actor's mailbox."""
        ...

    @property
    def runtime(self) -> Runtime:
        """The ground it stands on."""
        ...

    @property
    def ref(self) -> ActorRef[Any]:
        """The actor's ref."""
        ...

    def request_stop(self, reason: ExitReason) -> None:
        """Stop after the message in flight."""
        ...

    def defer_reply(self) -> Reply:
        """Take the answer of the message in flight into one's own hands."""
        ...

    def stash(self) -> None:
        """Keep the message in flight, to be taken again."""
        ...

    def unstash(self) -> int:
        """Put what was stashed before all that waits."""
        ...

    async def handle_beside(
        self,
        limit: int,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
    ) -> None:
        """Go on with the message in flight in a task of its own."""
        ...

    async def pipe_to_self(
        self,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        """Run a function and put what it returns in the mailbox."""
        ...

    def start_task(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        """Start a task that ends with the incarnation."""
        ...

    def set_timer(self, delay: float, message: object, interval: float | None) -> Timer:
        """Tell the actor *message* after *delay* seconds."""
        ...

    def bind_to(self, ref: ActorRef[Any]) -> None:
        """Stop with the reason of *ref* when that ends."""
        ...


@final
class Context(Generic[M]):
    """The actor's view of its surroundings, as ``self.context``.

    One per incarnation.  When that has ended, ``stop`` does nothing and what
    would begin something raises `ActorNotAlive`.
    """

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def ref(self) -> ActorRef[M]:
        """The actor's own ref, the same for every incarnation."""
        return self._host.ref

    @property
    def path(self) -> str:
        """Where the actor stands in the tree."""
        return self._host.ref.path

    @property
    def mailbox(self) -> Mailbox[M]:
        """The actor's own mailbox, to look at: how much waits, say."""
        return self._host.mailbox

    @property
    def runtime(self) -> Runtime:
        """Clock, tasks and dead letters of the system; for those who supervise."""
        return self._host.runtime

    @property
    def incarnation(self) -> int:
        """How often the actor was started: 1 the first time."""
        return self._host.number

    def stop(self, reason: ExitReason | None = None) -> None:
        """End this actor after the message in flight; `Normal` by default."""
        self._host.request_stop(Normal() if reason is None else reason)

    def defer_reply(self) -> Reply:
        """Answer the message in flight later; what ``receive`` returns is unused.

        If the message was told and not asked, the reply is one nobody wants.

        Raises:
            RuntimeError: Called elsewhere than in ``receive``.
        """
        return self._host.defer_reply()

    def stash(self) -> None:
        """Keep the message in flight for later: `unstash` brings it back.

        What ``receive`` returns is unused; if the message was asked, its asker
        goes on waiting.  A restart brings back what is stashed; at the end it
        becomes dead letters.

        Raises:
            StashFull: As many messages are stashed as the mailbox may hold.
            RuntimeError: Called elsewhere than in ``receive``.
        """
        self._host.stash()

    def unstash(self) -> int:
        """Put all that is stashed before all that waits, in its old order.

        Returns:
            How many messages that were.
        """
        return self._host.unstash()

    async def concurrently(
        self, limit: int, function: Callable[[*Ts], Awaitable[object]], *args: *Ts
    ) -> None:
        """Go on with the message in flight in a task, and take the next one.

        For slow handlers: ``receive`` passes the message to a method of the
        actor's, of which up to *limit* run at once; while they do, this waits,
        and the mailbox fills up behind it.  What *function* returns is the
        answer, if the message was asked.  The order of such messages is not
        kept, and what they share changes wherever one of them awaits.

        An exception crashes the actor: the others are cancelled, and all are
        dead letters.  A stop waits for them as for a message in flight.

        Raises:
            ValueError: *limit* is not at least 1.
            RuntimeError: Called elsewhere than in ``receive``.
        """
        await self._host.handle_beside(limit, function, args)

    def pipe_to_self(
        self,
        function: Callable[[*Ts], Awaitable[M]],
        *args: *Ts,
        on_error: Callable[[Exception], M] | None = None,
    ) -> None:
        """Run ``function(*args)`` beside the actor; what it returns is a message.

        It is put in this actor's mailbox, and waits for room there; it is only
        for this incarnation.

        Args:
            function: What to run; cancelled when this incarnation ends.
            args: What to run it with.
            on_error: Makes the message if it raises; without it, an exception
                crashes the actor.
        """
        host = self._host
        host.start_task(host.pipe_to_self, (function, args, on_error))

    def start_soon(
        self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts
    ) -> None:
        """Run ``function(*args)`` beside the actor, as part of it.

        It is cancelled when this incarnation ends, after the last message and
        before ``stopped``.  An exception that leaves it crashes the actor.
        Asks made in it are not part of the actor's own waiting, so they cannot
        close a cycle.
        """
        self._host.start_task(function, args)

    def send_after(self, seconds: float, message: M) -> Timer:
        """Tell this actor *message* in *seconds*.

        It dies with the incarnation, also if it is in the mailbox already.  A
        full mailbox turns it into a dead letter.
        """
        return self._host.set_timer(seconds, message, None)

    def send_every(self, seconds: float, message: M) -> Timer:
        """Tell this actor *message* every *seconds*, first after *seconds*.

        A tick is skipped while the one before it still waits, so that a slow
        actor does not collect them.
        """
        return self._host.set_timer(seconds, message, seconds)

    def bind_to(self, ref: ActorRef[Any]) -> None:
        """End this actor when that one has ended: a monitor and a stop.

        The actor ends with the other's reason.
        """
        self._host.bind_to(ref)


class Actor(Generic[M]):
    """Private state, reached only through a mailbox.

    Subclass it and write ``receive``.  One message is handled at a time, each to
    its end; an exception ends the incarnation and its supervisor decides what
    comes next.  ``M`` is the type of the messages; an actor that monitors
    others has `Down` among them.
    """

    __slots__ = ("context",)

    stop_grace: float = math.inf
    """Seconds that the message in flight may still take once a stop was asked
    for; then its handler is cancelled and `stopped` runs.  Infinite by default:
    the deadline of whoever stops the actor holds anyhow."""

    inline_asks: bool = False
    """Whether an ask may be answered in the task of its asker, if the actor is
    idle and ``receive`` is a plain function: several times as fast.  The
    handler then sees the asker's task and context variables."""

    context: Context[M]
    """Set before `started`; not there yet in ``__init__``."""

    async def started(self) -> None:
        """Prepare; the first message waits until this returns.

        Whoever starts the actor waits for it.  An exception is a failed start.
        Raise `Decline` to say that the actor is not needed.
        """

    def receive(self, message: M) -> object:
        """Take one message.  Write it ``async def`` or plain ``def``.

        What it returns is the answer if the message was asked, else unused.  A
        plain function must not block; it is the faster form.
        """
        # Not abstract: one that only runs tasks, say, is told nothing.
        raise NotImplementedError(f"{type(self).__name__} does not define receive")

    async def stopped(self, reason: ExitReason) -> None:
        """Clean up; called once for each incarnation that started.

        Not called after ``kill``.  An exception here becomes the reason, unless
        the actor had crashed already.
        """

    def describe(self) -> object:
        """What a crash report says of the actor, besides its class.

        Nothing by default, because what an actor keeps may be a secret.  Called
        when it has failed, after `stopped`; must not wait.
        """
        return None

    def killed(self) -> None:
        """The actor is being killed: let go of what does not end by itself.

        Called in place, at most once; must not wait.  For actors that have
        others below them.  An exception here is logged.
        """
