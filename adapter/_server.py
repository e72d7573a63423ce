"""Server: the tree that connections live in, and the way in and out of it.

    /                    the system's root
    ├── _rooms           the registry: who is in which room
    └── _connections     one actor for each client, named by its sid

Stopped in reverse: the connections first, all at once, then the rooms.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, final

import anyio

from ..actors import ActorNotAlive, Gate, Registry, StartError
from ..supervision import ActorSystem, ChildSpec, DynamicSupervisor, Restart
from ._admission import Admission
from ._answers import Answers
from ._asgi import Scope
from ._asides import want_asides
from ._bucket import rates_of
from ._calling import DIRECT, Caller
from ._client import Client
from ._codec import Codec
from ._connection import Connection
from ._couriers import Couriers, couriers_of
from ._dispatcher import Dispatcher
from ._drain import Drain, Farewell
from ._ear import inbox_options
from ._errors import NotRunning
from ._events import NOT_RUNNING
from ._handshake import HandshakeRefused, Refusal
from ._health import Health
from ._history import Histories
from ._identity import SID_PREFIX, Identity
from ._ledger import Ledger
from ._letters import MAX_LETTERS_BYTES, weight_of
from ._options import Excess, Options
from ._outgoing import outbox_options
from ._outlast import outlast
from ._presence import Presences
from ._pulse import pulse_of
from ._shield import mend_hypercorn
from ._statistics import AdapterStatistics
from ._transport import Stopping, Transport, TransportClosed
from ._whom import Whom


@final
class Server:
    """All connections of one adapter.

    Attributes:
        connections: The live ones, by sid.
        registry: Who is in which room.
    """

    def __init__(
        self,
        options: Options,
        codec: Codec,
        dispatcher: Dispatcher,
        *,
        debug: bool,
        answers_unknown: bool,
    ) -> None:
        self.options = options
        self.codec = codec
        self.dispatcher = dispatcher
        self.debug = debug
        self.answers_unknown = answers_unknown
        self.client_class: type[Client] = Client
        # Who calls the handlers of a new client; see House.
        self.caller: Callable[[], Caller] = lambda: DIRECT
        self.outbox_bounds = outbox_options(options)
        self._inbox_bounds = inbox_options(options)
        self.rates = rates_of(options, lends=options.excess is Excess.THROTTLE)
        self.connections: dict[str, Connection] = {}
        self.registry = Registry()
        self.histories = Histories(options)
        self.presences = Presences(self.registry, codec, options)
        self.system: ActorSystem | None = None
        self.couriers: Couriers | None = None
        self._supervisor: DynamicSupervisor | None = None
        self._drain = Drain(options, self.connections)
        self._ledger = Ledger()
        self.admission = Admission(options)
        self.answers = Answers(codec, debug=debug, count=self.count)
        self._ids = itertools.count(1)
        self.pulse = pulse_of(
            options, self.connections, codec, self.next_id, self.count
        )
        # Whether somebody waits for the word that the server is to stop.
        self._listens = False
        # Whether it was said that it does not run, since it does not.
        self._complained = False

    # -- running -----------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[ActorSystem, None]:
        """Take connections as long as the block lasts; then drain.

        Raises:
            RuntimeError: It is running already.
            SupervisionFailed: Something that must not fail has failed too often.
        """
        if self.system is not None:
            raise RuntimeError("the adapter is running already")
        mend_hypercorn()
        self.registry = Registry()
        self.histories = Histories(self.options)
        self.presences = Presences(self.registry, self.codec, self.options)
        connections = DynamicSupervisor()
        try:
            async with ActorSystem() as system:
                system.dead_letters.limit(weight_of, MAX_LETTERS_BYTES)
                await system.start_child(ChildSpec("_rooms", lambda: self.registry))
                await system.start_child(ChildSpec("_connections", lambda: connections))
                self.system = system
                self.couriers = couriers_of(system.runtime)
                self._supervisor = connections
                self._drain.farewell = None
                self._listens = self._complained = False
                self.admission.clear()
                try:
                    yield system
                finally:
                    with anyio.CancelScope(shield=True):
                        await self.drain()
                    self._supervisor = None
        finally:
            # Not before: the application's own actors, which stop first, may
            # have something to say as they do.
            self.system = None
            # Whatever the system has ended without: nobody waits for it now.
            for connection in tuple(self.connections.values()):
                connection.let_go()
            self._drain.ended()

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken."""
        return self._supervisor is not None and self._drain.farewell is None

    async def drain(
        self,
        farewell: Farewell | None = None,
        deadline: float | None = None,
        batch: int | None = None,
    ) -> None:
        """Take no new connections, and see all clients off.

        Each gets what was sent to it before, then the close code.  Returns when
        all have gone or *deadline* seconds have passed; the rest is then up to
        the system's own end.  Cancelled, it goes on without being waited for.
        """
        await self._drain.run(self.system, farewell, deadline, batch)

    # -- one connection ----------------------------------------------------

    async def serve(self, scope: Scope, transport: Transport) -> None:
        """See one connection through, from handshake to goodbye.

        Runs in the server's task, which reads.  Returns when the connection's
        actor has ended and its transport is gone, or has been given time for it.
        Cancelled, the client is seen off all the same.
        """
        try:
            host = self.admission.take_place(scope)
        except HandshakeRefused as refused:
            await self._refuse(scope, transport, refused)
            await transport.linger(self.options.close_seconds)
            return
        # In line, for each coroutine that waits costs an idle client 300 bytes.
        try:
            connection = await self._admit(scope, transport)
            if connection is not None:
                try:
                    assert self._supervisor is not None
                    # Cancelled, it goes on; it is seen off below, or declined if
                    # it had not begun.
                    await self._supervisor.start_child(self._spec(connection))
                    if not self.accepting:
                        connection.close(*self._drain.words())
                    with anyio.CancelScope() as connection.reading:
                        # Who was put out as it came in may be gone already.
                        if not connection.gone.opened:
                            await connection.read()
                    connection.reading = None
                    await connection.gone.wait()
                except (ActorNotAlive, StartError):
                    pass  # everything ends, just now
                finally:
                    if connection.is_set_up:
                        # Without effect if the client, or a handler, was first.
                        connection.close(*self._drain.words())
                        await outlast(connection.gone.wait)
                    else:
                        connection.let_go()
                        await self._send_away(transport)
            await transport.linger(self.options.close_seconds)
        finally:
            self.admission.give_place_back(host)

    async def _admit(self, scope: Scope, transport: Transport) -> Connection | None:
        """The connection of a client that is taken."""
        turn = self.admission.kicks.turn
        try:
            self._check_accepting(None)
            identity = await self._identify(scope)
            self._check_accepting(identity)
        except HandshakeRefused as refused:
            if isinstance(refused, Refusal) and refused.cause == "overdue":
                self.count("half_handshakes")
            await self._refuse(scope, transport, refused)
            return None
        if self.rates is not None:
            want_asides(scope)
        try:
            await transport.accept(self.admission.subprotocol(scope))
        except TransportClosed:
            self.count("half_handshakes")
            return None
        system = self.system
        if system is None or not self.accepting:
            # It began to drain while the client waited.
            self._ledger.refused(scope, Refusal("draining", identity))
            await self._send_away(transport)
            return None
        if not self._listens and transport.stopping is not None:
            self._listens = True
            system.runtime.start_task(self._drain_at, transport.stopping)
        # 144 random bits: not to be guessed, and never the same twice.
        sid = SID_PREFIX + secrets.token_urlsafe(18)
        gone = Gate(system.runtime.parker)
        connection = Connection(
            self, sid, scope, transport, gone, identity, self.forget
        )
        self.connections[sid] = connection
        self._ledger.opened(connection)
        if words := self.admission.put_out_since(turn, connection):
            self._kick(connection, *words)
        return connection

    def _check_accepting(self, identity: Identity | None) -> None:
        if self._supervisor is None:
            raise Refusal("stopped", identity)
        if self._drain.farewell is not None:
            raise Refusal("draining", identity)

    async def _identify(self, scope: Scope) -> Identity | None:
        caller = self.caller()
        try:
            return await self.admission.identify(scope, caller)
        finally:
            caller.close()

    async def _refuse(
        self, scope: Scope, transport: Transport, refused: HandshakeRefused
    ) -> None:
        if self._supervisor is None and not self._complained:
            # Once: a flood of handshakes must not flood the log.
            self._complained = True
            NOT_RUNNING.log()
        self._ledger.refused(scope, refused)
        await transport.refuse(refused.status, refused.reason)

    async def _drain_at(self, stopping: Stopping) -> None:
        """Drain when the server is told to stop, not when it has lost patience."""
        await stopping.wait()
        await self.drain()

    async def _send_away(self, transport: Transport) -> None:
        """Tell a client that was accepted that it comes too late."""
        with anyio.move_on_after(self.options.close_seconds, shield=True):
            await transport.close(*self._drain.words())

    def _spec(self, connection: Connection) -> ChildSpec[Any]:
        options = self.options
        return ChildSpec(
            connection.sid,
            lambda: connection,
            Restart.TEMPORARY,
            # As long as all its parts may take together.
            shutdown=options.handler_grace
            + options.disconnect_seconds
            + options.close_seconds
            + 1.0,
            mailbox=self._inbox_bounds,
        )

    # -- what connections need, see House ----------------------------------

    def next_id(self) -> int:
        """An id for an ack, used once."""
        return next(self._ids)

    def count(self, what: str) -> None:
        """Count something that happened."""
        self._ledger.count(what)

    def forget(self, connection: Connection) -> None:
        """*connection* is gone: keep its numbers and forget it."""
        self._ledger.closed(connection, self.connections)

    def kick(self, meant: Whom, code: int, reason: str) -> int:
        """Disconnect those that are *meant*; return how many there were.

        Those that are about to be accepted as well, as soon as they are.
        """
        if meant.kind == "sid":  # nobody knows that of who is not in yet
            one = self.connections.get(meant.name)
            there = [] if one is None else [one]
        else:
            self.admission.kicks.add(meant, code, reason)
            there = [each for each in self.connections.values() if meant(each)]
        connections = [each for each in there if each.connected]
        for connection in connections:
            self._kick(connection, code, reason)
        return len(connections)

    def _kick(self, connection: Connection, code: int, reason: str) -> None:
        self.count("kicked")
        connection.put_out(code, reason)

    def require_running(self) -> ActorSystem:
        """The system.

        Raises:
            NotRunning: There is none.
        """
        if self.system is None:
            raise NotRunning("the adapter is not running")
        return self.system

    def health(self) -> Health:
        """Whether new connections are taken."""
        connections = len(self.connections)
        if self.accepting:
            return Health(True, "running", connections)
        stopped = self.system is None
        return Health(False, "stopped" if stopped else "draining", connections)

    def statistics(self) -> AdapterStatistics:
        """A frozen snapshot."""
        return self._ledger.statistics(
            self.connections,
            self.registry,
            self.presences,
            self.histories,
            draining=self._drain.farewell is not None,
        )
