"""Addressee: whose outbox it is, and why it is given up."""

from __future__ import annotations

from typing import Protocol

# In the words of the close frame.
STALLED = "write deadline"
TOO_MANY = "pending messages"
TOO_LARGE = "pending bytes"


class Addressee(Protocol):
    """Whose outbox it is."""

    def too_slow(self, cause: str) -> None:
        """It is given up, for one of the causes above; called in place."""
        ...

    def lost(self, code: int, reason: str) -> None:
        """The transport has turned out to be closed; called at most once."""
        ...

    def count(self, what: str) -> None:
        """Something happened that is counted."""
        ...
