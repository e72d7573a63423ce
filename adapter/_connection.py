"""Connection, an actor: one for each socket.

Three activities, none of which waits for another: the *reader* takes frames
from the transport, in the server's task; the *handler*, this actor, takes one
message at a time from its inbox; the *writer* empties the outbox.

When the client goes: the handler in flight gets a short grace, then is
cancelled; the sid leaves every room; who waits for its acks is told;
``on_disconnect`` runs, once; the actor is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import anyio

from ..actors import (
    KILL_GRACE,
    Decline,
    ExitReason,
    Gate,
    Runtime,
    Shutdown,
)
from ._acks import Acks
from ._addressee import STALLED
from ._alarm import Alarm, ring_after
from ._asgi import Scope
from ._client import Client
from ._dispatcher import ROOT
from ._ear import Answered, Ear, Inbound, Opened
from ._errors import ClientGone, EventError
from ._events import (
    ACK_CALLBACK_FAILED,
    CLIENT_TOO_SLOW,
    HANDLER_NOT_CANCELLED,
    ON_DISCONNECT_FAILED,
    ON_DISCONNECT_SLOW,
    REJECTED,
)
from ._identity import Identity
from ._outgoing import Outgoing
from ._packets import Event
from ._rooms import Rooms, settled
from ._transport import Transport
from ._voice import House
from ._writer import Writer


@final
class Connection(Ear):
    """One client."""

    __slots__ = (
        "_admitted",
        "_caller",
        "_ended",
        "_leaving",
        "_opening",
        "_patience",
        "close_reason",
        "gone",
        "is_set_up",
        "reading",
        "scope",
        "since",
        "stop_grace",
        "transport",
    )

    def __init__(
        self,
        house: House,
        sid: str,
        scope: Scope,
        transport: Transport,
        gone: Gate,
        identity: Identity | None,
        ended: Callable[[Connection], None],
    ) -> None:
        super().__init__(house, sid, identity)
        self.scope = scope
        self.transport = transport
        # Opened when all is done that is done for a client.
        self.gone = gone
        self._ended = ended
        self.stop_grace = house.options.handler_grace
        self.close_reason = ""
        # Ends the reader when the actor has ended first.
        self.reading: anyio.CancelScope | None = None
        # Whether started() has run: until then there is nothing to send through.
        self.is_set_up = False
        # When that was.
        self.since = 0.0
        # Whether on_connect runs now, and whether it let the client in.
        self._opening = False
        self._admitted = False
        # No handler runs any more but on_disconnect.
        self._leaving = False
        # Rings when what is left to do takes too long.
        self._patience: Alarm | None = None

    # -- the actor ---------------------------------------------------------

    async def started(self) -> None:
        """Set up the outbox; the first message is there before any other."""
        if self.gone.opened:
            raise Decline  # its server has not waited
        house = self._house
        runtime: Runtime = self.context.runtime
        self._caller = house.caller()
        self._acks = Acks(self.sid, runtime, house.options.max_acks)
        self.writer = Writer(
            self.context.path,
            self.transport,
            self._acks,
            runtime,
            house.outbox_bounds,
            house.options.send_seconds,
            self,
            house.couriers,
        )
        self.writer.start()
        self._rooms = Rooms(
            house.registry,
            self.context.ref,
            self.writer.outbox,
            house.options.max_rooms,
        )
        self._listen(runtime)
        self.is_set_up = True
        self.since = runtime.now()
        self._begin_to_hold(runtime)
        self.context.ref.tell(Opened())
        if self.close_code is not None:
            # It was put out while it was half in.
            self._finish(self.close_code, self.close_reason)

    async def receive(self, message: Inbound) -> None:
        """Handle one message to its end."""
        if isinstance(message, Event):
            await self._handle(message)
        elif isinstance(message, Opened):
            await self._open()
        else:
            try:
                await self._call_back(message)
            except Exception as error:
                ACK_CALLBACK_FAILED.log(error, sid=self.sid)

    async def _call_back(self, message: Answered) -> None:
        def answered(event: str, client: Client, data: Any) -> Any:
            return message.callback(data)

        await self._caller.call(answered, "", self.client(ROOT), message.data)

    async def stopped(self, reason: ExitReason) -> None:
        """See the client off."""
        # Without effect if the client, or a handler, was first.
        if isinstance(reason, Shutdown):
            self.close(1001, "going away")
        else:
            self.close(1011, "internal error")
        await self._see_off()

    def killed(self) -> None:
        """See the client off without the actor's own task, which may hang."""
        self.close(1011, "internal error")
        if self._leaving or not self.is_set_up:
            self.let_go()
        else:
            self.context.runtime.start_task(self._see_off)

    async def _see_off(self) -> None:
        """All that is left to do once no handler runs any more, in order."""
        self._leaving = True
        options = self._house.options
        self._limit(options.disconnect_seconds + options.close_seconds)
        try:
            await self._rooms.leave_all()
            self._acks.fail_all(ClientGone(self.sid))
            await self._say_goodbye()
            with anyio.move_on_after(options.close_seconds):
                await self.writer.ended.wait()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Drop what is left.  Doing so twice is fine."""
        if self.gone.opened:
            return
        if self._patience is not None:
            self._patience.settle()
        self._hold_no_more()
        try:
            if self.is_set_up:
                self._caller.close()
                self.writer.abandon()
                if not self.writer.ended.opened:
                    self.transport.abort()
        finally:
            # Whatever the transport makes of that, nobody waits for it.
            if self.reading is not None:
                self.reading.cancel()
            try:
                self._ended(self)
            finally:
                self.gone.open()

    async def _say_goodbye(self) -> None:
        if not self._admitted:
            return
        client = self.client(ROOT)
        client.data = None
        with anyio.move_on_after(self._house.options.disconnect_seconds) as scope:
            for handler in self._house.dispatcher.disconnect:
                try:
                    await self._caller.call(handler, "disconnect", client, None)
                except Exception as error:
                    ON_DISCONNECT_FAILED.log(error, sid=self.sid)
        if scope.cancelled_caught:
            ON_DISCONNECT_SLOW.log(sid=self.sid)

    # -- opening -----------------------------------------------------------

    async def _open(self) -> None:
        self._opening = True
        # Before the handlers run: whatever they have begun shall be undone.
        self._admitted = True
        client = self.client(ROOT)
        try:
            for handler in self._house.dispatcher.connect:
                try:
                    await self._caller.call(handler, "connect", client, None)
                except Exception as error:
                    await self._house.answers.to_failure(self, None, error)
                if not self.connected:
                    return
        finally:
            self._opening = False
        await self._rooms.enter_all()

    def reject(self, code: int, reason: str) -> None:
        """See `Client.reject`."""
        if not self._opening:
            raise RuntimeError("reject works in on_connect only; use disconnect")
        if self._admitted:
            self._admitted = False
            self._house.count("rejected")
            REJECTED.log(sid=self.sid, code=code, reason=reason)
        self.close(code, reason)

    # -- handling ----------------------------------------------------------

    async def _handle(self, packet: Event) -> None:
        dispatcher = self._house.dispatcher
        if not dispatcher.knows(packet.namespace):
            self._house.count("unknown_namespaces")
            text = f"no namespace {packet.namespace!r:.64}"
            await self._house.answers.tell(self, packet, "unknown_namespace", text)
            return
        client = self.client(packet.namespace)
        client.data = packet.data
        try:
            for seen in dispatcher.message:
                await self._caller.call(seen, packet.event, client, packet.data)
            handler = dispatcher.find(packet.event, packet.namespace)
            if handler is None:
                if not self._house.answers_unknown:
                    return
                self._house.count("unknown_events")
                raise EventError("unknown_event", f"no event {packet.event!r:.64}")
            result = await self._caller.call(handler, packet.event, client, packet.data)
            if packet.id is not None:
                await self._send(Outgoing(self._house.codec.ack(packet.id, result)))
        except Exception as error:
            await self._house.answers.to_failure(self, packet, error)

    def count(self, what: str) -> None:
        """See `Addressee`."""
        self._house.count(what)

    # -- ending ------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Disconnect: write what was emitted before, say goodbye, end.

        Before it is set up there is nothing to do that with: then it is put off.
        """
        if self.close_code is not None:
            return
        self.close_code, self.close_reason = code, reason
        if self.is_set_up:
            self._finish(code, reason)

    def _finish(self, code: int, reason: str) -> None:
        if self._house.registry.context.mailbox.pending:
            # What was published before is on its way to the outbox.
            self.context.runtime.start_task(self._finish_in_order, code, reason)
        else:
            self.writer.finish(code, reason)
        self._stop()

    async def _finish_in_order(self, code: int, reason: str) -> None:
        await settled(self._house.registry)
        self.writer.finish(code, reason)

    def lost(self, code: int, reason: str) -> None:
        """The client has gone by itself."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self.writer.abandon()
        self._stop()

    def too_slow(self, cause: str) -> None:
        """Give the client up: what waits for it is let go at once."""
        self._house.count(cause)
        if self.close_code is None:
            self.close_code, self.close_reason = 1013, f"too slow: {cause}"
            CLIENT_TOO_SLOW.log(sid=self.sid, cause=cause)
        if cause == STALLED:
            self.writer.abandon()
            self.transport.abort()
        else:
            # It may only be slow: then it can be told why.
            self.writer.finish(self.close_code, self.close_reason, drop=True)
        self._stop()

    def _stop(self) -> None:
        self.context.ref.stop_nowait(Shutdown())
        if self._patience is None:
            self._limit(self.stop_grace)

    def _limit(self, seconds: float) -> None:
        """What comes now takes so long at most, and a little."""
        if self._patience is not None:
            self._patience.settle()
        self._patience = ring_after(
            self.context.runtime, seconds + KILL_GRACE, self._out_of_patience
        )

    def _out_of_patience(self) -> None:
        """A handler goes on although it was cancelled: end without it."""
        HANDLER_NOT_CANCELLED.log(sid=self.sid)
        if self._leaving:
            self.let_go()
        self.context.ref.kill()
