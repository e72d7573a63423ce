"""Signals: received as long as something lasts, or refused by a name of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from signal import Signals

import anyio

from ._errors import SupervisorError


class SignalsUnavailable(SupervisorError):
    """The signal cannot be received here.

    There are none on Windows, nor outside of the main thread, and some cannot be
    caught at all; ``__cause__`` says which it was.
    """

    def __init__(self, signum: int, cause: BaseException) -> None:
        super().__init__(f"signal {signum!r} cannot be received here: {cause}")
        self.signum = signum
        self.__cause__: BaseException | None = cause


def receive_signals(stack: ExitStack, *signums: int) -> AsyncIterator[Signals]:
    """Receive them until *stack* is left.

    Raises:
        SignalsUnavailable: They cannot be received here.
    """
    try:
        # ValueError: no such signal, or not the main thread.  NotImplementedError is
        # what asyncio raises where it handles none, on Windows.
        wanted = [Signals(signum) for signum in signums]
        return stack.enter_context(anyio.open_signal_receiver(*wanted))
    except (NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise SignalsUnavailable(signums[0], error) from error
