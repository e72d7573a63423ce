"""Ask: a message that wants an answer, and who waits for whom.

An ask travels in the mailbox like any other message, in an envelope that
carries its deadline.  It is settled exactly once: by a reply, by its deadline,
by the end of the actor, or by the asker going away; all later outcomes are
dropped.

Waiting is written down in the activation of the one who waits.  A waits for B
when A's handler awaits an ask or a blocked send to B.  A ring of such waits
would last until its deadlines, so it is refused before it closes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, final

from ._deadlines import Deadlines
from ._errors import AskCycle, AskTimeout
from ._mailbox import Envelope
from ._parking import Parker


class Waiting(Protocol):
    """An actor, as one that waits for others and watches them."""

    @property
    def path(self) -> str:
        """Where it stands in the tree."""
        ...

    @property
    def waits_on(self) -> Sequence[Waiting]:
        """Whom its handler waits for at this moment."""
        ...

    def begin_wait(self, target: Waiting) -> None:
        """Its handler waits for *target* from now on."""
        ...

    def end_wait(self, target: Waiting) -> None:
        """That wait is over."""
        ...

    def begin_watch(self, watch: Watch) -> None:
        """Its incarnation watches another actor from now on."""
        ...

    def watched_ended(self, watch: Watch, down: object) -> None:
        """Receive *down* through the system lane."""
        ...

    def end_watch(self, watch: Watch) -> None:
        """Forget *watch*, and its Down if that has not been received."""
        ...


class Watch(Protocol):
    """A monitor, seen from the actor that watches."""

    def cancel(self) -> None:
        """Stop watching."""
        ...


class Clock(Protocol):
    """What an ask needs of the runtime."""

    deadlines: Deadlines
    parker: Parker

    def now(self) -> float:
        """Seconds on the clock that deadlines are kept by."""
        ...


@final
class Activation:
    """What runs now: an actor's own handler, or a task that it started.

    Attributes:
        owner: The actor.
        deadline: When the ask being answered expires; asks made meanwhile
            expire no later.  Infinite if nobody waits for an answer.
        blocks: Whether the actor handles no other message while this runs.
    """

    __slots__ = ("blocks", "deadline", "owner")

    def __init__(self, owner: Waiting, *, blocks: bool) -> None:
        self.owner = owner
        self.deadline = math.inf
        self.blocks = blocks


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
        for other in actor.waits_on:
            if id(other) not in via:
                via[id(other)] = (other, actor)
                reached.append(other)
    return None


@contextmanager
def waiting(asker: Waiting, target: Waiting) -> Iterator[None]:
    """Write down that *asker*'s handler waits for *target*.

    Raises:
        AskCycle: *target* waits for *asker* already.
    """
    cycle = wait_cycle(asker, target)
    if cycle is not None:
        raise AskCycle(cycle)
    asker.begin_wait(target)
    try:
        yield
    finally:
        asker.end_wait(target)


@final
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
        self.path = path
        self.seconds = seconds
        self.deadline = deadline
        self.asker = asker
        self._runtime = runtime
        self.parked: object | None = None
        self.done = False
        self.value: object = None
        self.error: BaseException | None = None

    async def wait(self) -> object:
        """Wait until settled; return the value or raise the error.

        Cancelled, the ask counts as settled.
        """
        runtime = self._runtime
        runtime.deadlines.add(self)
        try:
            while not self.done:
                await runtime.parker.park(self)
        finally:
            self.done = True
        if self.error is not None:
            raise self.error
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

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return self._ask is not None and not self._ask.done

    def send(self, value: object) -> None:
        """Answer with *value*.  Nothing happens if nobody waits any longer."""
        if self._ask is not None:
            self._ask.reply(value)

    def fail(self, error: BaseException) -> None:
        """Make the ask raise *error*."""
        if self._ask is not None:
            self._ask.fail(error)


@final
class Timed(Envelope):
    """A message from a timer, good only for the incarnation that set it."""

    __slots__ = ("delivered", "incarnation")

    def __init__(self, message: object, incarnation: int) -> None:
        self.message = message
        self.incarnation = incarnation
        # Whether the actor has come to it.
        self.delivered = False
