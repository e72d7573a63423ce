"""Handshake rate: how often one address may ask to come in.

A bucket for each address, for so many of them: beyond, the one that has been silent
for longest is forgotten.  That is to its own good alone, and whoever has more
addresses than are kept is not held up by any bound of a single one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import final

from ._bucket import Bucket, Rates
from ._options import Options


@final
class HandshakeRate:
    """The buckets of all addresses.

    Args:
        options: How many handshakes, and of how many addresses.
        now: The clock.
    """

    __slots__ = ("_buckets", "_most", "_now", "_rates")

    def __init__(self, options: Options, now: Callable[[], float]) -> None:
        self._rates = Rates(
            options.handshake_rate, options.handshake_burst, 0.0, 0, lends=False
        )
        self._most = options.handshake_addresses
        self._now = now
        # The one that has asked last is last.  A plain dict would have to look for
        # its first, past all that were taken out.
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def takes(self, host: str | None) -> bool:
        """Count a handshake of *host*; False if it comes too early, and does not count.

        None is who has no address, and is always taken.
        """
        if host is None or not self._rates.message_rate:
            return True
        now, buckets = self._now(), self._buckets
        bucket = buckets.get(host)
        if bucket is None:
            if len(buckets) >= self._most:
                buckets.popitem(last=False)
            bucket = buckets[host] = Bucket(self._rates, now)
        else:
            buckets.move_to_end(host)
        return not bucket.take(0, now)

    def clear(self) -> None:
        """Forget all: the clock begins anew."""
        self._buckets.clear()
