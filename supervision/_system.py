"""ActorSystem: the root of a tree, as an ``async with`` block."""

from __future__ import annotations

import itertools
import logging
import math
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Literal, TypeVar, cast, final

import anyio

from ..actors import (
    Actor,
    ActorNotAlive,
    ActorRef,
    Cell,
    DeadLetters,
    ExitReason,
    GaveUp,
    MailboxOptions,
    Registry,
    Runtime,
    Shutdown,
    State,
    error_of,
    is_abnormal,
    run_actors,
)
from ._check import check, check_is, is_seconds
from ._child import Alarm, ChildInfo
from ._errors import SupervisionFailed
from ._intensity import Backoff, Intensity
from ._look import Look
from ._spec import ChildSpec, Restart
from ._strategy import Strategy
from ._supervisor import Supervisor
from ._tree import Tree, TreeOptions
from ._watch import (
    SystemEvent,
    listen_to_flags,
    listen_to_levels,
    print_to_stderr,
    show_on_signal,
)
from ._watchdog import Watchdog

M = TypeVar("M")

_log = logging.getLogger("greenroom.supervision")


@final
class ActorSystem:
    """Actors, their root supervisor, and an end in order.

        async with ActorSystem() as system:
            ref = await system.spawn(Counter())

    Leaving the block, by whatever way, stops all actors in the reverse of their
    start, each within its deadline and all within *shutdown_timeout*; also when
    the block is cancelled, on asyncio natively too.  If the root gives up, the
    block is cancelled and leaving it raises `SupervisionFailed`; after a
    KeyboardInterrupt or SystemExit in an actor, that.

    Args:
        strategy: Who shares the fate of an actor of the root that fails.
        intensity: How many restarts the root allows in how many seconds.
        backoff: How long an actor that fails in a row waits; None: not at all.
        shutdown_timeout: Seconds for everything to stop.
        rng: Where the jitter of the backoff comes from.
    """

    def __init__(
        self,
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        shutdown_timeout: float = 30.0,
        rng: random.Random | None = None,
    ) -> None:
        good = is_seconds(shutdown_timeout)
        check(good, "shutdown_timeout", "seconds of at least 0", shutdown_timeout)
        self._shutdown_timeout = shutdown_timeout
        self._registry = Registry()
        self._root = Supervisor(
            [ChildSpec("_registry", lambda: self._registry)],
            strategy=strategy,
            intensity=intensity,
            backoff=backoff,
            rng=rng,
        )
        self._numbers = itertools.count(1)
        self._runtime: Runtime | None = None
        # Of the root, and when it was started.
        self._cell: Cell[Any] | None = None
        self._began = 0.0
        # Around the body of the block.
        self._body: anyio.CancelScope | None = None
        self._failure: BaseException | None = None
        self._manager: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> ActorSystem:
        if self._manager is not None:
            raise RuntimeError("an ActorSystem can be entered only once")
        self._manager = self._run()
        await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._manager is not None
        return await self._manager.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None]:
        self._body = anyio.CancelScope()
        async with run_actors() as runtime:
            self._runtime = runtime
            runtime.on_fatal = self.stop
            cell = Cell(runtime, "/", self._make_root, self, mailbox=MailboxOptions())
            self._cell, self._began = cell, runtime.now()
            cell.start()
            try:
                await cell.wait_started()
                with self._body:
                    yield
            except (KeyboardInterrupt, SystemExit) as fatal:
                # Who catches a failure of the root must not miss it.
                runtime.fatal(fatal)
                raise
            finally:
                await self._stop(cell)

    async def _stop(self, cell: Cell[Any]) -> None:
        """Stop the tree, whoever cancels whom meanwhile."""
        # The root may have failed and not have come to see it.
        self._root.settle()
        cell.request_stop(Shutdown(), final=True)
        curfew = Alarm(cell.runtime.now() + self._shutdown_timeout, self._root.killed)
        cell.runtime.deadlines.add(curfew)
        native: BaseException | None = None
        with anyio.CancelScope(shield=True):
            while cell.state is not State.ENDED:
                try:
                    await cell.wait_stopped()
                except anyio.get_cancelled_exc_class() as cancelled:
                    # Only a native Task.cancel() gets past the shield.
                    native = cancelled
                except KeyboardInterrupt as interrupt:
                    # Trio gives it to whoever waits in the main task.  Only who
                    # interrupts the end as well cannot wait for it.
                    if cell.runtime.fatal_error is not None:
                        raise
                    cell.runtime.fatal(interrupt)
        curfew.done = True
        # It comes first: what else was raised, was raised over it.
        if self._failure is not None:
            raise self._failure
        if native is not None:
            raise native

    def _make_root(self) -> Supervisor:
        return self._root

    # -- the root's parent, see actors.Parent ------------------------------

    def restarts(self, cell: Cell[Any], reason: ExitReason) -> bool:
        """The root is not restarted: there is nobody above it."""
        return False

    def child_exited(self, cell: Cell[Any], reason: ExitReason) -> None:
        """The root has ended, and so does the block."""
        cell.end(reason)
        if is_abnormal(reason):
            path = reason.child if isinstance(reason, GaveUp) else "/"
            self._failure = SupervisionFailed(path, error_of(reason))
        self.stop()

    # -- what the block does with it ---------------------------------------

    async def spawn(
        self,
        actor: Actor[M] | Callable[[], Actor[M]],
        *,
        name: str | None = None,
        restart: Restart = Restart.TEMPORARY,
        shutdown: float | Literal["brutal_kill"] | None = None,
        mailbox: MailboxOptions = MailboxOptions(),  # noqa: B008 - frozen
    ) -> ActorRef[M]:
        """Start an actor below the root; return once it runs.

        Args:
            actor: An actor, or what makes one.  To be restarted it must be the
                latter: a used actor has a used state.
            name: Last part of its path, unique below the root; by default its
                class and a number.
            restart: Whether it is started again after it has exited.
            shutdown: See `ChildSpec`.
            mailbox: How much may wait for it.

        Raises:
            ValueError: *restart* needs an actor's factory.
            ChildExists: The name is taken.
            StartError: It failed to start.
            ChildDeclined: It declined to start.
            ActorNotAlive: The system is not running.
        """
        if isinstance(actor, Actor):
            if restart is not Restart.TEMPORARY:
                raise ValueError(
                    f"actor must be a factory to be {restart.value}, got {actor!r}"
                )
            # Type checkers see that it might be a callable actor of another M.
            made: Actor[M] = cast("Any", actor)
            factory: Callable[[], Actor[M]] = lambda: made  # noqa: E731 - typed
            default = type(made).__name__
        else:
            factory = actor
            default = getattr(actor, "__name__", "actor").strip("<>")
        spec = ChildSpec(
            name if name is not None else f"{default}-{next(self._numbers)}",
            factory,
            restart,
            shutdown=shutdown,
            mailbox=mailbox,
        )
        return await self._root.start_child(spec)

    async def start_child(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Start a child of the root; see `Supervisor.start_child`."""
        return await self._root.start_child(spec)

    async def stop_child(self, id: str) -> None:
        """Stop a child of the root; see `Supervisor.stop_child`."""
        await self._root.stop_child(id)

    def children(self) -> tuple[ChildInfo, ...]:
        """The children of the root, in the order of their start."""
        return self._root.children()

    # -- looking -----------------------------------------------------------

    def tree(self, options: TreeOptions = TreeOptions()) -> Tree:  # noqa: B008 - frozen
        """All actors, what each is doing, and what is the matter with it.

        Answers at once, also while actors are busy, start or stop: nobody is
        asked.  Called in the event loop, also after the block has ended.
        """
        return self._look(options, in_loop=True)

    def _look(self, options: TreeOptions, *, in_loop: bool) -> Tree:
        look = Look(self.runtime, options, in_loop=in_loop)
        assert self._cell is not None
        return look.tree(self._cell, self._root, self._began)

    def listen(
        self,
        listener: Callable[[SystemEvent], object],
        *,
        every: float | None = None,
        options: TreeOptions = TreeOptions(),  # noqa: B008 - frozen
    ) -> Callable[[], None]:
        """Call *listener*, in place, with what happens from now on.

        It must not wait.  An exception it raises is logged.

        Args:
            listener: Told of `LevelChanged` by whoever passes the watermark; with
                *every* also of `FlagRaised` and `FlagCleared`.
            every: Seconds between two looks at the tree; None for none.
            options: From when on an actor is flagged.

        Returns:
            A function that ends this; calling it again does nothing.
        """
        good = every is None or (is_seconds(every) and every > 0)
        check(good, "every", "seconds above 0 or None", every)
        check_is("options", options, TreeOptions)
        forget_levels = listen_to_levels(self._open_runtime(), listener)
        if every is None:
            return forget_levels
        look = partial(self.tree, options)
        forget_flags = listen_to_flags(self.runtime, look, every, listener)

        def forget() -> None:
            forget_levels()
            forget_flags()

        return forget

    def show_on_signal(
        self,
        signum: int,
        *,
        to: Callable[[str], object] | None = None,
        options: TreeOptions = TreeOptions(),  # noqa: B008 - frozen
    ) -> Callable[[], None]:
        """Write the tree down whenever the signal comes, as long as actors run.

        Also while they stop.  It takes the event loop: one that does not turn
        answers no signal, see `watch_loop`.

        Args:
            signum: For example ``signal.SIGUSR1``.
            to: Takes the text, for example ``logger.warning``; by default it is
                printed to stderr.
            options: From when on an actor is flagged.

        Returns:
            A function that ends this; calling it again does nothing.

        Raises:
            SignalsUnavailable: That signal cannot be received here.
        """
        check_is("options", options, TreeOptions)
        show = print_to_stderr if to is None else to
        return show_on_signal(
            self._open_runtime(), signum, lambda: show(str(self.tree(options)))
        )

    def watch_loop(
        self,
        seconds: float = 5.0,
        *,
        to: Callable[[str], object] | None = None,
        options: TreeOptions = TreeOptions(),  # noqa: B008 - frozen
    ) -> Callable[[], None]:
        """Say when the event loop stands still, from a thread, until the system ends.

        That is when an actor computes or blocks instead of awaiting, and keeps all
        others from getting a turn.  Said are the actor, its stack and the tree; and
        that it is over, when it is.

        Args:
            seconds: For how long it may stand still; it is woken as often.  Seen
                after once to twice as long.
            to: Takes the text, in that thread; by default it is logged as an error.
            options: From when on an actor is flagged.

        Returns:
            A function that ends this; calling it again does nothing.
        """
        good = is_seconds(seconds) and 0 < seconds < math.inf
        check(good, "seconds", "finite seconds above 0", seconds)
        check_is("options", options, TreeOptions)
        look = partial(self._look, options, in_loop=False)
        say = partial(_log.error, "%s") if to is None else to
        return Watchdog(self._open_runtime(), seconds, look, say).start()

    def _open_runtime(self) -> Runtime:
        if self.runtime.closing:
            raise ActorNotAlive("/", "the system has ended")
        return self.runtime

    def stop(self) -> None:
        """End the block, in order, from anywhere inside it."""
        if self._body is not None:
            self._body.cancel()

    @property
    def registry(self) -> Registry:
        """Names and groups for the actors of this system."""
        return self._registry

    @property
    def runtime(self) -> Runtime:
        """Clock and tasks; for those who build on the actors."""
        if self._runtime is None:
            raise RuntimeError("the ActorSystem has not been entered")
        return self._runtime

    @property
    def dead_letters(self) -> DeadLetters:
        """What was accepted and never handled."""
        return self.runtime.dead_letters
