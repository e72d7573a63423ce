"""One incarnation of an actor: from a start to the exit that comes of it.

    STARTING -> RUNNING -> STOPPING -> EXITED

Here, and only here, an exception becomes an exit.  Two laws:

    A message is handled at most once: what was in flight when the incarnation
    died goes to the dead letters, or back to its asker as an error.

    What is EXITED stays so.  Whatever still holds on to a dead incarnation, be
    it the actor's own task, changes nothing more.
"""

from __future__ import annotations

import enum
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar, final

import anyio

from ._actor import Actor, Context
from ._ask import Ask, current
from ._belongings import Belongings, Home
from ._burial import bury, close, refuse_inspections
from ._dead_letters import Undelivered
from ._errors import ActorNotAlive, Decline
from ._exit import Crashed, Declined, ExitReason, Killed, StartFailed, judge
from ._inline import answer_inline
from ._loop import STOP, serve
from ._mailbox import NOTHING
from ._parking import Gate

M = TypeVar("M")

_log = logging.getLogger("greenroom.actors")


class State(enum.Enum):
    """Where a cell is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    """Its incarnation has ended; whether there is another is being decided."""
    ENDED = "ended"


@final
class _GraceEnd:
    """Deadline of the message in flight once a stop was asked for."""

    __slots__ = ("_scope", "deadline", "done")

    def __init__(self, scope: anyio.CancelScope, deadline: float) -> None:
        self._scope = scope
        self.deadline = deadline
        self.done = False

    def expire(self) -> None:
        self.done = True
        self._scope.cancel()


@final
class Incarnation(Generic[M]):
    """One life of one actor."""

    __slots__ = (
        "_cause",
        "_exit_gate",
        "_grace_end",
        "_home",
        "_killed",
        "_scope",
        "_start_gate",
        "actor",
        "belongings",
        "ran",
        "reason",
        "state",
        "stop_reason",
    )

    def __init__(self, home: Home, number: int) -> None:
        self._home = home
        self.belongings: Belongings = Belongings(home, number, self)
        self.state: State = State.STARTING
        # Whether it has got as far as RUNNING.
        self.ran: bool = False
        # How it ended, once it has.
        self.reason: ExitReason | None = None
        # There while it lives.
        self.actor: Actor[M] | None = None
        # Why it shall stop, or stops: the first reason that somebody gave.
        self.stop_reason: ExitReason | None = None
        # Why it cannot go on, as one of its tasks found.
        self._cause: ExitReason | None = None
        # Set by kill(): no hook runs any more.
        self._killed = False
        # Around whatever part of the actor's code runs now.  Without one its
        # task has not begun, or runs no code of the actor's.
        self._scope: anyio.CancelScope | None = None
        self._grace_end: _GraceEnd | None = None
        # What follows is made when first needed, to keep an idle actor small.
        self._start_gate: Gate | None = None
        self._exit_gate: Gate | None = None

    # -- its life ----------------------------------------------------------

    def make(self, factory: Callable[[], Actor[M]]) -> None:
        """Make the actor, before its task begins but in its context.

        Without a ``started`` of its own it runs from here on: nobody has to wait
        until its task has had its turn.
        """
        current.set(self.belongings.activation)
        try:
            self.actor = actor = factory()
            _require_actor(actor)
            actor.context = Context(self.belongings)
        except BaseException as error:
            self._cause = self._judge(error)
            return
        if _is_default(actor, "started"):
            self._begin()

    async def live(self, start_timeout: float) -> None:
        """Start, serve and stop, in its own task; tell its home why it ended."""
        self._killed = self._killed or self._home.runtime.closing
        # It may have been told to end before its task came to run.
        reason = self._told()
        if reason is None:
            reason = await self._guarded(self._start_and_serve(start_timeout))
            reason = reason or self._told()
        if self.ran:
            assert reason is not None
            self._served(reason)
        elif isinstance(reason, Crashed):
            declines = isinstance(reason.error, Decline)
            reason = Declined() if declines else StartFailed(reason.error)
        await self._end_tasks()
        if self.ran and not self._killed and not _is_default(self.actor, "stopped"):
            assert reason is not None
            failure = await self._guarded(self._stop(reason))
            if failure is not None and not isinstance(reason, Crashed):
                reason = failure
            # It may have started some.
            await self._end_tasks()
        if not self.done:  # by being given up meanwhile, see `abandon`
            self._home.exited(Killed() if reason is None else reason)

    async def _guarded(self, step: Coroutine[Any, Any, None]) -> ExitReason | None:
        """Run a part of the actor's code; what escapes becomes a reason.

        Returns:
            None if it came to its end, whatever was asked for meanwhile.
        """
        runtime = self._home.runtime
        try:
            with anyio.CancelScope() as self._scope:
                await step
                return None
        except GeneratorExit:
            raise  # the event loop is being torn down under us
        except BaseException as error:
            reason = self._judge(error)
            if runtime.closing:
                self._killed = True
            elif isinstance(reason, Killed):
                # A native Task.cancel(), or a scope of the user's that leaked.
                runtime.parker.absorb()
            return reason
        finally:
            self._scope = None
        # Our own cancellation, and nothing else, ends up here.
        return self._told()

    def _judge(self, error: BaseException) -> ExitReason:
        runtime = self._home.runtime
        reason, fatal = judge(error, runtime.parker.cancelled)
        if fatal is not None:
            runtime.fatal(fatal, self._home.path)
        return reason

    def _told(self) -> ExitReason | None:
        """Why it shall end, if something says so by now."""
        if self._cause is not None:
            return self._cause
        return Killed() if self._killed else self.stop_reason

    async def _start_and_serve(self, start_timeout: float) -> None:
        # In one scope, which costs more than anything else here.
        if self.state is State.STARTING:
            await self._start(start_timeout)
            if self.done:
                return  # given up meanwhile
            self._begin()
        # It may have started though it was told to end meanwhile.
        if self._told() is None:
            assert self.actor is not None
            own = self.belongings
            if self.actor.inline_asks and not iscoroutinefunction(self.actor.receive):
                handle = partial(answer_inline, self._home, self.actor.receive)
                self._home.mailbox.inline = partial(handle, own.activation, self.fail)
            await serve(self._home, self.actor, own.activation, own.number)
            if own.beside is not None:
                await own.beside.finish()

    def _begin(self) -> None:
        self.ran = True
        self.state = State.RUNNING
        _open(self._start_gate)
        self._start_gate = None

    async def _start(self, limit: float) -> None:
        actor = self.actor
        assert actor is not None
        if limit == math.inf:
            await actor.started()
            return
        with anyio.move_on_after(limit) as scope:
            await actor.started()
        if scope.cancelled_caught:
            raise TimeoutError(f"started took over {limit:g} s")

    def _served(self, reason: ExitReason) -> None:
        """It takes no more messages, because of *reason*."""
        if self._grace_end is not None:
            self._grace_end.done = True
        self._lose_current(reason)
        if not self.done:
            self.state = State.STOPPING
            if not self._home.restarts(reason):
                # Who waits for an answer shall not wait for our cleaning up.
                self.stop_reason = reason
                close(self._home, reason)

    def _lose_current(self, reason: ExitReason) -> None:
        mailbox = self._home.mailbox
        if mailbox.current is not NOTHING:
            crashed = isinstance(reason, Crashed)
            if crashed and self._home.redelivers(mailbox.current, reason):
                mailbox.put_back()
                return
            why = Undelivered.CRASHED if crashed else Undelivered.CANCELLED
            bury(self._home, mailbox.lose(), why, reason)

    async def _end_tasks(self) -> None:
        parker = self._home.runtime.parker
        try:
            await self.belongings.end_tasks()
        except parker.cancelled:
            # Natively, or because everything ends: so do they, then.
            parker.absorb()

    async def _stop(self, reason: ExitReason) -> None:
        assert self.actor is not None
        await self.actor.stopped(reason)

    # -- what others ask of it ---------------------------------------------

    @property
    def done(self) -> bool:
        """Whether it has exited."""
        return self.state is State.EXITED

    def request_stop(self, reason: ExitReason, *, final: bool = False) -> None:
        """Stop after the message in flight; see `Cell.request_stop`."""
        if self.state is State.EXITED:
            return
        if final or not self._home.restarts(reason):
            close(self._home, reason)
        if self.stop_reason is not None or self.state is State.STOPPING:
            return
        self.stop_reason = reason
        if self.state is State.STARTING:
            self._cancel_step()
            return
        self.state = State.STOPPING
        self._home.mailbox.put_system(STOP)
        # The message in flight has so long to end by itself.
        assert self.actor is not None
        grace = self.actor.stop_grace
        if grace <= 0:
            self._cancel_step()
        elif grace < math.inf and self._scope is not None:
            runtime = self._home.runtime
            self._grace_end = _GraceEnd(self._scope, runtime.now() + grace)
            runtime.deadlines.add(self._grace_end)

    def kill(self) -> None:
        """Cancel whatever runs of it; no hook of it runs any more."""
        if self._killed or self.state is State.EXITED:
            return
        self._killed = True
        if self.stop_reason is None:
            self.stop_reason = Killed()
        if not self._home.restarts(Killed()):
            close(self._home, Killed())
        if self.actor is not None:
            try:
                self.actor.killed()
            except Exception:
                _log.exception("killed() of %s raised", self._home.path)
        self._interrupt()
        self.belongings.cancel_tasks()

    def fail(self, error: BaseException) -> None:
        """A part of the actor has failed, and so has the actor."""
        runtime = self._home.runtime
        cause, fatal = judge(error, runtime.parker.cancelled)
        if fatal is not None:
            runtime.fatal(fatal, self._home.path)
        lives = self.state in (State.STARTING, State.RUNNING) and not self._killed
        if lives and self._cause is None:
            self._cause = cause
            self._interrupt()
        elif isinstance(cause, Crashed):
            path = self._home.path
            _log.error("a part of %s failed as it ended", path, exc_info=error)

    def _interrupt(self) -> None:
        # Before all else, for a handler that survives its cancellation.
        self._home.mailbox.put_system(STOP, first=True)
        self._cancel_step()

    def _cancel_step(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def wait_started(self) -> None:
        """Wait until it runs, or has ended."""
        if self.state is State.STARTING:
            if self._start_gate is None:
                self._start_gate = Gate(self._home.runtime.parker)
            await self._start_gate.wait()

    async def wait_exited(self) -> ExitReason:
        """Wait until it has ended; return how."""
        if self.state is not State.EXITED:
            if self._exit_gate is None:
                self._exit_gate = Gate(self._home.runtime.parker)
            await self._exit_gate.wait()
        assert self.reason is not None
        return self.reason

    # -- its end -----------------------------------------------------------

    def exit(self, reason: ExitReason) -> None:
        """It is over, and everything that was of this incarnation ends."""
        self.state = State.EXITED
        self.reason = reason
        self.actor = None
        self.belongings.release(reason)
        mailbox = self._home.mailbox
        mailbox.inline = None
        # For the next incarnation, if there is one.
        mailbox.unstash()
        refuse_inspections(self._home, reason)
        if mailbox.system is not None:
            mailbox.system.clear()
        _open(self._start_gate)
        _open(self._exit_gate)

    def abandon(self) -> None:
        """It is over, though its task goes on, which cannot be ended.

        A message in flight stays so: it is being handled, if anything is.
        """
        self.kill()
        message = self._home.mailbox.current
        if isinstance(message, Ask):
            message.fail(ActorNotAlive(self._home.path, Killed()))
        self.exit(Killed())
        # For its task, should it ever get so far.
        self._home.mailbox.put_system(STOP)


def _open(gate: Gate | None) -> None:
    if gate is not None:
        gate.open()


def _require_actor(made: object) -> None:
    if not isinstance(made, Actor):
        raise TypeError(f"the factory must return an Actor, got {made!r}")


def _is_default(actor: Actor[Any] | None, hook: str) -> bool:
    """Whether *actor* leaves *hook* as it stands in `Actor`."""
    return getattr(type(actor), hook, None) is getattr(Actor, hook)
