"""Trio with every order decided by somebody else: the one file that knows its inside.

Trio leaves four orders to chance: which of the tasks that can run goes first,
which of two equal deadlines comes first, and in which order the tasks and the
scopes below a cancelled scope hear of it.  While a world runs, its `Orders`
decide all four, and who falls behind.  Nothing waits for the machine: the clock
jumps when no task can run, and there are no sockets; `trio.run` spends most of
its time on those that it opens for itself.

Before the first run trio is looked at once: whether it has the names that are
used here, and in a small run whether they still have the effect.  All is put
back when a run is over.  Meanwhile no other thread may run trio.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import math
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context
from importlib import import_module
from importlib.metadata import version
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NoReturn, Protocol, TypeVar, cast, final

from ._devices import Bell, NoDevices
from ._errors import TrioChanged
from ._schedule import Orders, Schedule, Scheduled

T = TypeVar("T")

TESTED = "0.31 to 0.35"

# How often what outlives its cancellation is cancelled natively.
_ROUNDS = 20

# What is used of trio: of its modules, and of its classes.
_NAMES = {
    "_core._run": "CancelStatus Deadlines GLOBAL_RUN_CONTEXT Instruments Runner Task"
    " _ALLOW_DETERMINISTIC_SCHEDULING _r in_trio_run sniffio_library unrolled_run",
    "_core._entry_queue": "EntryQueue",
    "_core._ki": "KIManager",
    "_core._exceptions": "TrioInternalError",
}
_ATTRIBUTES = {
    "Runner": "asyncgens deadlines entry_queue init_task main_task_outcome runq"
    " tasks waiting_for_idle",
    "CancelStatus": "_children _tasks recalculate __attrs_post_init__",
    "Deadlines": "add expire next_deadline _heap _active",
    "Task": "_abort_func _attempt_abort _counter iter_await_frames",
}


class Watcher(Protocol):
    """Who looks on.  Must not raise."""

    def stepped(self, task: Any) -> None:
        """*task* has made a step."""
        ...

    def stuck(self) -> None:
        """Nothing will happen any more: end it, at last by `Loop.cancel_all`."""
        ...


class _Unordered(set[Any]):
    """A set that is gone through in the order that the world decides."""

    __slots__ = ()

    # The older member has the lower number.
    age: Callable[[Any], int]

    def __iter__(self) -> Iterator[Any]:
        members = sorted(super().__iter__(), key=self.age)
        if len(members) > 1:
            clock = _insides().GLOBAL_RUN_CONTEXT.runner.clock
            clock.orders.shuffle(members)
        return iter(members)


@final
class _Tasks(_Unordered):
    __slots__ = ()
    age = attrgetter("_counter")


@final
class _Statuses(_Unordered):
    __slots__ = ()
    age = attrgetter("age")


@functools.cache
def _insides() -> Any:
    """What is used of trio, and what was made of it.

    Raises:
        TrioChanged: It has not got all of it.
    """
    found: Any = SimpleNamespace()
    import_module("trio")
    for module, names in _NAMES.items():
        try:
            home = import_module(f"trio.{module}")
        except ModuleNotFoundError:
            raise changed(f"trio.{module} is gone") from None
        for name in names.split():
            _require(home, name)
            setattr(found, name, getattr(home, name))
    for owner, names in _ATTRIBUTES.items():
        for name in names.split():
            _require(getattr(found, owner), name)
    found.module = import_module("trio._core._run")
    ages = itertools.count()

    class Status(found.CancelStatus):  # type: ignore[misc]  # Any: trio's own is private
        __slots__ = ("age",)

        def __attrs_post_init__(self: Any) -> None:
            self.age = next(ages)
            self._children, self._tasks = _Statuses(), _Tasks()
            found.CancelStatus.__attrs_post_init__(self)

    class Heap(found.Deadlines):  # type: ignore[misc]  # Any: trio's own is private
        def add(self: Any, deadline: float, cancel_scope: Any) -> None:
            # Where trio itself puts the address of the scope.
            orders = found.GLOBAL_RUN_CONTEXT.runner.clock.orders
            heapq.heappush(
                self._heap, (deadline, (orders.tie(), next(ages)), cancel_scope)
            )
            self._active += 1

    found.Status, found.Heap = Status, Heap
    return found


def _require(owner: object, name: str) -> None:
    # A field without slots may be an annotation only.
    noted = isinstance(owner, type) and name in owner.__annotations__
    if not hasattr(owner, name) and not noted:
        raise changed(f"{getattr(owner, '__name__', owner)} has no {name}")


def changed(missing: str) -> TrioChanged:
    """The error that says so."""
    return TrioChanged(version("trio"), TESTED, missing)


@final
class Loop:
    """One run of trio, and its clock.

    For any number of worlds, one after the other: starting trio takes as long as
    a small world does.
    """

    def __init__(self) -> None:
        self.orders: Orders = Scheduled(Schedule())
        # Seconds that have gone by.
        self.now: float = 0.0
        self._watcher: Watcher = _Nobody(self)
        self._steps = _Steps(self._watcher)
        # For how many ticks more a task that can run shall not.
        self._lags: dict[Any, int] = {}
        self._context = copy_context()
        self._runner: Any = None
        self._bell = Bell()
        self._rounds = 0

    # -- worlds ------------------------------------------------------------

    async def begin(
        self, orders: Orders, watcher: Watcher, prepare: Callable[[], object]
    ) -> Any:
        """Begin a world in the calling task: at time 0, with a new context.

        Args:
            orders: Who decides in it.
            watcher: Who looks on.
            prepare: Called in the new context.

        Returns:
            The task.
        """
        from trio.lowlevel import cancel_shielded_checkpoint, current_task

        context = self._context.copy()
        context.run(prepare)
        task = current_task()
        task.context = context
        await cancel_shielded_checkpoint()
        self.now = 0.0
        self.orders, self._watcher = orders, watcher
        self._steps.after_task_step = watcher.stepped
        return task

    def end(self) -> None:
        """The world is over."""
        self.orders, self._watcher = Scheduled(Schedule()), _Nobody(self)
        self._steps.after_task_step = self._watcher.stepped

    # -- for those inside --------------------------------------------------

    async def fall_behind(self, ticks: int, *, shielded: bool) -> None:
        """Let the others run for *ticks* before the caller goes on."""
        from trio.lowlevel import cancel_shielded_checkpoint, checkpoint, current_task

        self._lags[current_task()] = ticks
        if shielded:
            await cancel_shielded_checkpoint()
        else:
            await checkpoint()

    def tasks(self) -> list[Any]:
        """All tasks but those of trio's own, oldest first."""
        runner = self._runner
        own = (runner.init_task, self._bell.task)
        tasks = [task for task in runner.tasks if task not in own]
        return sorted(tasks, key=attrgetter("_counter"))

    def cancel(self, task: Any) -> bool:
        """Cancel *task* as if natively: a cancellation that no scope asked for.

        Returns:
            False if it can run already, or what it waits for cannot be given up.
        """
        if task._abort_func is None:
            return False
        task._attempt_abort(raise_cancelled)
        return task._next_send_fn is not None

    def cancel_all(self) -> None:
        """Cancel every task natively; after some times, give them up."""
        self._rounds += 1
        for task in self.tasks():
            self.cancel(task)

    # -- trio's clock ------------------------------------------------------

    def start_clock(self) -> None:
        """Nothing to do."""

    def current_time(self) -> float:
        """Seconds that have gone by."""
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Any time at all: it is over when nothing can run."""
        return 0.0 if deadline <= self.now else 1.0

    # -- trio's source of randomness ---------------------------------------

    def shuffle(self, batch: list[Any]) -> None:
        """Decide who runs in this tick; trio takes the last one first."""
        orders, lags = self.orders, self._lags
        if len(batch) > 1:
            orders.shuffle(batch)
            batch.reverse()
        if (anywhere := orders.anywhere) is not None:
            for task in batch:
                if task not in lags and (lag := anywhere()):
                    lags[task] = lag
        if lags:
            self._keep_back(batch)

    def _keep_back(self, batch: list[Any]) -> None:
        lags = self._lags
        ahead = [task for task in batch if not lags.get(task)]
        if not ahead:
            # Nobody else can run: so many ticks would be empty.
            least = min(lags[task] for task in batch)
            for task in batch:
                lags[task] -= least
            ahead = [task for task in batch if not lags[task]]
        behind = [task for task in batch if lags.get(task)]
        for task in ahead:
            lags.pop(task, None)
        for task in behind:
            lags[task] -= 1
        batch[:] = ahead
        self._runner.runq.extend(behind)

    def uniform(self, low: float, high: float) -> float:
        """For what trio draws besides."""
        return low

    # -- the run -----------------------------------------------------------

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run *main* to its end."""
        inside = _insides()
        _require_no_loop(inside)
        module, context = inside.module, inside.GLOBAL_RUN_CONTEXT
        library = inside.sniffio_library
        before = (
            module._ALLOW_DETERMINISTIC_SCHEDULING,
            module._r,
            module.CancelStatus,
            library.name,
        )
        self._runner = runner = inside.Runner(
            clock=self,
            instruments=inside.Instruments((self._steps,)),
            io_manager=NoDevices(),
            system_context=copy_context(),
            # Without a handler of trio's own: Control-C ends the run anywhere.
            ki_manager=inside.KIManager(),
            strict_exception_groups=True,
            entry_queue=inside.EntryQueue(wakeup=self._bell),
            deadlines=inside.Heap(),
        )
        try:
            module._ALLOW_DETERMINISTIC_SCHEDULING = True
            module._r = self
            module.CancelStatus = inside.Status
            library.name = "trio"
            runner.asyncgens.install_hooks(runner)
            context.runner = runner
            self._turn(inside.unrolled_run(runner, main, ()))
        finally:
            (
                module._ALLOW_DETERMINISTIC_SCHEDULING,
                module._r,
                module.CancelStatus,
                library.name,
            ) = before
            # They hold on to each other.
            self._lags.clear()
            self._runner = None
        return cast("T", runner.main_task_outcome.unwrap())

    def _turn(self, loop: Any) -> None:
        runner = self._runner
        deadlines, idlers = runner.deadlines, runner.waiting_for_idle
        events: list[Any] | None = None
        while self._rounds < _ROUNDS:
            try:
                timeout = loop.send(events)
            except StopIteration:
                return
            events = []
            if timeout and not idlers:
                deadline = deadlines.next_deadline()
                if deadline < math.inf:
                    self.now = max(self.now, deadline)
                else:
                    self._watcher.stuck()
        # By this one of all errors it closes without complaining.
        loop.throw(_insides().TrioInternalError("some tasks cannot be cancelled"))


def _require_no_loop(inside: Any) -> None:
    running = inside.in_trio_run()
    if not running:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
    raise RuntimeError("a world has an event loop of its own: call this without one")


def raise_cancelled() -> NoReturn:
    """Raise a cancellation that no scope asked for."""
    from trio import Cancelled

    cancelled: Any = Cancelled
    raise cancelled._create(source="explicit")


@final
class _Nobody:
    """The watcher between two worlds."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def stepped(self, task: Any) -> None:
        """Nothing to see."""

    def stuck(self) -> None:
        """A world has left something behind."""
        self._loop.cancel_all()


@final
class _Steps:
    """Trio's instrument."""

    __slots__ = ("after_task_step",)

    def __init__(self, watcher: Watcher) -> None:
        self.after_task_step: Callable[[Any], None] = watcher.stepped
