"""Cell: the private half of an actor.

The cell outlives its incarnations.  It owns the mailbox, so a restart loses no
message but the one in flight, and it alone says that the actor has ended.

    EXITED -> STARTING -> RUNNING -> STOPPING -> EXITED -> ENDED
                 ^                                 |
                 +------------ start() ------------+   if its parent restarts it

The law: ended is ended.  The names go first, so that whoever hears of it finds
them free; then the mailbox; then the Downs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, final

from ._actor import Actor
from ._ask import Ask, Timed, Wait
from ._burial import bury, close, drain, refuse_inspections
from ._capacity import MailboxOptions, Overflow
from ._dead_letters import Undelivered
from ._errors import MailboxFull
from ._exit import Crashed, ExitReason, Killed
from ._incarnation import Incarnation, State
from ._loop import HOLD
from ._mailbox import Mailbox
from ._ref import ActorRef, Body, Down, Monitor
from ._report import CrashReport, report_crash
from ._runtime import Runtime

M = TypeVar("M")

_log = logging.getLogger("greenroom.actors")


class Parent(Protocol):
    """Who decides what an exit means."""

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        """Whether an exit of *cell* with *reason* is followed by a restart.

        If not, its mailbox is closed while it still stops.  A start after all
        opens it again.
        """
        ...

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        """*cell* has exited: end it, or see to it that it is started again.

        Called in the dying task; must not wait.
        """
        ...


@final
class Cell(Generic[M]):
    """One actor, over all its incarnations."""

    __slots__ = (
        "_at_end",
        "_crashes",
        "_ended",
        "_factory",
        "_failed_over",
        "_monitors",
        "_parent",
        "_poison",
        "_ran_before",
        "_redeliver",
        "_start_timeout",
        "incarnation",
        "life",
        "mailbox",
        "path",
        "reason",
        "ref",
        "report",
        "runtime",
    )

    def __init__(
        self,
        runtime: Runtime,
        path: str,
        factory: Callable[[], Actor[M]],
        parent: Parent,
        *,
        mailbox: MailboxOptions,
        start_timeout: float = math.inf,
        redeliver: int = 0,
    ) -> None:
        self.runtime: Runtime = runtime
        self.path: str = path
        self._factory = factory
        self._parent = parent
        self._start_timeout = start_timeout
        self._redeliver = redeliver
        # The message that an incarnation crashed over, and how many did.
        self._poison: object = None
        self._crashes = 0
        # What it last crashed over, until that is in the report.
        self._failed_over: object = None
        # Of the last exit, if that was a failure.
        self.report: CrashReport | None = None
        self.mailbox: Mailbox[Any] = Mailbox(mailbox, self, runtime.parker)
        # The present or last incarnation, and how many there were.
        self.life: Incarnation[M] | None = None
        self.incarnation: int = 0
        self._ran_before = False
        # The last exit; None before the first one.
        self.reason: ExitReason | None = None
        self._ended = False
        # What follows is made when first needed, to keep an idle actor small.
        self._monitors: dict[Monitor, None] | None = None
        self._at_end: list[Callable[[Body], None]] | None = None
        self.ref: ActorRef[M] = ActorRef(path, self)

    @property
    def state(self) -> State:
        """Where it is in its life."""
        if self._ended:
            return State.ENDED
        return State.EXITED if self.life is None else self.life.state

    @property
    def actor(self) -> Actor[M] | None:
        """The actor, while an incarnation of it lives."""
        return None if self.life is None else self.life.actor

    @property
    def ran(self) -> bool:
        """Whether an incarnation of it has ever got as far as running."""
        return self._ran_before or (self.life is not None and self.life.ran)

    # -- starting, by the parent -------------------------------------------

    def start(self) -> None:
        """Begin the next incarnation, in a task of its own.

        One that has no ``started`` of its own runs when this returns.
        """
        assert self.state is State.EXITED
        self._ran_before = self.ran
        self.incarnation += 1
        # Not Incarnation[M](...), which goes through `typing` each time.
        life: Incarnation[M] = Incarnation(self, self.incarnation)
        self.life = life
        if self.runtime.closing:
            # There will be no task for it, and this is the end of the others too.
            life.exit(Killed())
            self.end(Killed())
            return
        # Its parent may have thought that there would be no other.
        self.mailbox.reopen()
        self.runtime.restarts += self.incarnation > 1
        self.runtime.cells.add(self)
        context = self.runtime.new_context()
        context.run(life.make, self._factory)
        self.runtime.start_task(life.live, self._start_timeout, context=context)

    async def wait_started(self) -> ExitReason | None:
        """Wait until this incarnation has started.

        Returns:
            None if it has, though it may be over by now; else the reason for
            which it did not.
        """
        life = self.life
        assert life is not None
        await life.wait_started()
        return None if life.ran else life.reason

    def exited(self, reason: ExitReason) -> None:
        """This incarnation has come to its end.  Called in its task."""
        life = self.life
        assert life is not None
        over, self._failed_over = self._failed_over, None
        self.report = report_crash(
            self.path, self.incarnation, reason, life.actor, over
        )
        life.exit(reason)
        self.reason = reason
        self._parent.child_exited(self, reason)

    # -- ending, by the parent ---------------------------------------------

    def end(self, reason: ExitReason) -> None:
        """There will be no other incarnation.

        One that lives is left to itself; see `abandon` for the way to say so.
        """
        if self._ended:
            return
        self._ended = True
        if self.life is not None and not self.life.done:
            self.life.abandon()
        self.reason = reason
        self.runtime.cells.discard(self)
        releases, self._at_end = self._at_end, None
        for release in releases or ():
            release(self)
        close(self, reason)
        refuse_inspections(self, reason)
        monitors, self._monitors = self._monitors, None
        down = Down(self.ref, reason)
        for monitor in monitors or ():
            monitor.deliver(down)

    def abandon(self) -> None:
        """Go on without an incarnation that cannot be killed, and end.

        Its task goes on and uses the mailbox, so that there cannot be another.
        """
        if self.life is None or self.life.done:
            return
        _log.error("%s cannot be killed: it swallows its cancellation", self.path)
        self.life.abandon()
        self.reason, self.report = Killed(), None
        self._parent.child_exited(self, Killed())
        self.end(Killed())

    def drop_mailbox(self) -> None:
        """Make dead letters of all that waits, as a restart with "drop" does."""
        drain(self, Undelivered.RESTARTED, self.reason)

    # -- what others ask of it, see _ref.Body ------------------------------

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What its handler waits for, and of whom."""
        return () if self.life is None else self.life.belongings.activation.waits

    @property
    def ending(self) -> ExitReason | None:
        """How it ended; while it is stopping, how it will."""
        life = self.life
        if life is not None and not life.done and life.stop_reason is not None:
            return life.stop_reason
        return self.reason

    def restarts(self, reason: ExitReason) -> bool:
        """Whether an exit with *reason* is followed by another incarnation."""
        return not self._ended and self._parent.restarts(self, reason)

    def redelivers(self, message: object, reason: ExitReason) -> bool:
        """Whether *message*, over which it crashed, is for the next incarnation."""
        self._failed_over = message
        if not self._redeliver or isinstance(message, Timed):
            return False
        self._crashes = self._crashes + 1 if message is self._poison else 1
        again = self._crashes <= self._redeliver and self.restarts(reason)
        # Not to be kept alive by having been the death of others.
        self._poison = message if again else None
        return again

    def suspend(self, suspended: bool) -> None:
        """Take only what is in the system lane, or all again."""
        self.mailbox.suspended = suspended
        self.mailbox.put_system(HOLD)

    def request_stop(self, reason: ExitReason, *, final: bool = False) -> None:
        """Stop this incarnation after the message in flight.

        One that is still starting is cancelled.  The first reason counts.

        Args:
            reason: Why.
            final: It will not be restarted whatever its parent thinks of the
                reason, so the mailbox is closed now and the asks in it fail.
        """
        if self.life is not None and not self.life.done:
            self.life.request_stop(reason, final=final)
        elif final:
            close(self, reason)

    def kill(self) -> None:
        """Cancel this incarnation; no hook of it runs any more."""
        if self.life is not None:
            self.life.kill()

    async def wait_stopped(self) -> ExitReason:
        """Wait for the end of this incarnation."""
        assert self.life is not None
        return await self.life.wait_exited()

    def add_monitor(self, monitor: Monitor) -> None:
        """Tell *monitor* when the actor has ended, at once if it has."""
        if self._ended:
            assert self.reason is not None
            monitor.deliver(Down(self.ref, self.reason))
            return
        if self._monitors is None:
            self._monitors = {}
        self._monitors[monitor] = None

    def remove_monitor(self, monitor: Monitor) -> None:
        """Forget *monitor*."""
        if self._monitors is not None:
            self._monitors.pop(monitor, None)

    def at_end(self, release: Callable[[Body], None]) -> None:
        """Call *release* when the actor ends, before anybody hears of it."""
        assert not self._ended
        if self._at_end is None:
            self._at_end = []
        self._at_end.append(release)

    def not_at_end(self, release: Callable[[Body], None]) -> None:
        """Take back `at_end`."""
        assert self._at_end is not None
        self._at_end.remove(release)

    # -- what the mailbox reports, see _capacity.MailboxOwner --------------

    def dropped(self, message: object, overflow: Overflow) -> None:
        """*message* was dropped by policy."""
        answer: MailboxFull | None = None
        if isinstance(message, Ask):
            capacity = self.mailbox.options.capacity
            answer = MailboxFull(self.path, capacity, message.message)
        # A closed mailbox has no policy: there, a promise could not be kept.
        closed = self.mailbox.closed
        why = Undelivered.STOPPED if closed else Undelivered.OVERFLOW
        bury(self, message, why, answer=answer)

    def overflowed(self) -> None:
        """The mailbox is full and its policy is to stop the actor."""
        error = MailboxFull(self.path, self.mailbox.options.capacity, None)
        self.request_stop(Crashed(error))

    def level_changed(self, level: int) -> None:
        """A watermark was passed."""
        for listener in tuple(self.runtime.level_listeners):
            try:
                listener(self.path, level)
            except Exception:
                _log.exception("a watermark listener raised")


class _Orphanage:
    """Parent of actors that nobody supervises: none is ever restarted."""

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        return False

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        cell.end(reason)


UNSUPERVISED: Parent = _Orphanage()
"""For actors outside of every supervision tree: each exit is the end."""
