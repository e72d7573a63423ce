"""Watchdog: sees from a thread of its own that the event loop stands still.

An actor that computes, or calls something that blocks, keeps everybody from
getting a turn, also those who would say so.  The law: the thread reads and
changes nothing; what it cannot read because it changes meanwhile, it leaves out.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeAlias, final

import anyio

from ..actors import Runtime
from ._table import seconds as duration
from ._tree import Tree
from ._where import path_of

# Of the stack, from where it stands.
_FRAMES = 20
# How often what it reads may change under it.
_ATTEMPTS = 3

Post: TypeAlias = Callable[[Callable[[], Any]], object]


@final
class Watchdog:
    """Says when the event loop has not turned for a while, and when it turns again.

    Args:
        runtime: Whose event loop, in which this is made.
        seconds: For how long it may stand still.
        look: Takes a look at the tree, from any thread.
        say: Takes the text, in the thread of the watchdog.
    """

    def __init__(
        self,
        runtime: Runtime,
        seconds: float,
        look: Callable[[], Tree],
        say: Callable[[str], object],
    ) -> None:
        self._runtime = runtime
        self._seconds = seconds
        self._look = look
        self._say = say
        self._loop_thread = threading.get_ident()
        # Calls a function in the event loop, from any thread.
        self.post: Post = _poster(runtime.backend)
        self.stopped: threading.Event = threading.Event()
        # Set when the loop has come to it.
        self._turned = threading.Event()
        self._scope = anyio.CancelScope()
        name = "greenroom-watchdog"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Callable[[], None]:
        """Begin to watch; return what ends it, before the system does."""
        self._runtime.start_task(self._until_the_end)
        self._thread.start()
        return self._scope.cancel

    async def _until_the_end(self) -> None:
        try:
            with self._scope:
                await anyio.sleep_forever()
        finally:
            self.stopped.set()
            self._turned.set()

    # -- in its thread -----------------------------------------------------

    def _run(self) -> None:
        while not self.stopped.wait(self._seconds):
            self._turned = turned = threading.Event()
            # Again, as `_until_the_end` sets the one before it.
            if self.stopped.is_set():
                return
            try:
                self.post(turned.set)
            except RuntimeError:
                return  # there is no loop any more
            if not turned.wait(self._seconds):
                self._tell(self._report())
                turned.wait()
                self._tell("the event loop turns again")

    def _tell(self, text: str) -> None:
        try:
            self._say(text)
        except Exception:
            traceback.print_exc()

    def _report(self) -> str:
        # A private name, but the documented way to see another thread's stack.
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        frame = frames.get(self._loop_thread)
        # Held, it would keep alive all that the loop holds.
        del frames
        where = _actor_in(frame)
        stack = "" if frame is None else "".join(_stack(frame))
        lines = [
            f"the event loop has not turned for {duration(self._seconds)}{where}:",
            stack.rstrip(),
            self._tree(),
        ]
        return "\n".join(lines)

    def _tree(self) -> str:
        for _ in range(_ATTEMPTS):
            try:
                return str(self._look())
            except Exception:
                # Something has changed while it was gone through.
                continue
        return "the tree changes too fast to be read"


def _stack(frame: FrameType) -> list[str]:
    return traceback.format_stack(frame, limit=_FRAMES)


def _actor_in(frame: FrameType | None) -> str:
    """Which actor runs in the stack below *frame*, as a part of a sentence."""
    while frame is not None:
        path = path_of(frame)
        if path is not None:
            return f", in {path}"
        frame = frame.f_back
    return ""


def _poster(backend: str) -> Post:
    """What calls a function in the event loop that runs now, from any thread."""
    if backend == "trio":
        from trio.lowlevel import current_trio_token

        return current_trio_token().run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe
