"""Requests: asking now and waiting later, for one answer or for many.

A request travels as an `Ask`, so deadline, death and cycles are as for any
other.  Nothing waits until somebody does: there is no task behind it, and who
waits in vain can go on waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar, cast, final

import anyio

from ._ask import Ask, Clock, Wait, Waiting, current, wait_cycle
from ._errors import AskCycle
from ._parking import Parker

R = TypeVar("R")

# Of how many at most it is written down that any of them is waited for: each costs
# a look at all others.  A ring through more than that lasts until its deadlines,
# unless it is closed when the wait begins.
_MOST_WAITS = 16


@final
class Requested(Ask):
    """The envelope of a request: an ask that says when it is settled.

    Waited for through a `PendingReply`, never by itself.
    """

    __slots__ = ("on_settled",)

    def __init__(
        self,
        message: object,
        path: str,
        seconds: float,
        deadline: float,
        asker: str | None,
        runtime: Clock,
    ) -> None:
        super().__init__(message, path, seconds, deadline, asker, runtime)
        self.on_settled: Callable[[], None] | None = None

    def reply(self, value: object) -> None:
        """Settle with *value*; nothing if it is settled already."""
        if not self.done:
            super().reply(value)
            if self.on_settled is not None:
                self.on_settled()

    def fail(self, error: BaseException) -> None:
        """Settle with *error*; nothing if it is settled already."""
        if not self.done:
            super().fail(error)
            if self.on_settled is not None:
                self.on_settled()


@final
class PendingReply(Generic[R]):
    """The answer to a request, which has come or will come.

    From `ActorRef.request`.  Dropped without use, the message is handled all
    the same.
    """

    __slots__ = ("__weakref__", "ask", "parker", "target")

    def __init__(self, ask: Requested, target: Waiting, parker: Parker) -> None:
        self.ask: Requested = ask
        # Whose answer it is.
        self.target: Waiting = target
        self.parker: Parker = parker

    def __repr__(self) -> str:
        state = "done" if self.done else "pending"
        return f"<PendingReply from {self.path}, {state}>"

    @property
    def path(self) -> str:
        """Who was asked."""
        return self.ask.path

    @property
    def done(self) -> bool:
        """Whether it has come, or never will."""
        return self.ask.done

    def result(self) -> R:
        """The answer, without waiting.

        Raises:
            RuntimeError: It has not come yet.
            AskTimeout: The request expired.
            ActorCrashed: The actor crashed over it, or for good before it.
            ActorNotAlive: The actor ended before it.
            MailboxFull: The overflow policy dropped the message.
            anyio.ClosedResourceError: It was abandoned.
        """
        if not self.ask.done:
            raise RuntimeError(f"{self.path} has not answered yet")
        if self.ask.error is not None:
            raise self.ask.error
        return cast("R", self.ask.value)

    async def wait(self, *, timeout: float | None = None) -> R:
        """Wait for the answer; one task at a time may.

        When *timeout* has passed, or this is cancelled, the request stands: wait
        again, or `abandon` it.  Once the answer is there it can be had any
        number of times.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It has not come in time.  `AskTimeout`, which is one
                too, says that it will not come any more.
            AskCycle: The actor asked waits for the one who calls.
            ActorCrashed: See `result`, as for the others.
        """
        if not self.done:
            if self.ask.parked is not None:
                raise anyio.BusyResourceError("waiting for")
            activation = current.get()
            if activation is None or not activation.blocks:
                await self._until_done(timeout)
            else:
                wait = activation.begin(self.ask, self.target)
                try:
                    await self._until_done(timeout)
                finally:
                    activation.end(wait)
        return self.result()

    async def _until_done(self, seconds: float | None) -> None:
        with anyio.move_on_after(seconds):
            while not self.ask.done:
                await self.parker.park(self.ask)
        if not self.ask.done:
            raise TimeoutError(f"{self.path} has not answered within {seconds:g} s")

    def abandon(self) -> None:
        """Want it no more: skipped before its turn, dropped after it."""
        self.ask.fail(anyio.ClosedResourceError())


def commit(reply: PendingReply[Any]) -> Callable[[], None]:
    """Write down that the running actor takes no message before *reply* is there.

    For who will wait for it, and does other things first.

    Returns:
        A function that takes it back.

    Raises:
        AskCycle: The actor asked waits for the one who calls.
    """
    activation = current.get()
    if activation is None or not activation.blocks:
        return _nothing
    return partial(activation.end, activation.begin(reply.ask, reply.target))


def _nothing() -> None:
    """There is no actor that would wait."""


@final
class _OneOf:
    """A wait that others can end as well; it is one only if they cannot."""

    __slots__ = ("_is_another_free", "_reply")

    def __init__(
        self, reply: PendingReply[Any], is_another_free: Callable[[], bool]
    ) -> None:
        self._reply = reply
        self._is_another_free = is_another_free

    @property
    def done(self) -> bool:
        """Whether it keeps nobody from going on."""
        return self._reply.done or self._is_another_free()


@final
class Replies(Generic[R]):
    """Answers to many requests, in the order in which they come.

        replies = Replies([ref.request(message) for ref in refs])
        async for reply in replies:
            print(reply.path, reply.result())

    A reply is in one collection at most, and may be waited for by itself as
    well.
    """

    __slots__ = ("_arrived", "_looking", "_parker", "_pending", "parked")

    def __init__(self, replies: Iterable[PendingReply[R]] = ()) -> None:
        self._arrived: deque[PendingReply[R]] = deque()
        self._pending: dict[PendingReply[R], None] = {}
        self._parker: Parker | None = None
        # Whether `_is_one_free` is being found out.
        self._looking = False
        self.parked: Any = None
        for reply in replies:
            self.add(reply)

    def __len__(self) -> int:
        """How many have not been taken out."""
        return len(self._arrived) + len(self._pending)

    def add(self, reply: PendingReply[R]) -> None:
        """Take *reply* in; one that is done already counts as come now.

        Raises:
            ValueError: It is in a collection already.
        """
        if reply.ask.on_settled is not None:
            raise ValueError(f"{reply!r} is in a collection already")
        reply.ask.on_settled = partial(self._come, reply)
        self._parker = reply.parker
        self._pending[reply] = None
        if reply.done:
            self._come(reply)

    def discard(self, reply: PendingReply[R]) -> None:
        """Take *reply* out, if it is in."""
        if reply in self._pending:
            del self._pending[reply]
        elif reply in self._arrived:
            self._arrived.remove(reply)
        else:
            return
        reply.ask.on_settled = None
        # It may have been the last that somebody waits for.
        self._wake()

    def _come(self, reply: PendingReply[R]) -> None:
        del self._pending[reply]
        self._arrived.append(reply)
        self._wake()

    def _wake(self) -> None:
        if self.parked is not None:
            assert self._parker is not None
            self._parker.unpark(self)

    async def next(self, *, timeout: float | None = None) -> PendingReply[R]:
        """Wait for the next one to come, and take it out; one task at a time may.

        It is done, and `PendingReply.result` says how.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            LookupError: There is none left.
            TimeoutError: None came in time; all stay in.
            AskCycle: Every actor that is still to answer waits for the one who
                calls.
        """
        if self.parked is not None:
            raise anyio.BusyResourceError("waiting for")
        with anyio.move_on_after(timeout):
            while self._pending and not self._arrived:
                await self._sleep()
        if self._arrived:
            reply = self._arrived.popleft()
            reply.ask.on_settled = None
            return reply
        if self._pending:
            raise TimeoutError(f"no answer has come within {timeout:g} s")
        raise LookupError("no reply is left in the collection")

    async def _sleep(self) -> None:
        """Sleep until something has changed."""
        assert self._parker is not None
        activation = current.get()
        if activation is None or not activation.blocks:
            await self._parker.park(self)
            return
        asker = activation.owner
        if not self._is_one_free(asker, but=None):
            first = next(iter(self._pending))
            raise AskCycle(wait_cycle(asker, first.target) or ())
        waits: list[Wait] = []
        if len(self._pending) <= _MOST_WAITS:
            # Whoever comes first ends it.
            for reply in self._pending:
                is_another_free = partial(self._is_one_free, asker, but=reply)
                waits.append((_OneOf(reply, is_another_free), reply.target))
        activation.waits = (*activation.waits, *waits)
        try:
            await self._parker.park(self)
        finally:
            for wait in waits:
                activation.end(wait)

    def _is_one_free(self, asker: Waiting, *, but: PendingReply[R] | None) -> bool:
        """Whether one of them, *but* one, can come without *asker* going on."""
        if self._looking:
            return True  # a ring of such questions; none of us knows better
        self._looking = True
        try:
            return any(
                # Mostly the first.
                wait_cycle(asker, reply.target) is None
                for reply in self._pending
                if reply is not but
            )
        finally:
            self._looking = False

    def __aiter__(self) -> AsyncIterator[PendingReply[R]]:
        """Take one after the other out, until none is left."""
        return self

    async def __anext__(self) -> PendingReply[R]:
        """The next one to come."""
        if not self:
            raise StopAsyncIteration
        return await self.next()
