"""Cell: the private half of an actor, and the loop that feeds it.

The cell outlives its incarnations.  It owns the mailbox, so a restart loses no
message but the one in flight, and it alone turns an exception into an exit.

    STARTING -> RUNNING -> STOPPING -> EXITED -> ENDED
        ^                                 |
        +---------- start() --------------+   if its parent restarts it

A message is handled at most once: what was in flight when an incarnation died
goes to the dead letters, or back to its asker as an error.
"""

from __future__ import annotations

import enum
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar, final

import anyio
from anyio.lowlevel import checkpoint

from ._actor import Actor, Context
from ._ask import Activation, Ask, Reply, Timed, Waiting, Watch, current
from ._dead_letters import DeadLetter, Undelivered
from ._errors import ActorCrashed, ActorNotAlive, Decline, MailboxFull
from ._exit import (
    Crashed,
    Declined,
    ExitReason,
    Killed,
    StartFailed,
    error_of,
    sole_leaf,
)
from ._mailbox import NOTHING, Envelope, Mailbox, MailboxOptions, Overflow
from ._parking import Gate
from ._ref import ActorRef, Body, Down, Monitor, watch_ref
from ._runtime import Runtime
from ._timers import Timer

M = TypeVar("M")

_log = logging.getLogger("greenroom.actors")

# A checkpoint per message costs as much as fourteen messages; beyond 64 there is
# little left to gain.  The second bound keeps 64 slow messages from adding up.
MESSAGES_PER_TURN = 64
SECONDS_PER_TURN = 0.001

# How long a cancelled task may take before it is given up for unkillable.
KILL_GRACE = 0.5


class State(enum.Enum):
    """Where a cell is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    """Its incarnation has ended; whether there is another is being decided."""
    ENDED = "ended"


@final
class Stop:
    """System message: end after the message in flight."""

    __slots__ = ("reason",)

    def __init__(self, reason: ExitReason) -> None:
        self.reason = reason


class Parent(Protocol):
    """Who decides what an exit means."""

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        """Whether an exit of *cell* with *reason* is followed by a restart."""
        ...

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        """*cell* has exited: end it, or see to it that it is started again.

        Called in the dying task; must not wait.
        """
        ...


@final
class _OwnedTask:
    """A task that an actor started beside itself."""

    __slots__ = ("_cancelled", "_cell", "_scope")

    def __init__(self, cell: Cell[Any]) -> None:
        self._cell = cell
        self._scope: anyio.CancelScope | None = None
        self._cancelled = False

    async def run(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        cell = self._cell
        current.set(Activation(cell, blocks=False))
        try:
            with anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                await function(*args)
        except Exception as error:
            cell.fail(error)
        except (KeyboardInterrupt, SystemExit) as error:
            cell.runtime.fatal(error)
        except anyio.get_cancelled_exc_class() as error:
            if cell.runtime.closing:
                raise
            # Cancelled by somebody who is not us: the actor has lost a part.
            cell.fail(error)
        finally:
            cell.task_ended(self)

    def cancel(self) -> None:
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()


@final
class Cell(Generic[M]):
    """One actor, over all its incarnations."""

    __slots__ = (
        "_at_end",
        "_deferred",
        "_factory",
        "_failure",
        "_grace_ends",
        "_killed",
        "_monitors",
        "_on_started",
        "_on_stopped",
        "_owned",
        "_owned_ended",
        "_parent",
        "_replying",
        "_scope",
        "_start_timeout",
        "_stop_reason",
        "_timers",
        "_watches",
        "activation",
        "actor",
        "busy_since",
        "incarnation",
        "mailbox",
        "path",
        "reason",
        "ref",
        "runtime",
        "state",
        "waits_on",
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
    ) -> None:
        self.runtime = runtime
        self.path = path
        self._factory = factory
        self._parent = parent
        self._start_timeout = start_timeout
        self.mailbox: Mailbox[Any] = Mailbox(mailbox, self, runtime.parker)
        self.ref: ActorRef[M] = ActorRef(path, self)
        self.activation = Activation(self, blocks=True)
        self.incarnation = 0
        self.state = State.EXITED
        # The last exit; None before the first one.
        self.reason: ExitReason | None = None
        # The live incarnation's actor.
        self.actor: Actor[M] | None = None
        # When the turn in progress began, by runtime.tick(); 0.0 between turns.
        self.busy_since = 0.0
        # Why the incarnation shall stop, once somebody asked.
        self._stop_reason: ExitReason | None = None
        # Set by kill(): no hook runs any more.
        self._killed = False
        # An owned task's exception, which is the actor's own.
        self._failure: BaseException | None = None
        # Around whatever part of the actor's code runs now.
        self._scope: anyio.CancelScope | None = None
        self._grace_ends: _GraceEnd | None = None
        # The ask being answered, as long as its answer is ours to give.
        self._replying: Ask | None = None
        # What follows is made when first needed, to keep an idle actor small.
        self.waits_on: Sequence[Waiting] = ()
        self._watches: list[Monitor] | None = None
        self._monitors: list[Monitor] | None = None
        self._timers: set[Timer] | None = None
        self._deferred: list[Ask] | None = None
        self._owned: set[_OwnedTask] | None = None
        self._owned_ended: Gate | None = None
        self._on_started: Gate | None = None
        self._on_stopped: Gate | None = None
        self._at_end: list[Callable[[Body], None]] | None = None

    # -- starting, by the parent -------------------------------------------

    def start(self) -> None:
        """Begin the next incarnation, in a task of its own."""
        assert self.state is State.EXITED
        self.incarnation += 1
        self.state = State.STARTING
        self._stop_reason = None
        self._killed = False
        self._failure = None
        self.runtime.start_task(self._run)

    async def wait_started(self) -> ExitReason | None:
        """Wait until this incarnation has started.

        Returns:
            None if it runs; else the reason for which it does not.
        """
        if self.state is State.STARTING:
            if self._on_started is None:
                self._on_started = Gate(self.runtime.parker)
            await self._on_started.wait()
        if self.state in (State.RUNNING, State.STOPPING):
            return None
        return self.reason

    # -- one incarnation ---------------------------------------------------

    async def _run(self) -> None:
        current.set(self.activation)
        # It may have been told to end before its task came to run.
        reason = Killed() if self._killed else self._stop_reason
        if reason is None:
            reason = await self._guarded(self._start)
        if self.state is State.STARTING:
            if reason is None:
                self.state = State.RUNNING
            elif isinstance(reason, Crashed):
                reason = StartFailed(reason.error)
        self._opened()
        if reason is None:
            reason = await self._guarded(self._serve)
            assert reason is not None
            if self.state is State.ENDED:
                return  # given up for unkillable meanwhile
            self._lose_current(reason)
            self.state = State.STOPPING
            if not self._parent.restarts(self, reason):
                # Who waits for an answer shall not wait for our cleaning up.
                self._stop_reason = reason
                self._close_mailbox(reason)
            await self._end_owned()
            if not self._killed and not _is_default(self.actor, "stopped"):
                failure = await self._guarded(self._stop, reason)
                if failure is not None and not isinstance(reason, Crashed):
                    reason = failure
        else:
            await self._end_owned()
        if self.state is not State.ENDED:
            self._exited(reason)

    async def _guarded(
        self, step: Callable[..., Coroutine[Any, Any, ExitReason | None]], *args: Any
    ) -> ExitReason | None:
        """Run a part of the actor's code; what escapes becomes a reason."""
        cancelled = anyio.get_cancelled_exc_class()
        try:
            with anyio.CancelScope() as self._scope:
                if self._killed:
                    self._scope.cancel()
                return await step(*args)
        except Decline:
            return Declined()
        except (KeyboardInterrupt, SystemExit) as error:
            self.runtime.fatal(error)
            return Crashed(error)
        except cancelled:
            if self.runtime.closing:
                raise
            # A native Task.cancel(), or a scope of the user's that leaked.
            return Killed()
        except BaseExceptionGroup as group:
            return self._judge_group(group)
        except Exception as error:
            return Crashed(error)
        finally:
            self._scope = None
        # Our own cancellation, and nothing else, ends up here.
        if self._failure is not None:
            return Crashed(sole_leaf(self._failure))
        if self._killed or self._stop_reason is None:
            return Killed()
        return self._stop_reason

    def _judge_group(self, group: BaseExceptionGroup[BaseException]) -> ExitReason:
        """Judge a group by its leaves: a fatal one first, cancellations last."""
        fatal, rest = group.split((KeyboardInterrupt, SystemExit))
        if fatal is not None:
            self.runtime.fatal(fatal)
            return Crashed(sole_leaf(fatal))
        assert rest is not None
        errors = rest.split(anyio.get_cancelled_exc_class())[1]
        if errors is None:
            return Killed()
        return Crashed(sole_leaf(errors))

    async def _start(self) -> ExitReason | None:
        self.actor = actor = self._factory()
        made: object = actor
        if not isinstance(made, Actor):
            raise TypeError(f"the factory must return an Actor, got {made!r}")
        actor.context = Context(self)
        if _is_default(actor, "started"):
            return None
        if self._start_timeout == math.inf:
            await actor.started()
            return None
        with anyio.move_on_after(self._start_timeout) as scope:
            await actor.started()
        if scope.cancelled_caught:
            raise TimeoutError(f"started took over {self._start_timeout:g} s")
        return None

    async def _stop(self, reason: ExitReason) -> None:
        assert self.actor is not None
        await self.actor.stopped(reason)

    async def _serve(self) -> ExitReason:
        """The loop: hand over message after message until told to stop."""
        assert self.actor is not None
        mailbox = self.mailbox
        queue = mailbox.queue
        receive = self.actor.receive
        is_async = inspect.iscoroutinefunction(receive)
        take = mailbox.take
        done = mailbox.done
        tick = self.runtime.tick
        park = self.runtime.parker.park
        while True:
            if mailbox.system:
                message = mailbox.system.popleft()
                if isinstance(message, Stop):
                    return message.reason
                await self._receive_system(message)
                continue
            if not queue:
                self.busy_since = 0.0
                await park(mailbox)
                continue
            self.busy_since = began = tick()
            for _ in range(MESSAGES_PER_TURN):
                message = take()
                if isinstance(message, Envelope):
                    await self._receive_envelope(message)
                else:
                    result = receive(message)
                    if is_async or isinstance(result, Coroutine):
                        await result
                    done()
                if not queue or mailbox.system:
                    break
                if tick() - began > SECONDS_PER_TURN:
                    await checkpoint()
                    break
            else:
                await checkpoint()

    async def _receive_system(self, message: object) -> None:
        if isinstance(message, Down):
            if not self._take_watch(message):
                return
        assert self.actor is not None
        result = self.actor.receive(message)  # type: ignore[arg-type]  # a system message: Down, or a supervisor's own
        if isinstance(result, Coroutine):
            await result

    async def _receive_envelope(self, envelope: Envelope) -> None:
        assert self.actor is not None
        mailbox = self.mailbox
        if isinstance(envelope, Timed):
            envelope.delivered = True
            if envelope.incarnation != self.incarnation:
                mailbox.lose()
                self._dead_letter(envelope, Undelivered.EXPIRED)
                return
            result = self.actor.receive(envelope.message)
            if isinstance(result, Coroutine):
                await result
            mailbox.done()
            return
        assert isinstance(envelope, Ask)
        if envelope.done:
            # Its asker has left or its deadline has passed: answering costs
            # time that those who still wait could have.
            mailbox.lose()
            self._dead_letter(envelope, Undelivered.EXPIRED)
            return
        self.activation.deadline = envelope.deadline
        self._replying = envelope
        try:
            result = self.actor.receive(envelope.message)
            if isinstance(result, Coroutine):
                result = await result
        finally:
            self.activation.deadline = math.inf
        if self._replying is not None:
            self._replying = None
            envelope.reply(result)
        mailbox.done()

    def _opened(self) -> None:
        gate, self._on_started = self._on_started, None
        if gate is not None:
            gate.open()

    def _exited(self, reason: ExitReason) -> None:
        """The incarnation is over; its parent decides what comes next."""
        self.state = State.EXITED
        self.reason = reason
        self.actor = None
        self.busy_since = 0.0
        self.waits_on = ()
        if self._grace_ends is not None:
            self._grace_ends.done = True
            self._grace_ends = None
        for timer in tuple(self._timers or ()):
            timer.cancel()
        for watch in tuple(self._watches or ()):
            watch.cancel()
        deferred, self._deferred = self._deferred, None
        for ask in deferred or ():
            ask.fail(self._ask_error(reason))
        if self.mailbox.system is not None:
            self.mailbox.system.clear()
        self._parent.child_exited(self, reason)
        gate, self._on_stopped = self._on_stopped, None
        if gate is not None:
            gate.open()

    # -- ending, by the parent ---------------------------------------------

    def end(self, reason: ExitReason) -> None:
        """There will be no other incarnation.

        Names go first, so that whoever hears the Down finds them free; then
        the mailbox; then the Downs.
        """
        self.state = State.ENDED
        self.reason = reason
        for release in self._at_end or ():
            release(self)
        self._at_end = None
        self._close_mailbox(reason)
        monitors, self._monitors = self._monitors, None
        down = Down(self.ref, reason)
        for monitor in monitors or ():
            monitor.deliver(down)

    def abandon(self) -> None:
        """Go on without an incarnation that cannot be killed."""
        _log.error("%s cannot be killed: it swallows its cancellation", self.path)
        self._lose_current(Killed())
        self._exited(Killed())
        if self.state is not State.ENDED:
            self.end(Killed())

    def drop_mailbox(self) -> None:
        """Make dead letters of all that waits, as a restart with "drop" does."""
        for message in self.mailbox.drain():
            self._bury(message, Undelivered.RESTARTED, self.reason)

    def _close_mailbox(self, reason: ExitReason) -> None:
        self.mailbox.close()
        for message in self.mailbox.drain():
            self._bury(message, Undelivered.STOPPED, reason)

    def _lose_current(self, reason: ExitReason) -> None:
        if self.mailbox.current is not NOTHING:
            crashed = isinstance(reason, Crashed)
            why = Undelivered.CRASHED if crashed else Undelivered.CANCELLED
            self._replying = None
            self._bury(self.mailbox.lose(), why, reason)

    def _bury(
        self, message: object, why: Undelivered, reason: ExitReason | None
    ) -> None:
        """An ask is answered with an error; the rest are dead letters."""
        if isinstance(message, Ask):
            if message.done:
                why = Undelivered.EXPIRED
            message.fail(self._ask_error(reason))
        self._dead_letter(message, why, None if reason is None else error_of(reason))

    def _ask_error(self, reason: ExitReason | None) -> BaseException:
        error = None if reason is None else error_of(reason)
        if error is not None:
            return ActorCrashed(self.path, error)
        return ActorNotAlive(self.path, reason)

    def _dead_letter(
        self, message: object, why: Undelivered, error: BaseException | None = None
    ) -> None:
        sender = message.asker if isinstance(message, Ask) else None
        if isinstance(message, Envelope):
            message = message.message
        self.runtime.dead_letters.publish(
            DeadLetter(message, self.path, why, sender, error)
        )

    # -- what others ask of it ---------------------------------------------

    @property
    def ending(self) -> ExitReason | None:
        """How it ended; while it is stopping, how it will."""
        return self._stop_reason if self.state is State.STOPPING else self.reason

    def request_stop(self, reason: ExitReason, *, final: bool = False) -> None:
        """Stop this incarnation after the message in flight.

        One that is still starting is cancelled.  The first reason counts.

        Args:
            reason: Why.
            final: It will not be restarted whatever its parent thinks of the
                reason, so the mailbox is closed now and the asks in it fail.
        """
        if final or not self._parent.restarts(self, reason):
            if self.state is not State.ENDED:
                self._close_mailbox(reason)
        if self._stop_reason is not None:
            return
        if self.state is State.STARTING:
            self._stop_reason = reason
            self._cancel_step()
        elif self.state is State.RUNNING:
            self._stop_reason = reason
            self.state = State.STOPPING
            self.mailbox.put_system(Stop(reason))
            self._limit_grace()

    def _limit_grace(self) -> None:
        """The message in flight has this long to end by itself."""
        assert self.actor is not None
        grace = self.actor.stop_grace
        if grace <= 0:
            self._cancel_step()
        elif grace < math.inf:
            self._grace_ends = _GraceEnd(self, self.runtime.now() + grace)
            self.runtime.deadlines.add(self._grace_ends)

    def kill(self) -> None:
        """Cancel this incarnation; no hook of it runs any more."""
        if self.state in (State.STARTING, State.RUNNING, State.STOPPING):
            if self.actor is not None and not self._killed:
                self.actor.killed()
            self._killed = True
            self._cancel_step()
            for task in tuple(self._owned or ()):
                task.cancel()

    def fail(self, error: BaseException) -> None:
        """A task of this actor failed, and so has the actor."""
        if isinstance(error, BaseExceptionGroup):
            fatal = error.split((KeyboardInterrupt, SystemExit))[0]
            if fatal is not None:
                self.runtime.fatal(fatal)
        if self.state in (State.STARTING, State.RUNNING):
            self._failure = error
            self._cancel_step()
        else:
            _log.error("a task of %s failed as it stopped", self.path, exc_info=error)

    def _cancel_step(self) -> None:
        # Without a scope its task has not begun, or runs no code of the actor's.
        if self._scope is not None:
            self._scope.cancel()

    def cancel_in_flight(self) -> None:
        """The grace of the message in flight is over."""
        if self.mailbox.current is not NOTHING:
            self._cancel_step()

    async def wait_stopped(self) -> ExitReason:
        """Wait for the end of this incarnation."""
        if self.state not in (State.EXITED, State.ENDED):
            if self._on_stopped is None:
                self._on_stopped = Gate(self.runtime.parker)
            await self._on_stopped.wait()
        assert self.reason is not None
        return self.reason

    def add_monitor(self, monitor: Monitor) -> None:
        """Tell *monitor* when the actor has ended, at once if it has."""
        if self.state is State.ENDED:
            assert self.reason is not None
            monitor.deliver(Down(self.ref, self.reason))
            return
        if self._monitors is None:
            self._monitors = []
        self._monitors.append(monitor)

    def remove_monitor(self, monitor: Monitor) -> None:
        """Forget *monitor*."""
        if self._monitors is not None and monitor in self._monitors:
            self._monitors.remove(monitor)

    def at_end(self, release: Callable[[Body], None]) -> None:
        """Call *release* when the actor ends, before anybody hears of it."""
        if self.state is State.ENDED:
            release(self)
            return
        if self._at_end is None:
            self._at_end = []
        self._at_end.append(release)

    def not_at_end(self, release: Callable[[Body], None]) -> None:
        """Take back `at_end`."""
        if self._at_end is not None:
            self._at_end.remove(release)

    # -- waiting and watching, see _ask.Waiting ----------------------------

    def begin_wait(self, target: Waiting) -> None:
        """Its handler waits for *target* from now on."""
        self.waits_on = (*self.waits_on, target)

    def end_wait(self, target: Waiting) -> None:
        """That wait is over."""
        rest = list(self.waits_on)
        if target in rest:
            rest.remove(target)
        self.waits_on = tuple(rest)

    def begin_watch(self, watch: Watch) -> None:
        """Its incarnation watches another actor from now on."""
        assert isinstance(watch, Monitor)
        if self._watches is None:
            self._watches = []
        self._watches.append(watch)

    def watched_ended(self, watch: Watch, down: object) -> None:
        """Receive *down* through the system lane, or end with it."""
        assert isinstance(watch, Monitor)
        assert isinstance(down, Down)
        if watch.binds:
            self.request_stop(down.reason)
        else:
            self.mailbox.put_system(down)

    def end_watch(self, watch: Watch) -> None:
        """Forget *watch*; its Down, if it waits, is not delivered."""
        if self._watches is not None and watch in self._watches:
            assert isinstance(watch, Monitor)
            self._watches.remove(watch)

    def _take_watch(self, down: Down) -> bool:
        """Whether *down* is still wanted."""
        for watch in self._watches or ():
            if watch.down is down:
                watch.cancel()
                return True
        return False

    # -- what the actor asks of it, see _actor.Host ------------------------

    def defer_reply(self) -> Reply:
        """Take the answer of the message in flight out of the loop's hands."""
        ask, self._replying = self._replying, None
        if ask is not None:
            if self._deferred is None:
                self._deferred = []
            # Answered ones need no end; forget them here, so that the list is
            # as long as what is open and no bookkeeping is needed in Reply.
            self._deferred = [other for other in self._deferred if not other.done]
            self._deferred.append(ask)
        return Reply(ask)

    def start_task(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        """Start a task that ends with the incarnation."""
        if self._owned is None:
            self._owned = set()
        task = _OwnedTask(self)
        self._owned.add(task)
        self.runtime.start_task(task.run, function, args)

    def task_ended(self, task: _OwnedTask) -> None:
        """One of the owned tasks is gone."""
        if self._owned is not None:
            self._owned.discard(task)
            if not self._owned and self._owned_ended is not None:
                self._owned_ended.open()

    async def _end_owned(self) -> None:
        if not self._owned:
            return
        for task in tuple(self._owned):
            task.cancel()
        self._owned_ended = Gate(self.runtime.parker)
        with anyio.move_on_after(KILL_GRACE):
            await self._owned_ended.wait()
        if self._owned:
            _log.error("a task of %s cannot be cancelled", self.path)
            self._owned = None
        self._owned_ended = None

    def set_timer(self, delay: float, message: object, interval: float | None) -> Timer:
        """Tell the actor *message* after *delay* seconds."""
        timer = Timer(self, delay, message, interval)
        if self._timers is None:
            self._timers = set()
        self._timers.add(timer)
        return timer

    def timer_done(self, timer: Timer) -> None:
        """*timer* will not fire again."""
        if self._timers is not None:
            self._timers.discard(timer)

    def timer_lost(self, message: object) -> None:
        """The mailbox had no room for a timer's message."""
        self._dead_letter(message, Undelivered.OVERFLOW)

    def bind_to(self, ref: ActorRef[Any]) -> None:
        """Stop with the reason of *ref* when that ends."""
        watch_ref(ref, self, binds=True)

    # -- what the mailbox reports, see _mailbox.MailboxOwner ---------------

    def dropped(self, message: object, overflow: Overflow) -> None:
        """*message* was dropped by policy."""
        if isinstance(message, Ask):
            message.fail(MailboxFull(self.path, self.mailbox.options.capacity, message))
        self._dead_letter(message, Undelivered.OVERFLOW)

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


@final
class _GraceEnd:
    """Deadline of the message in flight once a stop was asked for."""

    __slots__ = ("_cell", "deadline", "done")

    def __init__(self, cell: Cell[Any], deadline: float) -> None:
        self._cell = cell
        self.deadline = deadline
        self.done = False

    def expire(self) -> None:
        self.done = True
        self._cell.cancel_in_flight()


def _is_default(actor: Actor[Any] | None, hook: str) -> bool:
    """Whether *actor* leaves *hook* as it stands in `Actor`."""
    return getattr(type(actor), hook, None) is getattr(Actor, hook)


class _Orphanage:
    """Parent of actors that nobody supervises: none is ever restarted."""

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        return False

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        cell.end(reason)


UNSUPERVISED: Parent = _Orphanage()
"""For actors outside of every supervision tree: each exit is the end."""
