"""Whom: which clients are meant, by sid, by user, or by address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ._addresses import counted_as, host_of
from ._client import Link

# As of an `Identity`.  Handlers pass on what clients say, and bans are kept.
_MAX_NAME = 256


@final
@dataclass(frozen=True, slots=True)
class Whom:
    """Says of a client whether it is meant.

    Attributes:
        kind: ``"sid"``, ``"user"`` or ``"address"``.
        name: Which; of an address, as what it counts.
    """

    kind: str
    name: str

    def __call__(self, client: Link) -> bool:
        """Whether *client* is."""
        if self.kind == "sid":
            return client.sid == self.name
        if self.kind == "address":
            return host_of(client.scope) == self.name
        return client.identity is not None and client.identity.user == self.name


def whom(sid: str | None, user: str | None, address: str | None) -> Whom:
    """The one of the three that is given.

    Raises:
        TypeError: There is none, or more than one, or it is no str.
        ValueError: It is longer than that of any client.
    """
    names = {"sid": sid, "user": user, "address": address}
    given = [(kind, name) for kind, name in names.items() if name is not None]
    if len(given) != 1:
        raise TypeError(f"one of sid, user and address must be given, got {given!r}")
    kind, name = given[0]
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # for who has no types
        raise TypeError(f"{kind} must be a str, got {name!r}")
    if len(name) > _MAX_NAME:
        raise ValueError(
            f"{kind} must have at most {_MAX_NAME} characters, got {name!r:.64}"
        )
    return Whom(kind, counted_as(name) if kind == "address" else name)


def names_of(client: Link) -> tuple[Whom, ...]:
    """What *client* is meant by besides its sid: its user first, then its address."""
    names: list[Whom] = []
    if client.identity is not None:
        names.append(Whom("user", client.identity.user))
    if (host := host_of(client.scope)) is not None:
        names.append(Whom("address", host))
    return tuple(names)
