"""Conservation: no message is lost, and none is there twice.

The law of every mailbox, whatever happens:

    accepted == handled + dead_lettered + pending
"""

from __future__ import annotations

from typing import Any, final

from ..actors import Mailbox


@final
class Watched:
    """The mailboxes of a world."""

    def __init__(self) -> None:
        # Those that are looked at after each step, by path.
        self._open: list[tuple[str, Mailbox[Any]]] = []
        # Those of actors that have ended, which nothing should change any more.
        self._ended: list[tuple[str, Mailbox[Any]]] = []

    def add(self, path: str, mailbox: Mailbox[Any]) -> None:
        """Watch *mailbox*."""
        self._open.append((path, mailbox))

    def retire(self) -> None:
        """Look no more, until the end, at what is closed and empty."""
        still: list[tuple[str, Mailbox[Any]]] = []
        for item in self._open:
            over = item[1].closed and not item[1].pending
            (self._ended if over else still).append(item)
        self._open = still

    def violation(self) -> str | None:
        """What is wrong with one of those that may change; None if nothing is."""
        for path, mailbox in self._open:
            accounted = mailbox.handled + mailbox.dead_lettered + mailbox.pending
            if mailbox.accepted != accounted:
                return _describe(path, mailbox)
        return None

    def violation_at_end(self) -> str | None:
        """What is wrong with one of them all."""
        self._open += self._ended
        self._ended = []
        return self.violation()


def _describe(path: str, mailbox: Mailbox[Any]) -> str:
    return (
        f"the mailbox of {path} accepted {mailbox.accepted} messages, but "
        f"handled {mailbox.handled} + dead-lettered {mailbox.dead_lettered} + "
        f"pending {mailbox.pending} is not that many"
    )
