"""Ledger: what an adapter tells those who run it of clients that come and go.

Each is counted, and has its lines in the log; of all together, live and past, there
are statistics.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import final

from ..actors import Registry
from ._addressee import STALLED, TOO_LARGE, TOO_MANY
from ._asgi import Scope
from ._client import address_of, headers_of
from ._connection import Connection
from ._events import CONNECTED, DISCONNECTED, REFUSED
from ._handshake import REFUSALS, HandshakeRefused, Refusal
from ._history import Histories
from ._presence import Presences
from ._rooms import ALL
from ._statistics import AdapterStatistics, Flow
from ._unheard import UNHEARD

_REFUSED = [f"refused_{cause}" for cause in (*REFUSALS, "unauthorised")]


@final
class Ledger:
    """The numbers of one adapter, since it was made."""

    __slots__ = ("_counts", "_inbound", "_moving", "_outbound")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        # What ended connections have left behind.
        self._inbound = Flow()
        self._outbound = Flow()
        # Held while a connection's numbers go from the live to the past: whoever
        # reads them in another thread has them in one place, and in one only.  A
        # signal's handler may read them in the midst of that.
        self._moving = threading.RLock()

    def count(self, what: str) -> None:
        """Count something that happened."""
        self._counts[what] += 1

    def refused(self, scope: Scope, refused: HandshakeRefused) -> None:
        """The handshake of *scope* was refused."""
        ours = refused if isinstance(refused, Refusal) else None
        # Whatever status the hook has chosen.
        cause = "unauthorised" if ours is None else ours.cause
        self.count(f"refused_{cause}")
        if REFUSED.enabled:
            REFUSED.log(
                cause=cause,
                status=refused.status,
                reason=refused.reason,
                address=address_of(scope),
                origin=headers_of(scope).get("origin"),
                user=None if ours is None else ours.user,
            )

    def opened(self, connection: Connection) -> None:
        """*connection* was accepted."""
        self.count("connections")
        if CONNECTED.enabled:
            CONNECTED.log(
                sid=connection.sid,
                address=address_of(connection.scope),
                user=connection.user,
            )

    def closed(
        self, connection: Connection, connections: MutableMapping[str, Connection]
    ) -> None:
        """*connection*, one of *connections*, has ended: only its numbers stay."""
        if not connection.is_set_up:
            del connections[connection.sid]
            return
        inbox = connection.context.mailbox.statistics()
        outbox = connection.writer.outbox.statistics()
        with self._moving:
            del connections[connection.sid]
            self._inbound = self._inbound.plus(inbox, ended=True)
            self._outbound = self._outbound.plus(outbox, ended=True)
        if DISCONNECTED.enabled:
            DISCONNECTED.log(
                sid=connection.sid,
                user=connection.user,
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

        It may be the thread of an exporter that asks.

        Args:
            connections: The live ones.
            registry: Who is in which room.
            presences: Who is present there.
            histories: What was said there.
            draining: Whether new connections are refused.
        """
        with self._moving:
            live = list(connections.values())
            inbound, outbound = self._inbound, self._outbound
        set_up = [each for each in live if each.is_set_up]
        counts = self._counts
        # Read once: the sum is that of these, whatever is counted meanwhile.
        refused = {name: counts[name] for name in _REFUSED}
        rooms, messages, octets = histories.sizes()
        return AdapterStatistics(
            connections=len(live),
            connections_total=counts["connections"],
            refused=sum(refused.values()),
            **refused,
            half_handshakes=counts["half_handshakes"],
            malformed_requests=UNHEARD.malformed,
            unfinished_requests=UNHEARD.unfinished,
            expired=counts["expired"],
            unidentified=counts["unidentified"],
            kicked=counts["kicked"],
            rejected=counts["rejected"],
            strikes=counts["strikes"],
            struck_out=counts["struck_out"],
            oversized=counts["oversized"],
            rate_limited=counts["rate_limited"],
            rate_closed=counts["rate_closed"],
            throttled=counts["throttled"],
            ignored_acks=counts["ignored_acks"],
            unknown_events=counts["unknown_events"],
            unknown_namespaces=counts["unknown_namespaces"],
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
            inbound=inbound.plus_all(each.context.mailbox for each in set_up),
            outbound=outbound.plus_all(each.writer.outbox for each in set_up),
            draining=draining,
        )
