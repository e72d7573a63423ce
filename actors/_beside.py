"""Beside: messages that are handled while the actor takes others.

The law: each is put aside when it begins, and done or lost when it ends or when
the incarnation does, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, final

from ._ask import Ask
from ._burial import Addressee, bury
from ._dead_letters import Undelivered
from ._exit import Crashed, ExitReason, judge
from ._parking import Gate

Function = Callable[..., Awaitable[object]]


@final
class Handling:
    """One message that is being handled beside the others."""

    __slots__ = ("_beside", "_message", "function")

    def __init__(self, beside: Beside, function: Function, message: object) -> None:
        self._beside = beside
        self._message = message
        self.function: Function = function

    async def run(self, *args: Any) -> None:
        """Handle it, in a task of its own."""
        beside = self._beside
        try:
            answer = await self.function(*args)
        except GeneratorExit:
            raise  # the event loop is being torn down under us
        except BaseException as error:
            reason = judge(error, beside.addressee.runtime.parker.cancelled)[0]
            self.lose(reason)
            raise
        if beside.leave(self):
            beside.addressee.mailbox.aside_done()
            if isinstance(self._message, Ask):
                self._message.reply(answer)

    def lose(self, reason: ExitReason) -> None:
        """It will not come to its end, because of *reason*."""
        addressee = self._beside.addressee
        if self._beside.leave(self):
            addressee.mailbox.aside_lost()
            crashed = isinstance(reason, Crashed)
            why = Undelivered.CRASHED if crashed else Undelivered.CANCELLED
            bury(addressee, self._message, why, reason)


@final
class Beside:
    """All that one incarnation handles beside the message in flight."""

    __slots__ = ("_all_gone", "_handlings", "_waiting_for", "addressee", "parked")

    def __init__(self, addressee: Addressee) -> None:
        self.addressee: Addressee = addressee
        # A dict for its order: what happens at the end is the same each time.
        self._handlings: dict[Handling, None] = {}
        # The loop, when it waits for one of these to end.
        self._waiting_for: Function | None = None
        self.parked: Any = None
        # Opened when the last has ended; there while that is waited for.
        self._all_gone: Gate | None = None

    async def wait_for_turn(self, function: Function, limit: int) -> None:
        """Wait until fewer than *limit* messages are handled by *function*."""
        while self._count(function) >= limit:
            self._waiting_for = function
            await self.addressee.runtime.parker.park(self)

    def _count(self, function: Function) -> int:
        return sum(handling.function == function for handling in self._handlings)

    def begin(self, function: Function) -> Handling:
        """Take the message in flight along."""
        handling = Handling(self, function, self.addressee.mailbox.put_aside())
        self._handlings[handling] = None
        return handling

    def leave(self, handling: Handling) -> bool:
        """*handling* is over; whether it was not already."""
        if handling not in self._handlings:
            return False
        del self._handlings[handling]
        if self.parked is not None and handling.function == self._waiting_for:
            self.addressee.runtime.parker.unpark(self)
        if not self._handlings and self._all_gone is not None:
            self._all_gone.open()
        return True

    async def finish(self) -> None:
        """Wait until all have ended by themselves."""
        if self._handlings:
            self._all_gone = Gate(self.addressee.runtime.parker)
            await self._all_gone.wait()

    def release(self, reason: ExitReason) -> None:
        """The incarnation is over: what has not ended, never counts as handled."""
        for handling in tuple(self._handlings):
            handling.lose(reason)
