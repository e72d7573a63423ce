"""Answers: what a client is told of what went wrong.

The law: the text of an exception stays here, unless debug is on; and whoever
asked for an ack gets it, whatever happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, final

from ._codec import Codec, NotEncodable
from ._errors import ClientGone, EventError, Told
from ._events import HANDLER_FAILED
from ._outgoing import Outgoing
from ._packets import BadFrame, Event


class Listener(Protocol):
    """Who is told: a connection."""

    sid: str

    async def send(self, item: Outgoing) -> bool:
        """Put *item* in the outbox, waiting for room; False if it is closed."""
        ...


@final
class Answers:
    """How failures are put into words; one for all connections.

    Args:
        codec: Puts the words on the wire.
        debug: Whether clients may read exceptions.
        count: Counts something that happened.
    """

    __slots__ = ("_codec", "_count", "_debug")

    def __init__(
        self, codec: Codec, *, debug: bool, count: Callable[[str], None]
    ) -> None:
        self._codec = codec
        self._debug = debug
        self._count = count

    def to_unreadable(self, bad: BadFrame) -> Outgoing:
        """The answer to a frame that cannot be read."""
        codec = self._codec
        if bad.id is None:
            return Outgoing(codec.error(bad.code, bad.message))
        return Outgoing(codec.ack_failure(bad.id, bad.code, bad.message))

    async def to_failure(
        self, listener: Listener, packet: Event | None, error: Exception
    ) -> None:
        """A handler has raised *error* over *packet*, or over the connect."""
        told = isinstance(error, Told)
        if isinstance(error, Told):
            error = error.failure
        if isinstance(error, EventError):
            await self.tell(listener, packet, error.code, error.message, told=told)
            return
        if isinstance(error, ClientGone) and error.sid == listener.sid:
            return  # it was talking to its own client, which has left
        self._count("handler_errors")
        name = "connect" if packet is None else packet.event
        HANDLER_FAILED.log(error, sid=listener.sid, handler=name)
        text = f"{type(error).__name__}: {error}" if self._debug else ""
        code = "not_encodable" if isinstance(error, NotEncodable) else "internal_error"
        text = text or "the handler failed"
        await self.tell(listener, packet, code, text, told=told)

    async def tell(
        self,
        listener: Listener,
        packet: Event | None,
        code: str,
        message: str,
        *,
        told: bool = False,
    ) -> None:
        """Answer *packet* with an error; *told*, only if it asked for an ack."""
        if packet is not None and packet.id is not None:
            answer = self._codec.ack_failure(packet.id, code, message)
        elif told:
            return
        else:
            answer = self._codec.error(code, message)
        # If it is closed there is nobody to be told.
        await listener.send(Outgoing(answer))
