"""A hash that is the same in every process, for whoever divides keys (pure)."""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Hashable
from typing import cast


def stable_hash(key: Hashable) -> int:
    """A number of 64 bits; the same for equal keys of one type, everywhere.

    Python's own `hash` differs from process to process.  1, 1.0, True and "1" are
    four keys, also inside a tuple.

    Raises:
        TypeError: *key* has no such hash: it is not a str, bytes, int, float,
            bool, None, UUID or Enum member, nor a tuple of those.
    """
    digest = hashlib.blake2b(_encode(key), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _encode(key: object) -> bytes:
    content = _content(key)
    kind = type(key)
    name = f"{kind.__module__}.{kind.__qualname__}".encode()
    # Lengths, so that no two keys are written alike.
    return b"%d:%b%d:%b" % (len(name), name, len(content), content)


def _content(key: object) -> bytes:
    match key:
        case enum.Enum():
            return key.name.encode()
        case str():
            return key.encode("utf-8", "surrogatepass")
        case bytes():
            return key
        case int():
            return b"%d" % key
        case float():
            # Adding zero makes one of the two zeros, which are equal.
            return repr(float(key) + 0.0).encode()
        case None:
            return b""
        case uuid.UUID():
            return key.bytes
        case tuple():
            return b"".join(map(_encode, cast("tuple[object, ...]", key)))
        case _:
            raise TypeError(
                "key must be a str, bytes, int, float, bool, None, UUID, Enum member"
                f" or a tuple of those, to be the same in every process, got {key!r}"
            )


def mixed(one: int, other: int) -> int:
    """A number of 64 bits that depends on every bit of both."""
    # The end of SplitMix64: multiplying spreads the bits upward, shifting down.
    mix = (one ^ other) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    mix = (mix ^ mix >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mix = (mix ^ mix >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return mix ^ mix >> 31
