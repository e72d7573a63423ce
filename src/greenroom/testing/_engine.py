"""Engine: runs one world, and holds it to what must be true after every step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar, cast, final

import anyio

from ..actors import Runtime, current, simulation
from ._conservation import Watched
from ._errors import InvariantBroken, WorldStuck
from ._schedule import Choices
from ._trio import Loop

T = TypeVar("T")

# How often mailboxes of actors that have ended are set aside, in steps.
_RETIRE_STEPS = 256

# So many steps a world that has failed may take to end as it was told; and then
# between two attempts to end it.
_GRACE_STEPS = 10_000
_ROUND_STEPS = 200

# Of what is left in a world that is stuck, so many are named.
_MAX_TASKS = 20

# Where nobody looks for the line at which his task stands.
_LIBRARIES = ("trio", "anyio", "greenroom")


@final
class _Cells(set[Any]):
    """The cells of a system, oldest first whatever their addresses are."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._watched = watched
        self._order: dict[Any, None] = {}

    def add(self, cell: Any) -> None:
        if cell not in self:
            self._watched.add(cell.path, cell.mailbox)
        super().add(cell)
        self._order[cell] = None

    def discard(self, cell: Any) -> None:
        super().discard(cell)
        self._order.pop(cell, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._order)


@final
class Engine:
    """One run of one world.

    Args:
        choices: Who decides.
        max_steps: After so many it is taken to go round in circles.
    """

    def __init__(self, choices: Choices, max_steps: int) -> None:
        self.choices: Choices = choices
        self.loop: Loop
        self.watched: Watched = Watched()
        self.invariants: list[tuple[str, Callable[[], object]]] = []
        self.steps: int = 0
        # Equal for equal orders of steps, in every process.
        self.fingerprint: int = 0
        # Set by the world: what systems await at their yield points.
        self.pause: Callable[[str], Awaitable[None]] | None = None
        # After how many steps it is taken to come to no end.
        self._limit = max_steps
        # Around the main function, while that runs.
        self._scope: anyio.CancelScope | None = None
        # What did not hold, or that it hangs.
        self.failure: Exception | None = None
        self._main: Any = None
        self._first: int | None = None

    async def run(self, loop: Loop, main: Callable[[], Awaitable[T]]) -> T:
        """Run *main* to its end; see `simulate` for what it raises."""
        self.loop = loop
        self._main = await loop.begin(self.choices, self, lambda: simulation.set(self))
        self._main.name = "main"
        try:
            return await self._contain(main)
        finally:
            loop.end()
            if self.failure is None:
                self._check("the end", self.watched.violation_at_end())
            # It comes first: what was raised besides came of it.
            if self.failure is not None:
                raise self.failure

    async def _contain(self, main: Callable[[], Awaitable[T]]) -> T:
        with anyio.CancelScope() as self._scope:
            try:
                return await main()
            finally:
                self._scope = None
        # Only a failure cancels, and that is raised instead.
        return cast("T", None)

    def opened(self, runtime: Runtime) -> None:
        """See `actors.Simulation`."""
        runtime.pause = self.pause
        runtime.cells = _Cells(self.watched)

    # -- what the loop tells, see _trio.Watcher ----------------------------

    def stepped(self, task: Any) -> None:
        """See `Watcher`."""
        self.steps += 1
        number = -1
        if task is not self._main:
            # Trio numbers its tasks, over all worlds.
            number = task._counter
            if self._first is None:
                self._first = number
            number -= self._first
        self.fingerprint = hash((self.fingerprint, number))
        if self.failure is None:
            violation = self.watched.violation()
            if violation is not None or self.invariants:
                self._check(task, violation)
            if self.steps % _RETIRE_STEPS == 0:
                self.watched.retire()
        if self.steps >= self._limit:
            self._limit += _ROUND_STEPS
            self._end(f"still running after {self.steps} steps")

    def stuck(self) -> None:
        """See `Watcher`."""
        self._end("nothing can run, and no deadline is set")

    def _end(self, how: str) -> None:
        if self.failure is None and self._scope is not None:
            names = tuple(map(_describe, self.loop.tasks()[:_MAX_TASKS]))
            self._fail(WorldStuck(how, names))
        else:
            # It has been told once, in the way that programs expect.
            self.loop.cancel_all()

    def _check(self, task: Any, violation: str | None) -> None:
        cause: Exception | None = None
        if violation is None:
            for what, holds in self.invariants:
                try:
                    good = holds() is not False
                except Exception as error:
                    good, cause = False, error
                if not good:
                    violation = what
                    break
            else:
                return
        who = task if isinstance(task, str) else _name(task)
        failure = InvariantBroken(violation, self.steps, who)
        failure.__cause__ = cause
        self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        self.failure = failure
        # What does not heed its cancellation may run for ever.
        self._limit = self.steps + _GRACE_STEPS
        if self._scope is not None:
            self._scope.cancel()


def _name(task: Any) -> str:
    activation = task.context.get(current)
    name = task.name.rpartition(".")[2]
    return name if activation is None else f"{activation.owner.path} ({name})"


def _describe(task: Any) -> str:
    """Which task, and the line of the user's at which it stands."""
    where = "a line of the library's"
    for frame, line in task.iter_await_frames():
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _LIBRARIES:
            where = f"{frame.f_code.co_filename}:{line}"
    return f"{_name(task)}, at {where}"
