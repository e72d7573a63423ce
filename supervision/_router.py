"""Router: one address for several actors of a kind."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from typing import Any, TypeVar, cast, final, overload

from ..actors import (
    ActorNotAlive,
    ActorRef,
    Ask,
    AskCycle,
    Cell,
    DeadLetter,
    MailboxFull,
    PendingReply,
    Request,
    SendTimeout,
    Shutdown,
    Undelivered,
)
from ._check import check, check_is
from ._child import Child
from ._fixed import Fixed
from ._intensity import Backoff, Intensity
from ._news import FAMILY_NEWS, FamilyNews, Finished
from ._routing import Routes, Routing
from ._spec import ChildSpec
from ._strategy import AutoShutdown

M = TypeVar("M")
R = TypeVar("R")


@final
class Router(Fixed[M]):
    """Starts its routees, restarts each for itself, divides messages among them.

        pool = Router([ChildSpec(f"worker-{n}", Worker) for n in range(4)])
        await system.spawn(pool, name="pool")
        answer = await pool.ask(message)

    The object is the actor, and the address.  The routee is chosen in the task of
    the one who sends, so nothing goes through the router: waiting for room is
    waiting for the routee, which answers an ask itself.

    A routee that has ended for good gets nothing any more, and the others share
    what would have been its; with `Routing.HASH` no other key moves.  When all
    have, the router ends as well, with `Shutdown`.  They are stopped all at once.

    What is sent to the router's own ref goes the same way by way of its mailbox.
    There nobody waits for room: what no routee accepts is a dead letter, and fails
    if it was asked.

    Args:
        routees: What to start, in this order; at least one.
        routing: Which of them a message is for.
        key: Of a message, for `Routing.HASH`.  `PartitionSupervisor.number` says
            what can be one.
        intensity: How many restarts are allowed in how many seconds, over all.
        backoff: How long a routee that fails in a row waits; None for not at all.
        rng: Where the jitter of the backoff comes from.
    """

    def __init__(
        self,
        routees: Iterable[ChildSpec[M]],
        *,
        routing: Routing = Routing.ROUND_ROBIN,
        key: Callable[[M], Hashable] | None = None,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            routees,
            parallel=True,
            intensity=intensity,
            backoff=backoff,
            auto_shutdown=AutoShutdown.NEVER,
            rng=rng,
        )
        check(self._specs != (), "routees", "at least one ChildSpec", self._specs)
        check_is("routing", routing, Routing)
        good = callable(key) if routing is Routing.HASH else key is None
        check(good, "key", "a callable with Routing.HASH, and only then", key)
        self._routing = routing
        self._key = key
        self._routes: Routes[M] = Routes((), key)

    # -- sending -----------------------------------------------------------

    @property
    def routees(self) -> tuple[ActorRef[M], ...]:
        """Those that get messages, in the order of their start."""
        return tuple(cell.ref for cell in self._routes.living())

    def tell(self, message: M) -> None:
        """Put *message* in the routee's mailbox, without waiting.

        A broadcast that only some refuse is a dead letter for each of those.

        Raises:
            MailboxFull: The mailbox is full and its policy is to refuse; of a
                broadcast, all of them.
            ActorNotAlive: No routee is left.
        """
        if self._routing is not Routing.BROADCAST:
            self._choose(message).ref.tell(message)
            return
        missed: dict[str, Exception] = {}
        cells = self._all(message)
        for cell in cells:
            try:
                cell.ref.tell(message)
            except (MailboxFull, ActorNotAlive) as refusal:
                missed[cell.path] = refusal
        self._account(message, len(cells), missed)

    def try_tell(self, message: M) -> bool:
        """Like `tell`, but return whether it was accepted."""
        try:
            self.tell(message)
        except (MailboxFull, ActorNotAlive):
            return False
        return True

    async def send(self, message: M, *, timeout: float | None = None) -> None:
        """Put *message* in the routee's mailbox; wait while it is full.

        If the routee ends meanwhile, another is chosen.  A broadcast goes first
        to those that have room, then waits for one after the other.  It is a dead
        letter for those that had none in time, unless that is all of them;
        cancelled, it does not come to those that it waited for.

        Args:
            message: The message.
            timeout: Seconds to wait at most.

        Raises:
            SendTimeout: No room came free in time.
            ActorNotAlive: No routee is left.
            AskCycle: The routee itself waits for the one who sends.
        """
        if self._routing is not Routing.BROADCAST:
            until = self._until(timeout)
            while True:
                ref = self._choose(message).ref
                with suppress(ActorNotAlive):  # The message is still in our hands.
                    return await ref.send(message, timeout=self._left(until))
        cells = self._all(message)
        cells.sort(key=lambda cell: not cell.mailbox.has_room(message))
        until = self._until(timeout)
        missed: dict[str, Exception] = {}
        for cell in cells:
            try:
                await cell.ref.send(message, timeout=self._left(until))
            except (SendTimeout, ActorNotAlive, AskCycle) as refusal:
                missed[cell.path] = refusal
        return self._account(message, len(cells), missed)

    @overload
    async def ask(self, message: Request[R], *, timeout: float | None = ...) -> R: ...

    @overload
    async def ask(self, message: M, *, timeout: float | None = ...) -> object: ...

    async def ask(self, message: object, *, timeout: float | None = 5.0) -> object:
        """Put *message* in the routee's mailbox and wait for the answer.

        See `ActorRef.ask`, which this is once the routee is chosen: if that ends,
        the ask fails, for the message may have been what ended it.

        Raises:
            ValueError: A broadcast has no one answer; see `ask_all`.
            ActorNotAlive: No routee is left; for others see `ActorRef.ask`.
        """
        ref = self._choose(cast("M", message)).ref
        return await ref.ask(cast("M", message), timeout=timeout)

    @overload
    async def ask_all(
        self, message: Request[R], *, timeout: float | None = ...
    ) -> tuple[R, ...]: ...

    @overload
    async def ask_all(
        self, message: M, *, timeout: float | None = ...
    ) -> tuple[object, ...]: ...

    async def ask_all(
        self, message: object, *, timeout: float | None = 5.0
    ) -> tuple[object, ...]:
        """Ask every routee, whatever the routing; their answers, in their order.

        It does not wait for room.  If one fails, the others are not waited for.

        Raises:
            MailboxFull: A mailbox is full.
            ActorNotAlive: No routee is left; for others see `ActorRef.ask`.
        """
        replies: list[PendingReply[object]] = []
        try:
            for cell in self._all(message):
                replies.append(cell.ref.request(message, timeout=timeout))
            return tuple([await reply.wait() for reply in replies])
        finally:
            for reply in replies:
                reply.abandon()

    def _until(self, timeout: float | None) -> float:
        return math.inf if timeout is None else self._now() + timeout

    def _left(self, until: float) -> float | None:
        return None if until == math.inf else until - self._now()

    def _now(self) -> float:
        return self.context.runtime.now()

    def _account(self, message: M, number: int, missed: dict[str, Exception]) -> None:
        """Raise if all that *number* was missed, else let it be known who was."""
        for path, refusal in missed.items():
            if len(missed) == number:
                raise refusal
            self._lose(message, path, refusal)

    def _lose(self, message: object, path: str, error: Exception) -> None:
        full = isinstance(error, MailboxFull | SendTimeout | AskCycle)
        why = Undelivered.OVERFLOW if full else Undelivered.NO_RECIPIENT
        letters = self.context.runtime.dead_letters
        letters.publish(DeadLetter(message, path, why, error=error))

    # -- choosing ----------------------------------------------------------

    def _choose(self, message: M) -> Cell[Any]:
        if self._routing is Routing.BROADCAST:
            raise ValueError("a broadcast has no one answer, use ask_all()")
        cell = self._routes.choose(message)
        if cell is None:
            raise self._nobody(message)
        return cell

    def _all(self, message: object) -> list[Cell[Any]]:
        cells = self._routes.living()
        if not cells:
            raise self._nobody(message)
        return cells

    def _nobody(self, message: object) -> ActorNotAlive:
        return ActorNotAlive(self._path, "no routee is left", message)

    # -- the actor ---------------------------------------------------------

    def _begin(self) -> None:
        super()._begin()
        self._routes = Routes(tuple(self._by_id.values()), self._key)

    def receive(self, message: M | FamilyNews) -> object:
        """Pass on what came by way of the router's own ref."""
        if isinstance(message, FAMILY_NEWS):
            return self._tend(message)
        envelope = self.context.mailbox.current
        reply = self.context.defer_reply()
        try:
            if isinstance(envelope, Ask):
                # As it is: who opens it answers it.
                self._hand_over(envelope, self._choose(message))
            else:
                self.tell(message)
        except Exception as error:
            # The sender's error, or that of the function for keys, and none of
            # the router's own.
            self._lose(message, self._path, error)
            reply.fail(error)
        return None

    def _hand_over(self, ask: Ask, cell: Cell[Any]) -> None:
        if not cell.mailbox.put(ask):
            capacity = cell.mailbox.options.capacity
            raise MailboxFull(cell.path, capacity, ask.message)

    def ended(self, child: Child) -> None:
        """Forget *child*; if it was the last, there is nobody to route to."""
        super().ended(child)
        if self._routes.are_gone:
            # Not at once: it may be about to start the next.
            self.context.mailbox.put_system(Finished())

    def _finish(self) -> None:
        if self._routes.are_gone:
            self.context.stop(Shutdown("no routee is left"))
