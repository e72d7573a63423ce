"""What a simulated run of trio has in place of sockets: nothing.

Trio opens two pairs of sockets and an epoll for each run, and asks them in each
tick; without them a tick costs a tenth, and no seed has to decide what they say.
"""

from __future__ import annotations

from typing import Any, NoReturn, final

from ._errors import NotSimulated


@final
class Bell:
    """Wakes the task of trio's that runs what others want run on its loop."""

    def __init__(self) -> None:
        self.task: Any = None
        self._asleep = False
        self._rung = False

    def wakeup_on_signals(self) -> None:
        """Nothing to do: signals are not simulated."""

    def wakeup_thread_and_signal_safe(self) -> None:
        """Wake it, or keep it awake."""
        from trio.lowlevel import reschedule

        self._rung = True
        if self._asleep:
            self._asleep = False
            reschedule(self.task)

    async def wait_woken(self) -> None:
        """Sleep until then."""
        from trio.lowlevel import Abort, current_task, wait_task_rescheduled

        self.task = current_task()

        def abort(_: object) -> Abort:
            self._asleep = False
            return Abort.SUCCEEDED

        if not self._rung:
            self._asleep = True
            await wait_task_rescheduled(abort)
        self._rung = False

    def close(self) -> None:
        """Nothing to do: it holds no sockets."""


@final
class NoDevices:
    """The world outside, which is not there."""

    def process_events(self, events: object) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing to do."""

    def statistics(self) -> None:
        """Nothing to say."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotSimulated(name)
