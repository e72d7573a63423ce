"""Acks: answers of one client that somebody waits for.

The table is the connection's own, so an id that another client guesses means
nothing.  It is bounded, and every entry leaves it: answered, timed out, given
up by who waited, or with the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, final

from ..actors import Ask, Runtime, check_timeout
from ._errors import AckFailed, AckTimeout, AdapterError
from ._events import TOO_MANY_ACKS

Callback: TypeAlias = Callable[[object], Awaitable[object] | object]
"""Called with the data of an ack; async or plain."""


@final
class AckCallback:
    """An answer that a callback waits for."""

    __slots__ = ("_acks", "_id", "callback", "deadline", "done")

    def __init__(
        self, acks: Acks, id: int, callback: Callback, deadline: float
    ) -> None:
        self._acks = acks
        self._id = id
        self.callback = callback
        self.deadline = deadline
        self.done = False

    def expire(self) -> None:
        """No answer came in time: the callback is not called."""
        self.done = True
        self._acks.forget(self._id)


@final
class Acks:
    """The answers that one client owes."""

    __slots__ = ("_limit", "_pending", "_runtime", "_sid")

    def __init__(self, sid: str, runtime: Runtime, limit: int) -> None:
        self._sid = sid
        self._runtime = runtime
        self._limit = limit
        self._pending: dict[int, Ask | AckCallback] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, id: int) -> bool:
        """Whether somebody waits for the ack *id*."""
        return id in self._pending

    def expect(self, id: int, event: str, seconds: float) -> Ask:
        """Write down that somebody waits for the ack *id*; see `wait`.

        Raises:
            ValueError: *seconds* is NaN: such a deadline would never come.
            AdapterError: The client owes too many acks already.
        """
        check_timeout(seconds)
        if len(self._pending) >= self._limit:
            raise AdapterError(
                f"client {self._sid} owes {self._limit} acks already, the most it may"
            )
        deadline = self._runtime.now() + seconds
        ask = Ask(event, self._sid, seconds, deadline, None, self._runtime)
        self._pending[id] = ask
        return ask

    async def wait(self, id: int, ask: Ask) -> object:
        """Wait for what was written down.

        Raises:
            AckTimeout: No answer came in time.
            AckFailed: The client answered with an error.
            ClientGone: It left before it answered.
        """
        try:
            return await ask.wait()
        except TimeoutError:
            event = str(ask.message)
            raise AckTimeout(self._sid, event, ask.seconds) from None
        finally:
            self.forget(id)

    def call_back(self, id: int, callback: Callback, seconds: float) -> None:
        """Have *callback* called with the ack *id*, if that comes in time.

        Not if the client owes too many already; the frame itself must not fail
        for that.
        """
        if len(self._pending) >= self._limit:
            TOO_MANY_ACKS.log(sid=self._sid)
            return
        deadline = self._runtime.now() + seconds
        entry = AckCallback(self, id, callback, deadline)
        self._pending[id] = entry
        self._runtime.deadlines.add(entry)

    def forget(self, id: int) -> None:
        """Nobody waits for the ack *id* any longer."""
        self._pending.pop(id, None)

    def answered(self, id: int, data: object) -> Callback | None:
        """The client has sent the ack *id*.

        Returns:
            The callback to be called with *data*, if there is one.  An id that
            nobody waits for, late or made up, is ignored.
        """
        entry = self._pending.pop(id, None)
        if isinstance(entry, AckCallback):
            entry.done = True
            return entry.callback
        if entry is not None:
            entry.reply(data)
        return None

    def failed(self, id: int, code: str, message: str) -> None:
        """The client has answered the ack *id* with an error."""
        entry = self._pending.pop(id, None)
        if isinstance(entry, AckCallback):
            entry.done = True
        elif entry is not None:
            entry.fail(AckFailed(self._sid, code, message))

    def fail_all(self, error: AdapterError) -> None:
        """The client is gone: whoever waits is told."""
        pending, self._pending = self._pending, {}
        for entry in pending.values():
            if isinstance(entry, AckCallback):
                entry.done = True
            else:
                entry.fail(error)
