"""What an incarnation has besides its mailbox: tasks, timers, watches, promises.

This is what stands behind `Context`.  The law: all of it ends with the
incarnation.  What is left over all the same, say a task that would not be
cancelled, still belongs to the incarnation it was of and never to the next one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, final

import anyio

from ._ask import Activation, Ask, Reply, Timed, Waiting, Watch, current
from ._beside import Beside
from ._burial import Addressee, asks_fail_with, bury
from ._dead_letters import Undelivered
from ._errors import ActorNotAlive, StashFull
from ._exit import ExitReason
from ._loop import News
from ._mailbox import NOTHING, Mailbox
from ._parking import Gate
from ._ref import ActorRef, Monitor, body_of
from ._runtime import Runtime
from ._timers import Timer

_log = logging.getLogger("greenroom.actors")

# How long a cancelled task may take before it is given up for unkillable.
KILL_GRACE = 0.5


class Home(Addressee, Waiting, Protocol):
    """The cell, as an incarnation of it knows it."""

    @property
    def ref(self) -> ActorRef[Any]:
        """The actor's ref."""
        ...

    def restarts(self, reason: ExitReason) -> bool:
        """Whether an exit with *reason* is followed by another incarnation."""
        ...

    def redelivers(self, message: object, reason: ExitReason) -> bool:
        """Whether *message*, over which it crashed, is for the next incarnation."""
        ...

    def exited(self, reason: ExitReason) -> None:
        """This incarnation has come to its end."""
        ...


class Possessor(Protocol):
    """The incarnation, as what belongs to it knows it."""

    def request_stop(self, reason: ExitReason) -> None:
        """End after the message in flight."""
        ...

    def fail(self, error: BaseException) -> None:
        """A part of the actor has failed, and so has the actor."""
        ...


@final
class _Task:
    """A task that an actor started beside itself."""

    __slots__ = ("_belongings", "_cancelled", "_deadline", "_scope")

    def __init__(self, belongings: Belongings, deadline: float = math.inf) -> None:
        self._belongings = belongings
        # Of the ask that it answers.
        self._deadline = deadline
        self._scope: anyio.CancelScope | None = None
        self._cancelled = False

    async def run(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        belongings = self._belongings
        activation = Activation(belongings.home, belongings, blocks=False)
        activation.deadline = self._deadline
        current.set(activation)
        try:
            with anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                await function(*args)
        except GeneratorExit:
            raise  # the event loop is being torn down under us
        except BaseException as error:
            # Cancelled by somebody who is not us, too, the actor has lost a part.
            belongings.possessor.fail(error)
        finally:
            belongings.task_ended(self)

    def cancel(self) -> None:
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()


@final
class Belongings:
    """All that one incarnation has.

    Most actors have none of it, so each part is made when first needed.
    """

    __slots__ = (
        "_deferred",
        "_idle",
        "_tasks",
        "_tidy_at",
        "_timers",
        "_watches",
        "activation",
        "beside",
        "ended",
        "home",
        "number",
        "possessor",
    )

    def __init__(self, home: Home, number: int, possessor: Possessor) -> None:
        self.home: Home = home
        # Which incarnation it is: the only one that its timers' messages are for.
        self.number: int = number
        self.possessor: Possessor = possessor
        self.activation: Activation = Activation(home, self, blocks=True)
        # How the incarnation ended, once it has.
        self.ended: ExitReason | None = None
        self._tasks: dict[_Task, None] | None = None
        # Opened when the last task has ended; there while that is waited for.
        self._idle: Gate | None = None
        # Dicts, for their order: what happens at the end is the same each time.
        self._timers: dict[Timer, None] | None = None
        self._watches: dict[Watch, None] | None = None
        # Messages handled beside the others.
        self.beside: Beside | None = None
        # Asks to be answered later.
        self._deferred: dict[Ask, None] | None = None
        self._tidy_at = 16

    @property
    def ref(self) -> ActorRef[Any]:
        """The actor's ref."""
        return self.home.ref

    @property
    def mailbox(self) -> Mailbox[Any]:
        """The actor's mailbox."""
        return self.home.mailbox

    @property
    def runtime(self) -> Runtime:
        """The ground it stands on."""
        return self.home.runtime

    def request_stop(self, reason: ExitReason) -> None:
        """End after the message in flight."""
        self.possessor.request_stop(reason)

    def _require_live(self) -> None:
        if self.ended is not None:
            raise ActorNotAlive(self.home.path, self.ended)

    def release(self, reason: ExitReason) -> None:
        """The incarnation is over, and so is all that it had."""
        self.ended = reason
        self.activation.waits = ()
        self.cancel_tasks()
        if self.beside is not None:
            self.beside.release(reason)
        for timer in tuple(self._timers or ()):
            timer.cancel()
        for watch in tuple(self._watches or ()):
            watch.cancel()
        for ask in tuple(self._deferred or ()):
            ask.fail(asks_fail_with(self.home.path, reason))

    # -- tasks -------------------------------------------------------------

    def start_task(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        """Run ``function(*args)`` until the incarnation ends."""
        self._require_live()
        self._start_task(function, args, math.inf)

    def _start_task(
        self,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
        deadline: float,
    ) -> None:
        if self._tasks is None:
            self._tasks = {}
        task = _Task(self, deadline)
        self._tasks[task] = None
        self.runtime.start_task(task.run, function, args)

    async def pipe_to_self(
        self,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        """Run ``function(*args)`` and put what it returns in the mailbox."""
        try:
            message = await function(*args)
        except Exception as error:
            if on_error is None:
                raise
            message = on_error(error)
        # Like a timer's, it is for this incarnation alone.
        mine = Timed(message, self.number)
        sender = self.mailbox.wait_for_room(mine)
        if sender is None:
            return
        try:
            await self.mailbox.wait_in_line(sender)
        finally:
            # Refused, or cancelled in line because the incarnation ends.
            if not sender.admitted:
                bury(self.home, mine, Undelivered.STOPPED, self.ended)

    def task_ended(self, task: _Task) -> None:
        """*task* is gone."""
        if self._tasks is not None:
            self._tasks.pop(task, None)
            if not self._tasks and self._idle is not None:
                self._idle.open()

    def cancel_tasks(self) -> None:
        """Tell all tasks to end."""
        for task in tuple(self._tasks or ()):
            task.cancel()

    async def end_tasks(self) -> None:
        """Cancel all tasks, and wait `KILL_GRACE` for them to have ended."""
        if not self._tasks:
            return
        self.cancel_tasks()
        self._idle = Gate(self.runtime.parker)
        with anyio.move_on_after(KILL_GRACE) as scope:
            await self._idle.wait()
        self._idle = None
        if scope.cancelled_caught:
            self._tasks = None
            _log.error("a task of %s cannot be cancelled", self.home.path)

    # -- timers, see _timers.TimerHost -------------------------------------

    def set_timer(self, delay: float, message: object, interval: float | None) -> Timer:
        """Tell the actor *message* after *delay* seconds."""
        self._require_live()
        timer = Timer(self, delay, message, interval)
        if self._timers is None:
            self._timers = {}
        self._timers[timer] = None
        return timer

    def timer_lost(self, message: object) -> None:
        """The mailbox did not take a timer's message."""
        bury(self.home, message, Undelivered.OVERFLOW)

    def timer_failed(self, error: Exception) -> None:
        """The mailbox could not take a timer's message."""
        self.possessor.fail(error)

    def timer_done(self, timer: Timer) -> None:
        """*timer* will not fire again."""
        assert self._timers is not None
        self._timers.pop(timer, None)

    # -- watches, see _ask.Watcher -----------------------------------------

    def bind_to(self, ref: ActorRef[Any]) -> None:
        """Stop with the reason of *ref* when that ends."""
        Monitor(body_of(ref), self, binds=True)

    def begin_watch(self, watch: Watch) -> None:
        """Another actor is watched from now on."""
        self._require_live()
        if self._watches is None:
            self._watches = {}
        self._watches[watch] = None

    def watched_ended(self, watch: Watch) -> None:
        """Receive the news through the system lane, or end with the other."""
        if watch.binds:
            assert watch.reason is not None
            self.possessor.request_stop(watch.reason)
        else:
            self.mailbox.put_system(News(watch))

    def end_watch(self, watch: Watch) -> None:
        """Forget *watch*."""
        assert self._watches is not None
        self._watches.pop(watch, None)

    # -- the message in flight ---------------------------------------------

    def _require_in_flight(self) -> None:
        """Refuse whoever is not the handler of the message in flight."""
        if current.get() is not self.activation or self.mailbox.current is NOTHING:
            raise RuntimeError(f"{self.home.path} is not handling a message here")

    def stash(self) -> None:
        """Keep the message in flight, to be taken again after `unstash`."""
        self._require_in_flight()
        mailbox = self.mailbox
        if mailbox.stash_full:
            raise StashFull(self.home.path, mailbox.options.capacity)
        message = mailbox.put_aside()
        self.activation.replying = None
        if isinstance(message, Timed):
            message.settled = False
        mailbox.stash(message)

    def unstash(self) -> int:
        """Put what was stashed before all that waits."""
        self._require_live()
        return self.mailbox.unstash()

    async def handle_beside(
        self,
        limit: int,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
    ) -> None:
        """Go on with the message in flight in a task of its own."""
        if not limit >= 1:
            raise ValueError(f"limit must be at least 1, got {limit!r}")
        self._require_in_flight()
        if self.beside is None:
            self.beside = Beside(self.home)
        await self.beside.wait_for_turn(function, limit)
        self.activation.replying = None
        handling = self.beside.begin(function)
        self._start_task(handling.run, args, self.activation.deadline)

    def defer_reply(self) -> Reply:
        """Take the answer of the message in flight out of the loop's hands."""
        if self.ended is None and current.get() is not self.activation:
            raise RuntimeError(f"{self.home.path} is not handling a message here")
        ask, self.activation.replying = self.activation.replying, None
        if ask is None:
            return Reply(None, {})
        deferred = self._deferred
        if deferred is None:
            self._deferred = deferred = {}
        elif len(deferred) >= self._tidy_at:
            # Those whose asker has gone, which are never answered; at twice what is
            # open, so that it costs next to nothing.
            for other in [other for other in deferred if other.done]:
                del deferred[other]
            self._tidy_at = max(16, 2 * len(deferred))
        deferred[ask] = None
        return Reply(ask, deferred)
