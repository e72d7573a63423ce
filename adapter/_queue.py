"""The queue: what hypercorn puts an app's messages in, and how to do without it.

An app takes them out in a task of its own: a switch of tasks for each message, and
up to three kilobytes for a queue that is empty almost always.  Where both of its
ends are known, whoever puts a message in may hand it over instead.

Private API of hypercorn, see `_hypercorn`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, final

from ._hypercorn import innermost, server_of, stream_of


@final
class Queue:
    """hypercorn's queue of messages for one app, which need not go through it."""

    __slots__ = ("_source", "_stream")

    def __init__(self, source: Any, stream: Any) -> None:
        self._source = source
        self._stream = stream

    @property
    def in_use(self) -> bool:
        """Whether something waits for it or in it, or nothing more will come."""
        source = self._source
        if hasattr(source, "qsize"):
            waiting: int = source.qsize()
        else:
            numbers = source.statistics()
            waiting = numbers.current_buffer_used + numbers.tasks_waiting_send
        return waiting > 0 or bool(self._stream.closed)

    def divert(self, take: Callable[[Any], Awaitable[None]]) -> None:
        """Have what comes from now on taken by *take*, and let the queue go."""
        self._stream.app_put = take
        # hypercorn holds the queue as long as its app runs: 1 to 3 kB of nothing.
        getattr(self._source, "__dict__", {}).clear()


def find_queue(receive: object, send: object) -> Queue | None:
    """The queue between *receive* and hypercorn, if both ends are its own."""
    stream = stream_of(send)
    # Streams of one connection wait for one another: that is what the queue is for.
    if server_of(stream) is None:
        return None
    source = getattr(receive, "__self__", None)
    filled = getattr(getattr(stream, "app_put", None), "__self__", None)
    if source is None or _core_of(filled) is not _core_of(source):
        # Somebody in between hands on what it likes, from a queue of its own.
        return None
    return Queue(source, stream)


def _core_of(end: Any) -> Any:
    """What both ends of a queue have in common: itself, or Trio's state of it."""
    return getattr(end, "_state", end)


async def _nowhere(message: Any) -> None:
    """In place of a queue that nobody empties any more."""


def stop_filling(send: object) -> bool:
    """Have hypercorn put nothing more in the queue: its app is about to return.

    It would wait for room in it for ever, and its connection stay open as long.

    Returns:
        Whether it was hypercorn, and does so.
    """
    stream = stream_of(innermost(send))
    if stream is None:
        return False
    stream.app_put = _nowhere
    return True
