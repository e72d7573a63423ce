"""Statistics: a frozen snapshot of what went through the adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ..actors import MailboxStatistics


@final
@dataclass(frozen=True, slots=True)
class Flow:
    """Messages one way, of live and past connections together.

    ``accepted == handled + dead_lettered + pending`` at every moment.
    """

    accepted: int = 0
    handled: int = 0
    dead_lettered: int = 0
    pending: int = 0

    def plus(self, mailbox: MailboxStatistics, *, ended: bool = False) -> Flow:
        """This flow and that of *mailbox* together.

        Args:
            mailbox: The other.
            ended: What is pending there will not be handled any more: its reader
                may not have ended yet, but is not waited for.
        """
        lost = mailbox.pending if ended else 0
        return Flow(
            self.accepted + mailbox.accepted,
            self.handled + mailbox.handled,
            self.dead_lettered + mailbox.dead_lettered + lost,
            self.pending + mailbox.pending - lost,
        )


@final
@dataclass(frozen=True, slots=True)
class AdapterStatistics:
    """What the adapter has seen since it was started.

    Attributes:
        connections: Clients connected now.
        connections_total: Connections accepted since the start.
        refused: Handshakes refused, because it was not running or draining.
        rejected: Clients turned away by ``on_connect``.
        strikes: Unreadable messages.
        handler_errors: Handlers that raised something unforeseen.
        overflows: Clients disconnected because their outbox was full.
        overflows_by_bytes: Those of them whose outbox was full of bytes.
        stalls: Clients disconnected because a write took too long.
        dropped: Messages that clients missed because their outbox was full, and
            its policy, or the message, was to be dropped then.
        unknown_recipients: Messages to a sid that is not connected.
        rooms: How many rooms have members.
        inbound: From clients to handlers.
        outbound: From ``emit`` to clients.
        draining: Whether new connections are refused.
    """

    connections: int
    connections_total: int
    refused: int
    rejected: int
    strikes: int
    handler_errors: int
    overflows: int
    overflows_by_bytes: int
    stalls: int
    dropped: int
    unknown_recipients: int
    rooms: int
    inbound: Flow
    outbound: Flow
    draining: bool
