"""ActorRef: the public half of an actor, the address that other code holds.

A ref stays the same while its actor restarts.  It keeps the actor's cell in
memory, not its state: the state goes with the incarnation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final, overload

import anyio

from ._ask import Ask, Clock, Waiting, current, waiting
from ._errors import ActorNotAlive, AskCycle, MailboxFull, SendTimeout
from ._exit import ExitReason, Shutdown
from ._mailbox import Mailbox, MailboxStatistics, Sender

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

DEFAULT_ASK_TIMEOUT = 5.0


class Request(Generic[R_co]):
    """Base for messages that are asked: says the type of the answer.

    ``class Total(Request[int])`` makes ``await ref.ask(Total())`` an `int` to a
    type checker.  Nothing is checked at run time, and any other message can be
    asked as well; its answer is an `object`.
    """

    __slots__ = ()


class Body(Waiting, Protocol):
    """What a ref needs of the cell behind it."""

    runtime: Clock
    mailbox: Mailbox[Any]

    @property
    def ref(self) -> ActorRef[Any]:
        """The ref to it."""
        ...

    @property
    def ending(self) -> ExitReason | None:
        """How it ended; while it is stopping, how it will."""
        ...

    def request_stop(self, reason: ExitReason) -> None:
        """Stop this incarnation after the message in flight."""
        ...

    def kill(self) -> None:
        """Cancel this incarnation."""
        ...

    def add_monitor(self, monitor: Monitor) -> None:
        """Tell *monitor* when the actor has ended, at once if it has."""
        ...

    def remove_monitor(self, monitor: Monitor) -> None:
        """Forget *monitor*."""
        ...

    async def wait_stopped(self) -> ExitReason:
        """Wait for the end of this incarnation."""
        ...

    def at_end(self, release: Callable[[Body], None]) -> None:
        """Call *release* when the actor ends, before anybody hears of it."""
        ...

    def not_at_end(self, release: Callable[[Body], None]) -> None:
        """Take back `at_end`."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Down:
    """The one message that says that an actor has ended for good.

    Attributes:
        ref: The actor.
        reason: How it ended.
    """

    ref: ActorRef[Any]
    reason: ExitReason


@final
class Monitor:
    """A watch on one actor; exactly one `Down` comes of it.

    Made inside an actor, the Down goes to that actor's ``receive``, through the
    system lane, and the watch ends with the incarnation that began it.
    """

    __slots__ = ("_target", "_watcher", "binds", "down", "parked")

    def __init__(
        self, target: Body, watcher: Waiting | None, *, binds: bool = False
    ) -> None:
        self._target = target
        # Whether the watcher ends with the target, instead of hearing of it.
        self.binds = binds
        # Whose incarnation owns this watch; None outside of every actor.
        self._watcher = watcher
        if watcher is not None:
            watcher.begin_watch(self)
        self.down: Down | None = None
        self.parked: object | None = None

    def deliver(self, down: Down) -> None:
        """The actor has ended.  Called once, by its cell."""
        self.down = down
        if self._watcher is not None:
            self._watcher.watched_ended(self, down)
        if self.parked is not None:
            self._target.runtime.parker.unpark(self)

    async def wait(self) -> Down:
        """Wait for the Down; one task at a time may.

        Cancelling it leaves the watch in place.
        """
        if self.parked is not None:
            raise anyio.BusyResourceError("waiting on")
        while self.down is None:
            await self._target.runtime.parker.park(self)
        return self.down

    def cancel(self) -> None:
        """Stop watching; a Down that waits to be received is taken back.

        OTP's ``demonitor`` with ``flush``.  Doing it twice is fine.
        """
        self._target.remove_monitor(self)
        if self._watcher is not None:
            self._watcher.end_watch(self)


@final
class ActorRef(Generic[M_contra]):
    """Address of an actor, good for as long as anybody keeps it.

    Messages from one sender arrive in the order sent, whatever mixture of
    `tell`, `send` and `ask` it uses, as long as it waits for each before the
    next.  A ref belongs to its event loop: from another thread, go through
    `anyio.from_thread`.
    """

    __slots__ = ("__weakref__", "_body", "_mailbox", "path")

    path: str
    """Where the actor stands in the tree, for example ``/chat/room-7``."""

    def __init__(self, path: str, body: Body) -> None:
        self.path = path
        self._body = body
        self._mailbox = body.mailbox

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def alive(self) -> bool:
        """Whether it takes messages.  True while it restarts."""
        return not self._mailbox.closed

    def tell(self, message: M_contra) -> None:
        """Put *message* in the mailbox, without waiting.

        Accepted is not handled: an actor that ends first leaves its mailbox
        unread, to the dead letters.

        Raises:
            MailboxFull: The mailbox is full and its policy is to refuse.
            ActorNotAlive: The actor has ended or is stopping.
        """
        if not self._mailbox.put(message):
            raise self._refusal(message)

    def try_tell(self, message: M_contra) -> bool:
        """Like `tell`, but return whether it was accepted."""
        return self._mailbox.put(message)

    async def send(self, message: M_contra, *, timeout: float | None = None) -> None:
        """Put *message* in the mailbox; wait while it is full, first come first.

        Does not yield to other tasks while there is room.  Waits whatever the
        overflow policy is: policies are for `tell`.  Cancelled while it waits,
        it either accepted the message or did not; never half.

        Args:
            message: The message.
            timeout: Seconds to wait at most.  Inside an actor that is answering
                an ask, that ask's deadline holds as well.

        Raises:
            SendTimeout: No room came free in time.
            ActorNotAlive: The actor has ended, perhaps while this waited.
            AskCycle: The actor itself waits for the one who sends.
        """
        sender = self._mailbox.wait_for_room(message)
        if sender is None:
            return
        seconds, deadline = self._deadline(timeout)
        activation = current.get()
        if activation is None or not activation.blocks:
            await self._line_up(sender, seconds, deadline)
        else:
            try:
                with waiting(activation.owner, self._body):
                    await self._line_up(sender, seconds, deadline)
            finally:
                self._mailbox.give_up(sender)

    async def _line_up(self, sender: Sender, seconds: float, deadline: float) -> None:
        """Wait for the room that *sender* stands in line for."""
        runtime = self._body.runtime
        sender.deadline = deadline
        runtime.deadlines.add(sender)
        if not await self._mailbox.wait_in_line(sender):
            if self._mailbox.closed:
                raise self._refusal(sender.message)
            raise SendTimeout(self.path, seconds)

    def _deadline(self, timeout: float | None) -> tuple[float, float]:
        """How long may be waited, and until when.

        Within the deadline of the ask that the running actor answers.
        """
        activation = current.get()
        now = self._body.runtime.now()
        deadline = math.inf if timeout is None else now + timeout
        if activation is not None and activation.deadline < deadline:
            deadline = activation.deadline
        return deadline - now, deadline

    def _refusal(self, message: object) -> ActorNotAlive | MailboxFull:
        if self._mailbox.closed:
            return ActorNotAlive(self.path, self._body.ending, message)
        return MailboxFull(self.path, self._mailbox.options.capacity, message)

    @overload
    async def ask(
        self,
        message: Request[R_co],
        *,
        timeout: float | None = ...,
    ) -> R_co: ...

    @overload
    async def ask(
        self,
        message: M_contra,
        *,
        timeout: float | None = ...,
    ) -> object: ...

    async def ask(
        self,
        message: object,
        *,
        timeout: float | None = DEFAULT_ASK_TIMEOUT,
    ) -> object:
        """Put *message* in the mailbox and wait for what ``receive`` returns.

        Waits for room like `send`, then for the answer; the timeout covers
        both.  Cancelled or expired before its turn, the message is skipped; it
        may have been handled if its turn had come.

        Args:
            message: The message.
            timeout: Seconds until `AskTimeout`; None for no limit.  Inside an
                actor that is answering an ask, that ask's deadline holds as
                well.

        Raises:
            AskTimeout: No answer in time.
            ActorCrashed: The actor crashed over this message, or for good
                before reaching it.  One that restarts keeps the message.
            ActorNotAlive: It has ended, or ended before reaching the message.
            AskCycle: The answer would have to wait for the one who asks.
        """
        body = self._body
        activation = current.get()
        seconds, deadline = self._deadline(timeout)
        if activation is None:
            ask = Ask(message, self.path, seconds, deadline, None, body.runtime)
            return await self._answer(ask)
        asker = activation.owner
        ask = Ask(message, self.path, seconds, deadline, asker.path, body.runtime)
        if not activation.blocks:
            return await self._answer(ask)
        with waiting(asker, body):
            return await self._answer(ask)

    async def _answer(self, ask: Ask) -> object:
        sender = self._mailbox.wait_for_room(ask)
        if sender is not None:
            try:
                await self._line_up(sender, ask.seconds, ask.deadline)
            except BaseException:
                # Admitted and cancelled in one tick, it waits in the mailbox.
                ask.done = True
                raise
        return await ask.wait()

    async def stop(
        self, reason: ExitReason | None = None, *, timeout: float | None = None
    ) -> ExitReason:
        """Ask the actor to end after the message in flight; wait until it has.

        Asking goes through the system lane, before everything that waits.  A
        supervised actor whose restart type says so is then started anew; to
        end it for good, tell its supervisor.

        Args:
            reason: What the actor, its monitors and its supervisor are told;
                `Shutdown` by default.
            timeout: Seconds to wait; it stops all the same afterwards.

        Returns:
            The reason it ended with, which differs from *reason* if it failed
            while stopping or had ended before.

        Raises:
            TimeoutError: It has not ended in time.
            AskCycle: It is the one that calls; see `Context.stop`.
        """
        activation = current.get()
        if activation is not None and activation.owner is self._body:
            raise AskCycle([self.path, self.path])
        self._body.request_stop(Shutdown() if reason is None else reason)
        return await self.wait_stopped(timeout=timeout)

    def stop_nowait(self, reason: ExitReason | None = None) -> None:
        """Ask the actor to end after the message in flight, without waiting."""
        self._body.request_stop(Shutdown() if reason is None else reason)

    def kill(self) -> None:
        """Cancel the actor where it stands, without its ``stopped``.

        What it does in ``finally`` blocks still runs; an actor that shields
        itself from cancellation cannot be killed inside one process.
        """
        self._body.kill()

    async def wait_stopped(self, *, timeout: float | None = None) -> ExitReason:
        """Wait until this incarnation has ended, and return how.

        Raises:
            TimeoutError: It has not ended in time.
        """
        if timeout is None:
            return await self._body.wait_stopped()
        with anyio.fail_after(timeout):
            return await self._body.wait_stopped()

    def monitor(self) -> Monitor:
        """Watch the actor: one `Down` comes when it has ended for good.

        Called inside an actor, the Down goes to its ``receive``, before
        everything else that waits.  Elsewhere, `Monitor.wait` waits for it.  An
        actor that has ended already answers at once.  A restart is no end.
        """
        activation = current.get()
        return watch_ref(self, None if activation is None else activation.owner)

    def statistics(self) -> MailboxStatistics:
        """What went through the mailbox so far, over all incarnations."""
        return self._mailbox.statistics()


def body_of(ref: ActorRef[Any]) -> Body:
    """What stands behind *ref*."""
    return ref._body  # pyright: ignore[reportPrivateUsage]  # same file


def watch_ref(
    ref: ActorRef[Any], watcher: Waiting | None, *, binds: bool = False
) -> Monitor:
    """Make *watcher* watch *ref*; see `ActorRef.monitor`."""
    body = body_of(ref)
    monitor = Monitor(body, watcher, binds=binds)
    body.add_monitor(monitor)
    return monitor
