"""Stream: a function on many items, so many at a time.

There is nobody behind it: whoever takes the results starts the tasks, so items
are taken no faster than results are.  The law: a task of a stream that has been
left is being ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast, final

from ..actors import ActorCrashed, ActorError, PendingReply, Replies, Runtime, commit
from ._check import check, check_count, is_seconds
from ._child import Alarm, Child, end_children
from ._errors import SupervisorError

R_co = TypeVar("R_co", covariant=True)

OnFailure: TypeAlias = Literal["raise", "yield", "skip"]
"""What becomes of an item whose task fails or takes too long."""


@final
class ItemFailed(SupervisorError):
    """The task of one item of a stream failed.

    Its exception is ``__cause__``: a `TimeoutError` if it took too long, and an
    `ActorNotAlive` if somebody ended it.

    Attributes:
        index: Which item, from 0.
        item: The item.
    """

    def __init__(self, index: int, item: object, cause: BaseException) -> None:
        super().__init__(f"item {index} failed: {cause!r}")
        self.index = index
        self.item = item
        self.__cause__: BaseException | None = cause


class Running(Protocol):
    """The task of one item."""

    @property
    def child(self) -> Child:
        """What its supervisor knows of it."""
        ...

    @property
    def reply(self) -> PendingReply[Any]:
        """What comes of it."""
        ...

    def cancel(self) -> None:
        """End it."""
        ...


@final
class _Slot:
    """One item that is under way."""

    __slots__ = ("alarm", "index", "item", "overdue", "release", "task")

    def __init__(self, index: int, item: object, task: Running) -> None:
        self.index = index
        self.item = item
        self.task = task
        # Who takes the results handles no message before it has left the stream:
        # a task that asks it something is to be told at once.
        self.release: Callable[[], None] = commit(task.reply)
        self.alarm: Alarm | None = None
        self.overdue = False

    def ring(self) -> None:
        self.overdue = True
        self.task.cancel()

    def leave(self) -> None:
        self.release()
        if self.alarm is not None:
            self.alarm.done = True


@final
class Stream(Generic[R_co]):
    """The results of many tasks; see `TaskSupervisor.stream`."""

    def __init__(
        self,
        start: Callable[[object], Running],
        runtime: Callable[[], Runtime],
        items: Iterable[object],
        *,
        max_concurrency: int,
        ordered: bool,
        timeout: float | None,
        on_timeout: OnFailure,
        on_error: OnFailure,
    ) -> None:
        check_count("max_concurrency", max_concurrency)
        check(max_concurrency > 0, "max_concurrency", "at least 1", max_concurrency)
        good = timeout is None or is_seconds(timeout)
        check(good, "timeout", "seconds of at least 0 or None", timeout)
        for name, choice in (("on_timeout", on_timeout), ("on_error", on_error)):
            good = choice in ("raise", "yield", "skip")
            check(good, name, "'raise', 'yield' or 'skip'", choice)
        self._start = start
        self._runtime = runtime
        self._items = items
        self._max_concurrency = max_concurrency
        self._ordered = ordered
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._on_error = on_error
        # There inside the block.
        self._source: Iterator[tuple[int, object]] | None = None
        # What is under way, in the order of the items.
        self._slots: dict[PendingReply[Any], _Slot] = {}
        self._replies: Replies[Any] = Replies()

    async def __aenter__(self) -> Stream[R_co]:
        self._source = enumerate(self._items)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._source = None
        slots = list(self._slots.values())
        self._slots.clear()
        for slot in slots:
            slot.leave()
        await end_children([slot.task.child for slot in slots])

    def __aiter__(self) -> AsyncIterator[R_co]:
        """Take one result after the other."""
        return self

    async def __anext__(self) -> R_co:
        """The next result."""
        while True:
            self._fill()
            if not self._slots:
                raise StopAsyncIteration
            slot = await self._next()
            slot.leave()
            try:
                return cast("R_co", slot.task.reply.result())
            except ActorError as error:
                failure = self._failure(slot, error)
            policy = self._on_timeout if slot.overdue else self._on_error
            if policy == "raise":
                raise failure
            if policy == "yield":
                return cast("R_co", failure)

    def _fill(self) -> None:
        """Start tasks for as many more items as there is room for."""
        if self._source is None:
            raise RuntimeError("a stream can be iterated over only in its block")
        while len(self._slots) < self._max_concurrency:
            item = next(self._source, None)
            if item is None:
                return
            slot = _Slot(*item, self._start(item[1]))
            self._slots[slot.task.reply] = slot
            if not self._ordered:
                self._replies.add(slot.task.reply)
            if self._timeout is not None:
                runtime = self._runtime()
                slot.alarm = Alarm(runtime.now() + self._timeout, slot.ring)
                runtime.deadlines.add(slot.alarm)

    async def _next(self) -> _Slot:
        if self._ordered:
            reply = next(iter(self._slots))
            try:
                await reply.wait()
            except ActorError:
                if not reply.done:
                    raise  # not its failure, but a reason not to wait for it
        else:
            reply = await self._replies.next()
        return self._slots.pop(reply)

    def _failure(self, slot: _Slot, error: ActorError) -> ItemFailed:
        cause: BaseException = error
        if slot.overdue:
            cause = TimeoutError(f"took over {self._timeout:g} s")
        elif isinstance(error, ActorCrashed) and error.__cause__ is not None:
            cause = error.__cause__
        return ItemFailed(slot.index, slot.item, cause)
