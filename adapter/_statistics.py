"""Statistics: a frozen snapshot of what went through the adapter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

from ..actors import Mailbox, MailboxStatistics


@final
@dataclass(frozen=True, slots=True)
class Flow:
    """Messages one way, of live and past connections together.

    ``accepted == handled + dead_lettered + pending`` at every moment in the thread
    of the event loop; read in another, some may be on their way from one to the next.
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

    def plus_all(self, mailboxes: Iterable[Mailbox[Any]]) -> Flow:
        """This flow and those of *mailboxes* together.

        In one go: a snapshot of each costs ten times as much, and there are twenty
        thousand.
        """
        accepted, handled = self.accepted, self.handled
        dead_lettered, pending = self.dead_lettered, self.pending
        for mailbox in mailboxes:
            accepted += mailbox.accepted
            handled += mailbox.handled
            dead_lettered += mailbox.dead_lettered
            pending += mailbox.pending
        return Flow(accepted, handled, dead_lettered, pending)


@final
@dataclass(frozen=True, slots=True)
class AdapterStatistics:
    """What the adapter has seen since it was made, and what there is of it now.

    All that only grows goes on from one run to the next.

    Attributes:
        connections: Clients connected now.
        connections_total: Connections accepted.
        refused: Handshakes refused: the sum of those that follow.
        refused_full: There was no room: ``max_connections``.
        refused_address: There was none for the address:
            ``max_connections_per_address``.
        refused_hurried: The address had asked too often: ``handshake_rate``.
        refused_stopped: The adapter did not run.
        refused_draining: It was draining.
        refused_origin: The page was not trusted.
        refused_banned: The address, or the user, was banned.
        refused_unauthorised: ``authenticate`` said no, with whatever status.
        refused_overdue: It took too long.
        refused_failed: It raised, or returned what is no `Identity`.
        half_handshakes: Handshakes that were given up before they were accepted: the
            client left, or asked for what the server cannot do, or ``authenticate``
            took too long (which counts as refused, too).
        malformed_requests: Requests that hypercorn 0.18 has answered with an error of
            its own, HTTP 400, 404 or 431: in the whole process, for nobody knows whose
            they were to be.
        unfinished_requests: Connections on which none was whole when hypercorn's
            keep-alive had passed, in the whole process as well.
        expired: Clients disconnected because their credentials have expired.
        unidentified: Clients disconnected because nobody had said who they are within
            ``identify_seconds``.
        kicked: Clients disconnected by `ActorAdapter.kick` or `ActorAdapter.ban`.
        rejected: Clients turned away by ``on_connect``.
        strikes: Unreadable messages, and those beyond the rates with `Excess.STRIKE`.
        struck_out: Clients disconnected because they had too many of them.
        oversized: Messages that were too long to be read, and those given up for
            they never ended.
        rate_limited: Those of the strikes beyond the rates.
        rate_closed: Clients disconnected by `Excess.CLOSE`.
        throttled: Times that a client was made to wait by `Excess.THROTTLE`.
        ignored_acks: Acks that nobody waited for: late, or made up.
        unknown_events: Events that were answered with ``unknown_event``.
        unknown_namespaces: Events for namespaces where no handler stands.
        pings: Pings sent to clients that were silent, or that were not read.
        unanswered: Clients disconnected because they did not answer one.
        idle: Clients disconnected because they were silent for too long.
        handler_errors: Handlers that raised something unforeseen.
        overflows: Clients disconnected because their outbox was full.
        overflows_by_bytes: Those of them whose outbox was full of bytes.
        stalls: Clients disconnected because a write took too long.
        dropped: Messages that clients missed because their outbox was full, and
            its policy, or the message, was to be dropped then.
        unknown_recipients: Messages to a sid that is not connected.
        rooms: How many rooms have members.
        present: Users who are present in rooms, by room.
        histories: Rooms that have a history.
        history_messages: Messages that are kept of them.
        history_bytes: Bytes of these, as `Options.history_bytes` counts them.
        recovered: Times that a client came back to a room and got what it had missed.
        not_recovered: Times that it did not, since that was not kept any more.
        inbound: From clients to handlers.
        outbound: From ``emit`` to clients.
        draining: Whether new connections are refused.
    """

    connections: int
    connections_total: int
    refused: int
    refused_full: int
    refused_address: int
    refused_hurried: int
    refused_stopped: int
    refused_draining: int
    refused_origin: int
    refused_banned: int
    refused_unauthorised: int
    refused_overdue: int
    refused_failed: int
    half_handshakes: int
    malformed_requests: int
    unfinished_requests: int
    expired: int
    unidentified: int
    kicked: int
    rejected: int
    strikes: int
    struck_out: int
    oversized: int
    rate_limited: int
    rate_closed: int
    throttled: int
    ignored_acks: int
    unknown_events: int
    unknown_namespaces: int
    pings: int
    unanswered: int
    idle: int
    handler_errors: int
    overflows: int
    overflows_by_bytes: int
    stalls: int
    dropped: int
    unknown_recipients: int
    rooms: int
    present: int
    histories: int
    history_messages: int
    history_bytes: int
    recovered: int
    not_recovered: int
    inbound: Flow
    outbound: Flow
    draining: bool
