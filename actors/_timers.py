"""Timers: messages that come later, and only to the incarnation that set them."""

from __future__ import annotations

from typing import Any, Protocol, final

from ._ask import Clock, Timed
from ._mailbox import Mailbox


class TimerHost(Protocol):
    """What a timer needs of its actor's incarnation."""

    @property
    def runtime(self) -> Clock:
        """The clock."""
        ...

    @property
    def mailbox(self) -> Mailbox[Any]:
        """Where the messages go."""
        ...

    @property
    def number(self) -> int:
        """Which incarnation it is."""
        ...

    def timer_lost(self, message: object) -> None:
        """The mailbox did not take *message*."""
        ...

    def timer_failed(self, error: Exception) -> None:
        """A function of the mailbox's options raised *error*."""
        ...

    def timer_done(self, timer: Timer) -> None:
        """*timer* will not fire again."""
        ...


@final
class Timer:
    """Handle of one timer."""

    __slots__ = ("_host", "_interval", "_message", "_waiting", "deadline", "done")

    def __init__(
        self, host: TimerHost, delay: float, message: object, interval: float | None
    ) -> None:
        if not delay >= 0:
            raise ValueError(f"seconds must be at least 0, got {delay!r}")
        if interval is not None and not interval > 0:
            raise ValueError(f"seconds between ticks must be above 0, got {interval!r}")
        self._host = host
        self._message = message
        self._interval = interval
        # The last tick, as long as the actor has not come to it.
        self._waiting: Timed | None = None
        self.deadline: float = host.runtime.now() + delay
        self.done: bool = False
        host.runtime.deadlines.add(self)

    def expire(self) -> None:
        """Fire.  Called by the sweeper."""
        if self._waiting is None or self._waiting.settled:
            self._tick()
        if self._interval is None:
            self.done = True
            self._host.timer_done(self)
        else:
            # From the planned time, so that ticks do not drift; and past now,
            # so that a clock that jumped does not make them a burst.
            late = self._host.runtime.now() - self.deadline
            self.deadline += self._interval * (1 + late // self._interval)
            self._host.runtime.deadlines.add(self)

    def _tick(self) -> None:
        tick = Timed(self._message, self._host.number)
        try:
            if self._host.mailbox.put(tick):
                self._waiting = tick
            else:
                self._host.timer_lost(self._message)
        except Exception as error:
            # There is no caller whom it could concern, as there is for a tell.
            self._host.timer_failed(error)

    def cancel(self) -> None:
        """Do not fire again; a tick that waits in the mailbox is not delivered."""
        if not self.done:
            self.done = True
            self._host.timer_done(self)
        if self._waiting is not None:
            self._waiting.incarnation = 0
