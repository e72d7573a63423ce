"""Virtual time: a test that waits for an hour takes as long as one that does not.

The clock stands still while any task can run and jumps to the next deadline when
none can, on asyncio as `trio.testing.MockClock` does it on Trio.  What is tested
has to wait for time alone: a worker thread or a real socket is not waited for.
"""

from __future__ import annotations

import asyncio
import functools
import random
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple, final

import anyio

Ts = TypeVarTuple("Ts")

# How often a step falls behind if a seed decides, and by how many turns at most.
_OFTEN = 0.25
_FAR = 8


@final
class _JumpingSelector(selectors.DefaultSelector):
    """Makes time go by instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.idle: list[asyncio.Future[None]] = []

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.idle:
            idle, self.idle = self.idle, []
            for future in idle:
                if not future.done():
                    future.set_result(None)
            return []
        if timeout is None:
            # No deadline at all: only another thread can bring anything new.
            return super().select(None)
        self.now += timeout
        return []


@final
class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time, which begins at 0.

    ``asyncio.Runner(loop_factory=VirtualEventLoop)``, or `virtual_backend`.

    Args:
        seed: Decides which steps of which tasks fall behind those of the others,
            by a few turns of the loop; None: none does.  What asyncio itself
            leaves to chance, mostly the order of cancellations, stays so; on
            Trio `simulate` decides that too.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._jumping = _JumpingSelector()
        self._random = None if seed is None else random.Random(seed).random
        super().__init__(self._jumping)

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call *callback* in the next turn; or later, if it is a task's step."""
        turns = 0
        if self._random is not None:
            task = getattr(callback, "__self__", None)
            if isinstance(task, asyncio.Task) and self._random() < _OFTEN:
                turns = 1 + int(_FAR * self._random())
        return self._call_later(turns, callback, args, context)

    def _call_later(
        self,
        turns: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> asyncio.Handle:
        if turns:
            rest = (turns - 1, callback, args, context)
            return super().call_soon(self._call_later, *rest)
        return super().call_soon(callback, *args, context=context)

    def time(self) -> float:
        """Seconds that have gone by."""
        return self._jumping.now

    async def wait_idle(self) -> None:
        """Wait until no other task can run; no time goes by."""
        future: asyncio.Future[None] = self.create_future()
        self._jumping.idle.append(future)
        await future


def virtual_backend(
    backend: str, *, seed: int | None = None
) -> tuple[str, dict[str, Any]]:
    """*backend* on virtual time, as AnyIO's pytest plugin wants it.

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return virtual_backend(request.param)

    Or, without pytest, for ``anyio.run(main, backend=name, backend_options=options)``.
    AnyIO before 4.14 hands Trio no options there, and time is real.

    Args:
        backend: ``"asyncio"`` or ``"trio"``.
        seed: For asyncio, see `VirtualEventLoop`; for Trio there is `simulate`.
    """
    if backend not in ("asyncio", "trio"):
        raise ValueError(f"backend must be 'asyncio' or 'trio', got {backend!r}")
    if backend == "trio":
        if seed is not None:
            raise ValueError(f"seed must be None on trio, got {seed!r}; see simulate")
        from trio.testing import MockClock

        return backend, {"clock": MockClock(autojump_threshold=0)}
    if seed is None:
        return backend, {"loop_factory": VirtualEventLoop}
    return backend, {"loop_factory": functools.partial(VirtualEventLoop, seed)}


async def wait_idle() -> None:
    """Wait until every other task waits for something; virtual time stands still.

    For "nothing more happens now": on asyncio AnyIO's own
    ``wait_all_tasks_blocked`` looks every tenth of a second, which on a virtual
    clock is time that goes by.
    """
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()
        return
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualEventLoop):
        await loop.wait_idle()
    else:
        await anyio.wait_all_tasks_blocked()
