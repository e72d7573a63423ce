"""Whom: which clients are meant, by sid, by user, or by address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ._client import Link, address_of


@final
@dataclass(frozen=True, slots=True)
class Whom:
    """Says of a client whether it is meant.

    Attributes:
        kind: ``"sid"``, ``"user"`` or ``"address"``.
        name: Which.
    """

    kind: str
    name: str

    def __call__(self, client: Link) -> bool:
        """Whether *client* is."""
        if self.kind == "sid":
            return client.sid == self.name
        if self.kind == "address":
            return address_of(client.scope) == self.name
        return client.identity is not None and client.identity.user == self.name


def whom(sid: str | None, user: str | None, address: str | None) -> Whom:
    """The one of the three that is given.

    Raises:
        TypeError: There is none, or more than one, or it is no str.
    """
    names = {"sid": sid, "user": user, "address": address}
    given = [(kind, name) for kind, name in names.items() if name is not None]
    if len(given) != 1:
        raise TypeError(f"one of sid, user and address must be given, got {given!r}")
    kind, name = given[0]
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # for who has no types
        raise TypeError(f"{kind} must be a str, got {name!r}")
    return Whom(kind, name)
