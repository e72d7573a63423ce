"""TaskSupervisor: functions that run once, each as an actor below a supervisor.

Unlike a task of the event loop, each is somewhere in the tree: it is counted,
seen, reported when it fails, and ended in order, within a deadline.  Being an
actor it takes part in the books of who waits for whom, so a task that asks the
actor that waits for it is told so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Literal, TypeVar, TypeVarTuple, cast, final, overload

from ..actors import (
    Actor,
    ActorNotAlive,
    ActorRef,
    Cell,
    Context,
    PendingReply,
    Requested,
    State,
    asks_fail_with,
    is_abnormal,
)
from ._check import check, check_count, is_seconds
from ._child import Child, end_children
from ._family import Family
from ._intensity import Intensity
from ._news import FamilyNews
from ._spec import WORKER_SHUTDOWN, ChildSpec, Restart
from ._strategy import AutoShutdown
from ._stream import ItemFailed, OnFailure, Stream

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@final
class _Go:
    __slots__ = ()


# System message: it waits for no room, and is nothing lost if it is not handled.
_GO = _Go()


@final
class TaskRun(Actor[object]):
    """The actor that a function runs in."""

    # A stop is an order to stop the function.
    stop_grace: float = 0.0

    def __init__(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        self._function = function
        self._args = args
        self.finished = False
        self.value: object = None

    async def receive(self, message: object) -> None:
        """Run the function, when told so by its supervisor."""
        if message is _GO:
            self.value = await self._function(*self._args)
            self.finished = True
            self.context.stop()


@final
class Task(Generic[R]):
    """A function that runs below a `TaskSupervisor`, or has run.

    From `TaskSupervisor.start`.  It is done when its actor has ended.
    """

    __slots__ = ("child", "linked", "ref", "reply")

    def __init__(
        self, child: Child, ref: ActorRef[Any], reply: PendingReply[R]
    ) -> None:
        self.child: Child = child
        self.ref: ActorRef[Any] = ref
        self.reply: PendingReply[R] = reply
        # Whether its failure is that of its owner, if it has one.
        self.linked: bool = True

    def __repr__(self) -> str:
        return f"<Task {self.path}, {'done' if self.done else 'pending'}>"

    @property
    def path(self) -> str:
        """Where it stands in the tree."""
        return self.ref.path

    @property
    def done(self) -> bool:
        """Whether it has ended, or is ignored."""
        return self.reply.done

    def result(self) -> R:
        """What the function returned, without waiting.

        Raises:
            RuntimeError: It has not ended yet.
            ActorCrashed: The function raised; its exception is ``__cause__``.
            ActorNotAlive: It was cancelled.
            anyio.ClosedResourceError: It is ignored.
        """
        return self.reply.result()

    async def wait(self, *, timeout: float | None = None) -> R:
        """Wait for what the function returns; one task at a time may.

        When *timeout* has passed, or this is cancelled, it goes on: wait again,
        `cancel` it or `ignore` it.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It has not ended in time.
            AskCycle: It waits for the actor that calls.
            ActorCrashed: See `result`, as for the others.
        """
        return await self.reply.wait(timeout=timeout)

    def cancel(self) -> None:
        """Cancel the function; if it has not ended by its deadline, it is killed.

        Its owner goes on, however it ends.
        """
        self.linked = False
        self.child.begin_end()

    async def stop(self) -> None:
        """Cancel the function and wait until it has ended."""
        self.linked = False
        await end_children([self.child])

    def ignore(self) -> None:
        """Let it go on, and want to hear of it no more.

        What it returns is dropped, and its failure is not its owner's.
        """
        self.linked = False
        self.reply.abandon()


@final
class TaskSupervisor(Family[FamilyNews]):
    """Runs functions, each as an actor of its own; stops all at once.

        tasks = TaskSupervisor()
        await system.spawn(tasks, name="tasks")
        page = tasks.start(fetch, url)
        print(await page.wait(timeout=5))

    The object is the actor and what its orders are given to; they work while it
    runs.  Nothing is restarted.  A function runs in the context variables of the
    system, not in those of whoever starts it.

    Args:
        max_children: How many may run at a time; None for no limit.
        shutdown: Seconds that a cancelled function may take before it is killed.
    """

    _keeps_specs = False

    def __init__(
        self, *, max_children: int | None = None, shutdown: float = WORKER_SHUTDOWN
    ) -> None:
        super().__init__(
            intensity=Intensity(),
            backoff=None,
            auto_shutdown=AutoShutdown.NEVER,
            rng=None,
        )
        if max_children is not None:
            check_count("max_children", max_children)
        check(is_seconds(shutdown), "shutdown", "seconds of at least 0", shutdown)
        self._max_children = max_children
        self._shutdown = shutdown
        self._numbers = itertools.count(1)

    def start(
        self,
        function: Callable[[*Ts], Awaitable[R]],
        *args: *Ts,
        owner: Context[Any] | None = None,
    ) -> Task[R]:
        """Run ``function(*args)``, beginning when the event loop comes to it.

        Its failure is reported, as that of any actor, and raised where it is
        waited for; by itself it is nobody else's.

        Args:
            function: What to run.
            args: What to run it with.
            owner: The ``self.context`` of an actor that shares its fate: the end
                of that incarnation cancels the function, and an exception of the
                function's crashes the actor, wherever it stands.

        Raises:
            TooManyChildren: There are ``max_children`` already.
            ActorNotAlive: The supervisor is not running; or *owner* has ended.
        """
        run = TaskRun(function, args)
        name = getattr(function, "__name__", "task").strip("<>")
        spec = ChildSpec(
            f"{name}-{next(self._numbers)}",
            lambda: run,
            Restart.TEMPORARY,
            shutdown=self._shutdown,
        )
        child = self._add(spec)
        cell = self._launch(child)
        task: Task[R] = Task(child, cell.ref, _reply_of(cell, run))
        cell.mailbox.put_system(_GO)
        if owner is not None:
            try:
                owner.start_soon(_share_fate, task)
            except ActorNotAlive:
                task.cancel()
                raise
        return task

    @overload
    def stream(
        self,
        items: Iterable[T],
        function: Callable[[T], Awaitable[R]],
        *,
        max_concurrency: int = ...,
        ordered: bool = ...,
        timeout: float | None = ...,
        on_timeout: Literal["raise", "skip"] = ...,
        on_error: Literal["raise", "skip"] = ...,
    ) -> Stream[R]: ...

    @overload
    def stream(
        self,
        items: Iterable[T],
        function: Callable[[T], Awaitable[R]],
        *,
        max_concurrency: int = ...,
        ordered: bool = ...,
        timeout: float | None = ...,
        on_timeout: OnFailure = ...,
        on_error: OnFailure = ...,
    ) -> Stream[R | ItemFailed]: ...

    def stream(
        self,
        items: Iterable[T],
        function: Callable[[T], Awaitable[R]],
        *,
        max_concurrency: int = 8,
        ordered: bool = True,
        timeout: float | None = None,
        on_timeout: OnFailure = "raise",
        on_error: OnFailure = "raise",
    ) -> Stream[Any]:
        """Run *function* on each item, several at a time, and take the results.

            async with tasks.stream(urls, fetch, max_concurrency=4) as pages:
                async for page in pages:
                    ...

        An item is taken when there is room for its task, and no task begins
        before somebody waits for a result.  Leaving the block, by whatever way,
        cancels the tasks that are left and waits until they have ended; a block
        that is cancelled does not wait, and they end all the same.

        Args:
            items: What to run it on; may be infinite.
            function: What to run.
            max_concurrency: How many items may be under way: running, or done
                and not taken yet.
            ordered: Whether results come in the order of the items; else in the
                order in which they are done.
            timeout: Seconds that each item's task may take; it is cancelled then.
            on_timeout: After that: raise `ItemFailed` where the result is taken,
                yield it in place of the result, or leave the item out.
            on_error: The same, of an item whose task fails or is ended.
        """
        return Stream(
            lambda item: self.start(function, cast("T", item)),
            lambda: self.context.runtime,
            items,
            max_concurrency=max_concurrency,
            ordered=ordered,
            timeout=timeout,
            on_timeout=on_timeout,
            on_error=on_error,
        )

    # -- the actor ---------------------------------------------------------

    async def started(self) -> None:
        """Be ready, without children."""
        self._begin()

    async def _end_all(self) -> None:
        await end_children(self.all_children())


def _reply_of(cell: Cell[Any], run: TaskRun) -> PendingReply[Any]:
    """What comes of *run*, there when its actor has ended and made room."""
    runtime = cell.runtime
    ask = Requested(None, cell.path, math.inf, math.inf, None, runtime)

    def settle(_: object) -> None:
        if run.finished:
            ask.reply(run.value)
        else:
            assert cell.reason is not None
            ask.fail(asks_fail_with(cell.path, cell.reason))

    if cell.state is State.ENDED:
        settle(cell)  # all tasks are being cancelled, and it never began
    else:
        cell.at_end(settle)
    return PendingReply(ask, cell, runtime.parker)


async def _share_fate(task: Task[Any]) -> None:
    """Fail as *task* does, and end it if cancelled; part of its owner."""
    try:
        reason = await task.ref.wait_stopped()
        if task.linked and is_abnormal(reason):
            raise asks_fail_with(task.path, reason)
    finally:
        task.cancel()
