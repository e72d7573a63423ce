"""Outgoing: a message with what an outbox must know of it, and several in one piece."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from operator import attrgetter
from typing import cast, final

from ..actors import Batch, MailboxOptions, Overflow
from ._acks import Callback
from ._frames import Bundle, Message
from ._options import Options
from ._packets import Frame

# What messages that are written in one piece may have together.
_BYTES_AT_ONCE = 16 * 1024


@final
class Outgoing(Message):
    """A message with what an outbox needs to know of it.

    Attributes:
        weight: Bytes, about, and never fewer than its payload has on the wire.
        id: What its ack will refer to, where a callback waits for that.
        volatile: Dropped by a full outbox, which nobody waits for.
        overflow: What a full outbox does with it otherwise, where that is not
            what the options say.
        key: What it is the latest state of, for `Overflow.CONFLATE`.
    """

    __slots__ = ("callback", "id", "key", "overflow", "seconds", "volatile", "weight")

    def __init__(
        self,
        frame: Frame,
        *,
        id: int | None = None,
        callback: Callback | None = None,
        seconds: float = 0.0,
        volatile: bool = False,
        overflow: Overflow | None = None,
        key: Hashable = None,
    ) -> None:
        super().__init__(frame)
        # Exact would mean to encode the text once more; UTF-8 takes up to four
        # bytes for what is not ASCII.
        exact = isinstance(frame, bytes) or frame.isascii()
        self.weight = len(frame) if exact else 4 * len(frame)
        self.id = id
        self.callback = callback
        self.seconds = seconds
        self.volatile = volatile
        self.overflow = Overflow.DROP_NEW if volatile else overflow
        self.key = key


@final
class Piece(Bundle[Outgoing]):
    """Messages in one write.

    Attributes:
        asks: Whether any of them wants an ack.
    """

    __slots__ = ("asks",)

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        super().__init__(messages)
        self.asks = any(message.callback is not None for message in messages)


def piece_of(batch: Batch) -> Piece | None:
    """The first messages of *batch*, as many as make one write; None if that is one.

    The same for all its receivers.
    """
    if not isinstance(batch.piece, Piece):
        messages = cast("tuple[Outgoing, ...]", batch)
        sizes = itertools.accumulate(message.weight for message in messages)
        number = sum(1 for _ in itertools.takewhile(_BYTES_AT_ONCE.__ge__, sizes))
        if number < 2:
            return None
        batch.piece = Piece(messages[:number])
    return batch.piece


def outbox_options(options: Options) -> MailboxOptions:
    """The bounds of every outbox; made once for all."""
    return MailboxOptions(
        capacity=options.outbox_messages,
        overflow=options.overflow,
        overflow_of=attrgetter("overflow"),
        key=attrgetter("key"),
        weigh=attrgetter("weight"),
        max_weight=options.outbox_bytes,
    )
