"""Bucket: how much one client may send, and how long it has to wait for more.

Two token buckets, one of messages and one of bytes, in one object and with one
clock.  A level below zero is a debt: a message that is larger than the whole
bucket passes once that is full, and what comes after it waits until it is paid
for.  So in any *t* seconds no more passes than ``burst + rate * t``, and that one
message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ._options import Options
from ._packets import Frame


def size_of(frame: Frame) -> int:
    """The bytes that *frame* has on the wire, without its head."""
    # What most text is: then its length says it, and is known.
    if isinstance(frame, bytes) or frame.isascii():
        return len(frame)
    return len(frame.encode("utf-8", "surrogatepass"))


@final
@dataclass(frozen=True, slots=True)
class Rates:
    """What all clients of one adapter may send; a rate of 0 is no bound."""

    message_rate: float
    message_burst: int
    byte_rate: float
    byte_burst: int
    # Whether what does not pass at once passes later.
    lends: bool


@final
class Bucket:
    """What one client may send still.

    Args:
        rates: What it is filled by; the same object for all clients.
        now: By the clock that `take` is given.
    """

    __slots__ = ("_bytes", "_messages", "_rates", "_since")

    def __init__(self, rates: Rates, now: float) -> None:
        self._rates = rates
        self._since = now
        self._messages: float = rates.message_burst
        self._bytes: float = rates.byte_burst

    @property
    def lends(self) -> bool:
        """Whether what does not pass at once passes later."""
        return self._rates.lends

    def take(self, size: int, now: float) -> float:
        """Take one message of *size* bytes out.

        Returns:
            After how many seconds it is within the rates; 0 for at once.  If that
            is not 0 and nothing is lent, nothing was taken.
        """
        # Written out: min() and max() would take half of the time.
        rates = self._rates
        elapsed = now - self._since
        self._since = now
        wait = 0.0
        messages, octets = self._messages, self._bytes
        if rate := rates.message_rate:
            messages += elapsed * rate
            if messages > rates.message_burst:
                messages = rates.message_burst
            elif messages < 1:
                wait = (1 - messages) / rate
        if rate := rates.byte_rate:
            octets += elapsed * rate
            burst = rates.byte_burst
            if octets > burst:
                octets = burst
            missing = (size if size < burst else burst) - octets
            if missing > 0 and missing > wait * rate:
                wait = missing / rate
        if not wait or rates.lends:
            messages -= 1
            octets -= size
        self._messages, self._bytes = messages, octets
        return wait


def rates_of(options: Options, *, lends: bool) -> Rates | None:
    """The rates that *options* say; None if they say none."""
    if not options.message_rate and not options.byte_rate:
        return None
    return Rates(
        options.message_rate,
        options.message_burst,
        options.byte_rate,
        options.byte_burst,
        lends,
    )
