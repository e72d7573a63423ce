"""Ledger: what an adapter tells those who run it of clients that come and go.

Each is counted, and has its lines in the log; of all together, live and past, there
are statistics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import final

from ..actors import Registry
from ._asgi import Scope
from ._client import address_of
from ._connection import Connection
from ._events import CONNECTED, DISCONNECTED, REFUSED
from ._handshake import HandshakeRefused
from ._history import Histories
from ._presence import Presences
from ._rooms import ALL
from ._statistics import AdapterStatistics, Flow
from ._writer import STALLED, TOO_LARGE, TOO_MANY


@final
class Ledger:
    """The numbers of one adapter, since it was made."""

    __slots__ = ("_counts", "_inbound", "_outbound")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        # What ended connections have left behind.
        self._inbound = Flow()
        self._outbound = Flow()

    def count(self, what: str) -> None:
        """Count something that happened."""
        self._counts[what] += 1

    def refused(self, scope: Scope, refused: HandshakeRefused) -> None:
        """The handshake of *scope* was refused."""
        self.count("refused")
        self.count(f"refused {refused.status}")
        if REFUSED.enabled:
            REFUSED.log(
                address=address_of(scope), status=refused.status, reason=refused.reason
            )

    def opened(self, connection: Connection) -> None:
        """*connection* was accepted."""
        self.count("connections")
        if CONNECTED.enabled:
            CONNECTED.log(
                sid=connection.sid,
                address=address_of(connection.scope),
                user=_user_of(connection),
            )

    def closed(self, connection: Connection) -> None:
        """*connection* has ended: keep its numbers."""
        if not connection.is_set_up:
            return
        inbox = connection.context.mailbox.statistics()
        self._inbound = self._inbound.plus(inbox, ended=True)
        outbox = connection.writer.outbox.statistics()
        self._outbound = self._outbound.plus(outbox, ended=True)
        if DISCONNECTED.enabled:
            DISCONNECTED.log(
                sid=connection.sid,
                user=_user_of(connection),
                code=connection.close_code,
                reason=connection.close_reason,
                seconds=connection.context.runtime.now() - connection.since,
                received=inbox.accepted,
                sent=outbox.handled,
            )

    def statistics(
        self,
        connections: Mapping[str, Connection],
        registry: Registry,
        presences: Presences,
        histories: Histories,
        *,
        draining: bool,
    ) -> AdapterStatistics:
        """A frozen snapshot, with what there is now.

        Args:
            connections: The live ones; a copy, for it may be the thread of an
                exporter that asks.
            registry: Who is in which room.
            presences: Who is present there.
            histories: What was said there.
            draining: Whether new connections are refused.
        """
        live = [each for each in connections.values() if each.is_set_up]
        counts = self._counts
        rooms, messages, octets = histories.sizes()
        return AdapterStatistics(
            connections=len(connections),
            connections_total=counts["connections"],
            refused=counts["refused"],
            refused_full=counts["refused 503"] + counts["refused 429"],
            refused_unauthorised=counts["refused 401"] + counts["refused 403"],
            half_handshakes=counts["half_handshakes"],
            expired=counts["expired"],
            kicked=counts["kicked"],
            rejected=counts["rejected"],
            strikes=counts["strikes"],
            struck_out=counts["struck_out"],
            oversized=counts["oversized"],
            rate_limited=counts["rate_limited"],
            rate_closed=counts["rate_closed"],
            throttled=counts["throttled"],
            ignored_acks=counts["ignored_acks"],
            pings=counts["pings"],
            unanswered=counts["unanswered"],
            idle=counts["idle"],
            handler_errors=counts["handler_errors"],
            overflows=counts[TOO_MANY] + counts[TOO_LARGE],
            overflows_by_bytes=counts[TOO_LARGE],
            stalls=counts[STALLED],
            dropped=counts["dropped"],
            unknown_recipients=counts["unknown_recipients"],
            rooms=sum(group != ALL for group in registry.sizes()),
            present=len(presences),
            histories=rooms,
            history_messages=messages,
            history_bytes=octets,
            recovered=counts["recovered"],
            not_recovered=counts["not_recovered"],
            inbound=self._inbound.plus_all(each.context.mailbox for each in live),
            outbound=self._outbound.plus_all(each.writer.outbox for each in live),
            draining=draining,
        )


def _user_of(connection: Connection) -> str | None:
    return None if connection.identity is None else connection.identity.user
