"""A stage for actors below supervision, and puppets to play on it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, overload

import anyio
import pytest

from greenroom.actors import (
    UNSUPERVISED,
    Actor,
    Cell,
    DeadLetter,
    Down,
    ExitReason,
    Mailbox,
    MailboxOptions,
    Parent,
    Runtime,
    Undelivered,
    is_abnormal,
    run_actors,
)
from greenroom.testing._clock import virtual_backend

Line: TypeAlias = (
    "Callable[[Puppet], object] | str | int | tuple[object, ...] | Down | None"
)
"""What a puppet is told."""


class Puppet(Actor[Line]):
    """Does what a message that is a function says; remembers the others.

    Args:
        started: What it does when it starts.
        stopped: What it does when it stops.
        killed: What it does when it is killed.
        stop_grace: See `Actor`.
    """

    def __init__(
        self,
        *,
        started: Callable[[Puppet], object] | None = None,
        stopped: Callable[[Puppet, ExitReason], object] | None = None,
        killed: Callable[[Puppet], object] | None = None,
        stop_grace: float = math.inf,
    ) -> None:
        self._started = started
        self._stopped = stopped
        self._killed = killed
        self.stop_grace = stop_grace
        self.seen: list[object] = []
        self.reasons: list[ExitReason] = []
        self.was_killed = False

    async def started(self) -> None:
        if self._started is not None:
            await _finish(self._started(self))

    def receive(self, message: Line) -> object:
        if callable(message):
            return message(self)
        self.seen.append(message)
        return message

    async def stopped(self, reason: ExitReason) -> None:
        self.reasons.append(reason)
        if self._stopped is not None:
            await _finish(self._stopped(self, reason))

    def killed(self) -> None:
        self.was_killed = True
        if self._killed is not None:
            self._killed(self)


ERROR = ValueError("no")
"""What puppets fail with."""


def fail(*_: object) -> None:
    raise ERROR


def after(seconds: float, value: object) -> Any:
    """Something that a puppet returns after so many seconds."""

    async def answer(_: Puppet) -> object:
        await anyio.sleep(seconds)
        return value

    return answer


async def hang(*_: object) -> None:
    await anyio.sleep_forever()


async def hang_deaf(*_: object) -> None:
    """Swallow one cancellation, and go on for a while where none comes through."""
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3)


def takes(seconds: float) -> Callable[..., Awaitable[None]]:
    """Something that takes so long, whatever it is given."""

    async def wait(*_: object) -> None:
        await anyio.sleep(seconds)

    return wait


async def _finish(result: object) -> None:
    if inspect.isawaitable(result):
        await result


def seen_by(cell: Cell[Any]) -> list[object]:
    """What the puppet in *cell* remembers."""
    assert isinstance(cell.actor, Puppet)
    return cell.actor.seen


class Nanny:
    """A parent that starts again what fails, at once or when told to.

    Args:
        wants: After which reasons; by default after the abnormal ones.
        later: Whether the start is left to the test.
    """

    def __init__(
        self,
        wants: Callable[[ExitReason], bool] = is_abnormal,
        *,
        later: bool = False,
    ) -> None:
        self.wants = wants
        self.later = later
        self.exits: list[ExitReason] = []

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        return self.wants(reason)

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        self.exits.append(reason)
        if not self.wants(reason):
            cell.end(reason)
        elif not self.later:
            cell.start()


def conserves(mailbox: Mailbox[Any]) -> bool:
    """Whether every message that was accepted is accounted for."""
    seen = mailbox.statistics()
    return seen.accepted == seen.handled + seen.dead_lettered + seen.pending


def _factory(make: Actor[Any] | Callable[[], Actor[Any]]) -> Callable[[], Actor[Any]]:
    if not isinstance(make, Actor):
        return make
    return functools.partial(_given, make)


def _given(actor: Actor[Any]) -> Actor[Any]:
    return actor


class Stage:
    """What a test plays on."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.letters: list[DeadLetter] = []
        self.cells: list[Cell[Any]] = []
        self._numbers = itertools.count(1)
        # Whether the books were right whenever something was lost: in the middle
        # of things, where a check at the end does not look.
        self._sound = True
        runtime.dead_letters.listen(self._lost)

    def _lost(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
        self._sound &= all(conserves(cell.mailbox) for cell in self.cells)

    @overload
    def cell(
        self,
        make: Puppet | Callable[[], Puppet] = ...,
        parent: Parent = ...,
        *,
        path: str | None = ...,
        start_timeout: float = ...,
        **options: Any,
    ) -> Cell[Line]: ...

    @overload
    def cell(
        self,
        make: Actor[Any] | Callable[[], Actor[Any]],
        parent: Parent = ...,
        *,
        path: str | None = ...,
        start_timeout: float = ...,
        **options: Any,
    ) -> Cell[Any]: ...

    def cell(
        self,
        make: Actor[Any] | Callable[[], Actor[Any]] = Puppet,
        parent: Parent = UNSUPERVISED,
        *,
        path: str | None = None,
        start_timeout: float = math.inf,
        **options: Any,
    ) -> Cell[Any]:
        """A cell that has not been started; *options* are those of its mailbox."""
        cell: Cell[Any] = Cell(
            self.runtime,
            path or f"/{next(self._numbers)}",
            _factory(make),
            parent,
            mailbox=MailboxOptions(**options),
            start_timeout=start_timeout,
        )
        self.cells.append(cell)
        return cell

    @overload
    async def spawn(
        self,
        make: Puppet | Callable[[], Puppet] = ...,
        parent: Parent = ...,
        **options: Any,
    ) -> Cell[Line]: ...

    @overload
    async def spawn(
        self,
        make: Actor[Any] | Callable[[], Actor[Any]],
        parent: Parent = ...,
        **options: Any,
    ) -> Cell[Any]: ...

    async def spawn(
        self,
        make: Actor[Any] | Callable[[], Actor[Any]] = Puppet,
        parent: Parent = UNSUPERVISED,
        **options: Any,
    ) -> Cell[Any]:
        """A cell that runs."""
        cell = self.cell(make, parent, **options)
        cell.start()
        assert await cell.wait_started() is None
        return cell

    def check(self) -> None:
        """Every message is accounted for, and always was."""
        assert self._sound
        for cell in self.cells:
            assert conserves(cell.mailbox), (cell.path, cell.mailbox.statistics())

    @property
    def lost(self) -> list[tuple[object, Undelivered]]:
        """The dead letters, in short."""
        return [(letter.message, letter.why) for letter in self.letters]


@asynccontextmanager
async def set_stage() -> AsyncGenerator[Stage, None]:
    """A stage; what is left on it in the end is nobody's."""
    async with run_actors() as runtime:
        stage = Stage(runtime)
        yield stage
        stage.check()
    stage.check()
    for cell in stage.cells:
        assert not cell.mailbox.queue
        assert not cell.ref.alive or cell.life is None


asyncio_only = pytest.mark.parametrize(
    "anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"]
)
"""For what only asyncio can do: cancel a task natively."""


def native_task() -> asyncio.Task[Any]:
    """The asyncio task that runs now."""
    task = asyncio.current_task()
    assert task is not None
    return task
