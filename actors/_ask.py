"""Ask: a message that wants an answer, and who waits for whom.

An ask travels in the mailbox like any other message, in an envelope that
carries its deadline.  It is settled exactly once: by a reply, by its deadline,
by the end of the actor, or by the asker going away; all later outcomes are
dropped.

Waiting is written down in the activation of the one who waits.  A waits for B
while A's handler awaits the answer to an ask, room for a message, or an end, of
B's, and that is still to come.  A ring of such waits would last until its
deadlines, so it is refused before it closes.
"""

from __future__ import annotations

import math
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, final

from ._deadlines import Deadlines, Now
from ._errors import AskCycle, AskTimeout
from ._exit import ExitReason
from ._mailbox import Envelope
from ._parking import Parker

R_co = TypeVar("R_co", covariant=True)


class Request(Generic[R_co]):
    """Base for messages that are asked: says the type of the answer.

    ``class Total(Request[int])`` makes ``await ref.ask(Total())`` an `int` to a
    type checker.  Nothing is checked at run time, and any other message can be
    asked as well; its answer is an `object`.
    """

    __slots__ = ()


class Pending(Protocol):
    """What is waited for."""

    @property
    def done(self) -> bool:
        """Whether it has come, though the one who waits may not know yet."""
        ...


class Waiting(Protocol):
    """An actor, as one that waits for others."""

    @property
    def path(self) -> str:
        """Where it stands in the tree."""
        ...

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What its handler waits for at this moment, and of whom."""
        ...


Wait: TypeAlias = tuple[Pending, Waiting]


class Watch(Protocol):
    """A monitor, seen from the actor that watches."""

    @property
    def binds(self) -> bool:
        """Whether the watcher ends with the other, instead of hearing of it."""
        ...

    @property
    def reason(self) -> ExitReason | None:
        """How the other ended; None as long as it has not."""
        ...

    @property
    def down(self) -> object:
        """The message that says so; None as long as it has not."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants to know any more."""
        ...

    def cancel(self) -> None:
        """Stop watching."""
        ...


class Watcher(Protocol):
    """An incarnation of an actor, as one that watches others."""

    def begin_watch(self, watch: Watch) -> None:
        """It watches another actor from now on."""
        ...

    def watched_ended(self, watch: Watch) -> None:
        """That actor has ended."""
        ...

    def end_watch(self, watch: Watch) -> None:
        """Forget *watch*."""
        ...


class Clock(Protocol):
    """What an ask needs of the runtime."""

    @property
    def deadlines(self) -> Deadlines:
        """Everything that ends by the clock."""
        ...

    @property
    def parker(self) -> Parker:
        """How tasks sleep."""
        ...

    @property
    def now(self) -> Now:
        """The clock that deadlines are kept by."""
        ...


@final
class Activation:
    """What runs now: an actor's own handler, or a task that it started.

    Attributes:
        owner: The actor.
        watcher: The incarnation that gets the Downs of what is watched here.
        blocks: Whether the actor handles no other message while this runs.
        replying: The ask in flight, as long as its answer is ours to give.
        deadline: When that expires; asks made meanwhile expire no later.
            Infinite if nobody waits for an answer.
        waits: What it waits for.
    """

    __slots__ = ("blocks", "deadline", "owner", "replying", "waits", "watcher")

    def __init__(self, owner: Waiting, watcher: Watcher, *, blocks: bool) -> None:
        self.owner: Waiting = owner
        self.watcher: Watcher = watcher
        self.blocks: bool = blocks
        self.replying: Ask | None = None
        self.deadline: float = math.inf
        # Several at once when the handler has a task group of its own.
        self.waits: tuple[Wait, ...] = ()

    def begin(self, pending: Pending, target: Waiting) -> Wait:
        """Write down that the handler waits for *target*, until `end`.

        Raises:
            AskCycle: *target* waits for the owner already.
        """
        cycle = wait_cycle(self.owner, target)
        if cycle is not None:
            raise AskCycle(cycle)
        wait = (pending, target)
        self.waits = (*self.waits, wait)
        return wait

    def end(self, wait: Wait) -> None:
        """That wait is over."""
        self.waits = tuple(other for other in self.waits if other is not wait)


current: ContextVar[Activation | None] = ContextVar("greenroom_current", default=None)
"""The activation of the running task; None outside of every actor."""


def wait_cycle(asker: Waiting, target: Waiting) -> list[str] | None:
    """The ring that would close if *asker* waited for *target*, as paths.

    Costs the number of actors that wait behind *target*, mostly none.
    """
    # Whom we reached, and from whom.
    via: dict[int, tuple[Waiting, Waiting | None]] = {id(target): (target, None)}
    reached = [target]
    while reached:
        actor = reached.pop()
        if actor is asker:
            path = [asker.path]
            step: Waiting | None = actor
            while step is not None:
                path.append(step.path)
                step = via[id(step)][1]
            return path[:1] + path[:0:-1]
        for pending, other in actor.waits:
            # What is done is no longer waited for: the answer is there, and the
            # one who gave it may go on before the one who gets it.
            if not pending.done and id(other) not in via:
                via[id(other)] = (other, actor)
                reached.append(other)
    return None


class Ask(Envelope):
    """The envelope of a message whose sender waits for the answer."""

    __slots__ = (
        "_runtime",
        "asker",
        "deadline",
        "done",
        "error",
        "parked",
        "path",
        "seconds",
        "value",
    )

    def __init__(
        self,
        message: object,
        path: str,
        seconds: float,
        deadline: float,
        asker: str | None,
        runtime: Clock,
    ) -> None:
        self.message = message
        # Of the actor asked, and how long was granted: for errors.
        self.path: str = path
        self.seconds: float = seconds
        self.deadline: float = deadline
        self.asker: str | None = asker
        self._runtime = runtime
        self.parked: Any = None
        self.done: bool = False
        self.value: object = None
        self.error: BaseException | None = None

    async def wait(self) -> object:
        """Wait until settled; return the value or raise the error.

        Once only.  Cancelled, the ask counts as settled.
        """
        runtime = self._runtime
        runtime.deadlines.add(self)
        try:
            while not self.done:
                await runtime.parker.park(self)
        finally:
            self.done = True
        # Who answers later may keep this for a while; and through a traceback an
        # error keeps whatever the one who asked has in hand.
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error
        return self.value

    def reply(self, value: object) -> None:
        """Settle with *value*; nothing if it is settled already."""
        if not self.done:
            self.done = True
            self.value = value
            if self.parked is not None:
                self._runtime.parker.unpark(self)

    def fail(self, error: BaseException) -> None:
        """Settle with *error*; nothing if it is settled already."""
        if not self.done:
            self.done = True
            self.error = error
            if self.parked is not None:
                self._runtime.parker.unpark(self)

    def expire(self) -> None:
        """The deadline has come."""
        self.fail(AskTimeout(self.path, self.seconds))


@final
class Reply:
    """An answer to be given later, and from anywhere on the same event loop.

    From `Context.defer_reply`.  Dropped without use, the asker waits until its
    deadline.
    """

    __slots__ = ("_ask", "_open")

    def __init__(self, ask: Ask | None, open: dict[Ask, None]) -> None:
        self._ask = ask
        # Those of the same actor that are not answered.
        self._open = open

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return self._ask is not None and not self._ask.done

    def send(self, value: object) -> None:
        """Answer with *value*.  Nothing happens if nobody waits any longer."""
        if self._ask is not None:
            self._open.pop(self._ask, None)
            self._ask.reply(value)

    def fail(self, error: BaseException) -> None:
        """Make the ask raise *error*."""
        if self._ask is not None:
            self._open.pop(self._ask, None)
            self._ask.fail(error)


@final
class Timed(Envelope):
    """A message from a timer, good only for the incarnation that set it."""

    __slots__ = ("incarnation", "settled")

    def __init__(self, message: object, incarnation: int) -> None:
        self.message = message
        self.incarnation = incarnation
        # Whether it has left the mailbox, by whatever way.
        self.settled = False
