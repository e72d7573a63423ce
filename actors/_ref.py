"""ActorRef: the public half of an actor, the address that other code holds.

A ref stays the same while its actor restarts.  It keeps the actor's cell in
memory, not its state: the state goes with the incarnation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, final

import anyio

from ._address import DEFAULT_ASK_TIMEOUT, Address, Recipient
from ._ask import Pending, Watcher, current
from ._errors import AskCycle
from ._exit import ExitReason, Shutdown

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Body(Recipient, Protocol):
    """What a ref needs of the cell behind it."""

    @property
    def ref(self) -> ActorRef[Any]:
        """The ref to it."""
        ...

    @property
    def life(self) -> Pending | None:
        """The incarnation, done when it has exited; None before the first."""
        ...

    def request_stop(self, reason: ExitReason) -> None:
        """Stop this incarnation after the message in flight."""
        ...

    def kill(self) -> None:
        """Cancel this incarnation."""
        ...

    def suspend(self, suspended: bool) -> None:
        """Take only what is in the system lane, or all again."""
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

    __slots__ = ("_target", "_watcher", "binds", "cancelled", "down", "parked")

    def __init__(
        self, target: Body, watcher: Watcher | None, *, binds: bool = False
    ) -> None:
        self._target = target
        # Whether the watcher ends with the target, instead of hearing of it.
        self.binds: bool = binds
        # Whose watch this is; None outside of every actor.
        self._watcher = watcher
        # Whether nobody wants to know any more; or its news was received.
        self.cancelled: bool = False
        self.down: Down | None = None
        self.parked: Any = None
        if watcher is not None:
            watcher.begin_watch(self)
        target.add_monitor(self)

    @property
    def reason(self) -> ExitReason | None:
        """How the actor ended; None as long as it has not."""
        return None if self.down is None else self.down.reason

    def deliver(self, down: Down) -> None:
        """The actor has ended.  Called once, by its cell."""
        if self.cancelled:
            return  # by somebody who was told just before
        self.down = down
        if self._watcher is not None:
            self._watcher.watched_ended(self)
        self._wake()

    async def wait(self) -> Down:
        """Wait for the Down; one task at a time may.

        Cancelling the wait leaves the watch in place.

        Raises:
            anyio.ClosedResourceError: The watch was cancelled.
        """
        if self.parked is not None:
            raise anyio.BusyResourceError("waiting on")
        while self.down is None:
            if self.cancelled:
                raise anyio.ClosedResourceError
            await self._target.runtime.parker.park(self)
        return self.down

    def cancel(self) -> None:
        """Stop watching; a Down that waits to be received is taken back.

        OTP's ``demonitor`` with ``flush``.  Doing it twice is fine.
        """
        self.cancelled = True
        self._target.remove_monitor(self)
        if self._watcher is not None:
            self._watcher.end_watch(self)
        self._wake()

    def _wake(self) -> None:
        if self.parked is not None:
            self._target.runtime.parker.unpark(self)


@final
class ActorRef(Address[M_contra]):
    """Address of an actor, good for as long as anybody keeps it.

    Messages from one sender arrive in the order sent, whatever mixture of
    `tell`, `send` and `ask` it uses, as long as it waits for each before the
    next.  A ref belongs to its event loop: from another thread, go through
    `anyio.from_thread`.
    """

    __slots__ = ("_body",)

    def __init__(self, path: str, body: Body) -> None:
        super().__init__(path, body)
        self._body = body

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    async def stop(
        self,
        reason: ExitReason | None = None,
        *,
        timeout: float | None = None,
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
            ValueError: *timeout* is below 0; nothing was asked.
            TimeoutError: It has not ended in time.
            AskCycle: It is the one that calls, see `Context.stop`; or it waits
                for the one that calls, and will stop when it need not any more.
        """
        activation = current.get()
        if activation is not None and activation.owner is self._body:
            raise AskCycle([self.path, self.path])
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be at least 0, got {timeout!r}")
        self.stop_nowait(reason)
        return await self.wait_stopped(timeout=timeout)

    def stop_nowait(self, reason: ExitReason | None = None) -> None:
        """Ask the actor to end after the message in flight, without waiting."""
        self._body.request_stop(Shutdown() if reason is None else reason)

    def suspend(self) -> None:
        """Let the actor take no more messages, after the one in flight.

        They wait, up to its capacity, also over a restart.  Stops and `Down` do
        not; nor do timers stop, whose messages wait with the others.
        """
        self._body.suspend(True)

    def resume(self) -> None:
        """Let the actor take messages again."""
        self._body.suspend(False)

    async def inspect(
        self,
        function: Callable[[Any], R],
        *,
        timeout: float | None = DEFAULT_ASK_TIMEOUT,
    ) -> R:
        """Call ``function(actor)`` between two messages, and return the result.

        For tests, and for a look at a live system: goes through the system lane,
        so that it does not wait for what waits, and works while the actor is
        suspended.  *function* must not wait.  What it raises is raised here, and
        is nothing to the actor.

        Raises:
            AskTimeout: The message in flight took too long.
            ActorNotAlive: It has ended, is stopping, or ended before.
            ActorCrashed: It crashed before.
            AskCycle: The actor waits for the one who calls.
        """
        return await self._inspect(function, timeout)

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
            AskCycle: It is, or waits for, the one that calls.
        """
        body = self._body
        activation = current.get()
        if activation is None or not activation.blocks or body.life is None:
            return await self._until_stopped(timeout)
        wait = activation.begin(body.life, body)
        try:
            return await self._until_stopped(timeout)
        finally:
            activation.end(wait)

    async def _until_stopped(self, seconds: float | None) -> ExitReason:
        if seconds is None:
            return await self._body.wait_stopped()
        with anyio.fail_after(seconds):
            return await self._body.wait_stopped()

    def monitor(self) -> Monitor:
        """Watch the actor: one `Down` comes when it has ended for good.

        Called inside an actor, the Down goes to its ``receive``, before
        everything else that waits.  Elsewhere, `Monitor.wait` waits for it.  An
        actor that has ended already answers at once.  A restart is no end.
        """
        activation = current.get()
        return Monitor(self._body, None if activation is None else activation.watcher)


def body_of(ref: ActorRef[Any]) -> Body:
    """What stands behind *ref*."""
    return ref._body  # pyright: ignore[reportPrivateUsage]  # same file
