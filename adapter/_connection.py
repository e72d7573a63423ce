"""Connection, an actor: one for each socket.

Three activities, none of which waits for another: the *reader* takes frames
from the transport, in the server's task; the *handler*, this actor, takes one
message at a time from its inbox; the *writer* empties the outbox.

When the client goes: the handler in flight gets a short grace, then is
cancelled; the sid leaves every room; who waits for its acks is told;
``on_disconnect`` runs, once; the actor is gone.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, final

import anyio

from ..actors import (
    Actor,
    ActorNotAlive,
    Crashed,
    ExitReason,
    MailboxOptions,
    Registry,
    Runtime,
    Shutdown,
)
from ._acks import Acks, Callback
from ._asgi import Scope
from ._client import Client
from ._codec import Codec, NotEncodable
from ._dispatcher import ROOT, Dispatcher, Handler
from ._errors import ClientGone, EventError
from ._options import Options
from ._packets import Ack, BadFrame, Event, Frame
from ._transport import Transport, TransportClosed
from ._writer import Outgoing, Writer

_log = logging.getLogger("greenroom.adapter")

ALL = "all"
"""The group of everyone; rooms are (namespace, room)."""

SID_PREFIX = "~"
"""Every sid begins with it, and no room may: a room must not be able to catch
what is meant for a client."""


class House(Protocol):
    """What a connection needs of the server it lives in."""

    options: Options
    outbox_bounds: MailboxOptions
    codec: Codec
    dispatcher: Dispatcher
    registry: Registry
    debug: bool
    answers_unknown: bool
    client_class: type[Client]

    def next_id(self) -> int:
        """An id for an ack, used once."""
        ...

    def count(self, what: str) -> None:
        """Count something that happened."""
        ...

    def connection_ended(self, connection: Connection) -> None:
        """*connection* is gone; forget it."""
        ...


@final
@dataclass(frozen=True, slots=True)
class _Opened:
    """The first message: greet the client."""


@final
@dataclass(frozen=True, slots=True)
class _Answered:
    """An ack came that a callback waits for."""

    callback: Callback
    data: object


Inbound: TypeAlias = Event | _Opened | _Answered


@final
class Connection(Actor[Inbound]):
    """One client."""

    def __init__(
        self, house: House, sid: str, scope: Scope, transport: Transport
    ) -> None:
        self._house = house
        self.sid = sid
        self.scope = scope
        self.transport = transport
        self.stop_grace = house.options.handler_grace
        self.close_code: int | None = None
        self.close_reason = ""
        # Ends the reader when the actor has ended first.
        self.reading: anyio.CancelScope | None = None
        # Whether started() has run: until then there is nothing to send through.
        self.is_set_up = False
        self._session: dict[str, Any] | None = None
        self._clients: dict[str, Client] = {}
        self._strikes = 0
        # Whether on_connect runs now, and whether it let the client in.
        self._opening = False
        self._admitted = False
        # on_disconnect has been called, or never will be.
        self._said_goodbye = False
        self._rooms_left: tuple[tuple[str, str], ...] = ()

    # -- the actor ---------------------------------------------------------

    async def started(self) -> None:
        """Set up the outbox; the first message is there before any other."""
        house = self._house
        runtime: Runtime = self.context.runtime
        self._acks = Acks(self.sid, runtime, house.options.max_acks)
        self.writer = Writer(
            self.context.path,
            self.transport,
            self._acks,
            runtime,
            house.outbox_bounds,
            house.options.send_seconds,
            too_slow=self._too_slow,
            lost=self.lost,
        )
        self.writer.start()
        self.is_set_up = True
        self.context.ref.tell(_Opened())

    async def receive(self, message: Inbound) -> None:
        """Handle one message to its end."""
        if isinstance(message, Event):
            await self._handle(message)
        elif isinstance(message, _Opened):
            await self._open()
        else:
            try:
                result = message.callback(message.data)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                _log.exception("the callback of an ack raised, client %s", self.sid)

    async def stopped(self, reason: ExitReason) -> None:
        """See the client off."""
        self._note_end(reason)
        registry = self._house.registry
        ref = self.context.ref
        groups = registry.groups_of(ref)
        self._rooms_left = tuple(group for group in groups if group != ALL)
        await registry.leave_all(ref)
        self._acks.fail_all(ClientGone(self.sid))
        await self._say_goodbye()
        with anyio.move_on_after(self._house.options.close_seconds):
            await self.writer.ended.wait()
        self._let_go()

    def killed(self) -> None:
        """See the client off without the actor's own task, which may hang."""
        if self.close_code is None:
            self.close_code, self.close_reason = 1011, ""
        self._acks.fail_all(ClientGone(self.sid))
        if not self._said_goodbye:
            self.context.runtime.start_task(self._say_goodbye)
        self._let_go()

    def _let_go(self) -> None:
        self.writer.abandon()
        if not self.writer.ended.opened:
            self.transport.abort()
        self._house.connection_ended(self)
        if self.reading is not None:
            self.reading.cancel()

    def _note_end(self, reason: ExitReason) -> None:
        """The actor ends, perhaps by an order that did not come from the client."""
        if isinstance(reason, Crashed):
            _log.error("connection %s crashed", self.sid, exc_info=reason.error)
            self._end(1011, "internal error")
        else:
            self._end(1001, "going away")

    async def _say_goodbye(self) -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        if not self._admitted:
            return
        client = self.client(ROOT)
        client.data = None
        with anyio.move_on_after(self._house.options.disconnect_seconds) as scope:
            for handler in self._house.dispatcher.disconnect:
                try:
                    await call(handler, "disconnect", client, None)
                except Exception:
                    _log.exception("on_disconnect raised, client %s", self.sid)
        if scope.cancelled_caught:
            _log.error("on_disconnect took too long, client %s", self.sid)

    # -- opening -----------------------------------------------------------

    async def _open(self) -> None:
        self._opening = True
        # Before the handlers run: whatever they have begun shall be undone.
        self._admitted = True
        client = self.client(ROOT)
        for handler in self._house.dispatcher.connect:
            try:
                await call(handler, "connect", client, None)
            except Exception as error:
                await self._handler_failed(None, error)
            if not self._admitted:
                break
        self._opening = False
        if self._admitted:
            ref = self.context.ref
            try:
                await self._house.registry.join(ALL, ref, mailbox=self.writer.outbox)
            except ActorNotAlive:
                pass  # it left while it was greeted

    def reject(self, code: int, reason: str) -> None:
        """See `Client.reject`."""
        if not self._opening:
            raise RuntimeError("reject works in on_connect only; use disconnect")
        self._admitted = False
        self._house.count("rejected")
        self.close(code, reason)

    # -- reading, in the server's task -------------------------------------

    async def read(self) -> None:
        """Read until the transport is closed, or the actor has ended."""
        ref = self.context.ref
        codec = self._house.codec
        try:
            while True:
                frame = await self.transport.receive()
                try:
                    packet = codec.decode(frame)
                except BadFrame as bad:
                    self._strike(bad)
                    continue
                if isinstance(packet, Event):
                    await ref.send(packet)
                elif isinstance(packet, Ack):
                    callback = self._acks.answered(packet.id, packet.data)
                    if callback is not None:
                        await ref.send(_Answered(callback, packet.data))
                else:
                    self._acks.failed(packet.id, packet.code, packet.message)
        except TransportClosed as closed:
            self.lost(closed.code, closed.reason)
        except ActorNotAlive:
            pass  # it is being disconnected; what still comes is not read

    def _strike(self, bad: BadFrame) -> None:
        self._house.count("strikes")
        self._strikes += 1
        if self._strikes > self._house.options.max_strikes:
            self.close(1008, "too many unreadable messages")
            return
        codec = self._house.codec
        if bad.id is None:
            answer = codec.error(bad.code, bad.message)
        else:
            answer = codec.ack_failure(bad.id, bad.code, bad.message)
        # Not waited for: who does not read its errors is too slow like any other.
        self.writer.outbox.put(answer)

    # -- handling ----------------------------------------------------------

    async def _handle(self, packet: Event) -> None:
        dispatcher = self._house.dispatcher
        if not dispatcher.knows(packet.namespace):
            await self._answer_error(
                packet, "unknown_namespace", f"no namespace {packet.namespace!r:.64}"
            )
            return
        client = self.client(packet.namespace)
        client.data = packet.data
        try:
            for seen in dispatcher.message:
                await call(seen, packet.event, client, packet.data)
            handler = dispatcher.find(packet.event, packet.namespace)
            if handler is None:
                if not self._house.answers_unknown:
                    return
                raise EventError("unknown_event", f"no event {packet.event!r:.64}")
            result = await call(handler, packet.event, client, packet.data)
            if packet.id is not None:
                await self._send(self._house.codec.ack(packet.id, result))
        except Exception as error:
            await self._handler_failed(packet, error)

    async def _handler_failed(self, packet: Event | None, error: Exception) -> None:
        if isinstance(error, EventError):
            await self._answer_error(packet, error.code, error.message)
            return
        if isinstance(error, ClientGone) and error.sid == self.sid:
            return  # it was talking to its own client, which has left
        self._house.count("handler_errors")
        name = "connect" if packet is None else packet.event
        _log.error("handler of %r failed, client %s", name, self.sid, exc_info=error)
        text = f"{type(error).__name__}: {error}" if self._house.debug else ""
        code = "not_encodable" if isinstance(error, NotEncodable) else "internal_error"
        await self._answer_error(packet, code, text or "the handler failed")

    async def _answer_error(
        self, packet: Event | None, code: str, message: str
    ) -> None:
        codec = self._house.codec
        if packet is None or packet.id is None:
            answer = codec.error(code, message)
        else:
            answer = codec.ack_failure(packet.id, code, message)
        try:
            await self._send(answer)
        except ClientGone:
            pass  # nobody to be told

    # -- sending -----------------------------------------------------------

    async def _send(self, item: Frame | Outgoing) -> None:
        if not await self._house.registry.deliver(self.writer.outbox, item):
            raise ClientGone(self.sid)

    async def emit(
        self, event: str, data: object, namespace: str, callback: Callback | None
    ) -> None:
        """See `Client.emit`."""
        id = None if callback is None else self._house.next_id()
        frame = self._house.codec.event(event, data, namespace, id)
        if callback is None or id is None:
            await self._send(frame)
        else:
            seconds = self._house.options.ack_seconds
            await self._send(Outgoing(frame, id, callback, seconds))

    async def call(
        self, event: str, data: object, namespace: str, timeout: float | None
    ) -> object:
        """See `Client.call`."""
        id = self._house.next_id()
        frame = self._house.codec.event(event, data, namespace, id)
        seconds = self._house.options.ack_seconds if timeout is None else timeout
        ask = self._acks.expect(id, event, seconds)
        try:
            await self._send(frame)
        except BaseException:
            self._acks.forget(id)
            raise
        return await self._acks.wait(id, ask)

    # -- rooms and the rest of Link ----------------------------------------

    def client(self, namespace: str) -> Client:
        """The client as handlers of *namespace* see it."""
        client = self._clients.get(namespace)
        if client is None:
            client = self._house.client_class(self, namespace)
            self._clients[namespace] = client
        return client

    @property
    def session(self) -> dict[str, Any]:
        """See `Client.session`."""
        if self._session is None:
            self._session = {}
        return self._session

    @property
    def connected(self) -> bool:
        """See `Client.connected`."""
        return self.close_code is None

    def rooms(self, namespace: str) -> frozenset[str]:
        """See `Client.rooms`."""
        groups = self._house.registry.groups_of(self.context.ref) or self._rooms_left
        return frozenset(g[1] for g in groups if g != ALL and g[0] == namespace)

    async def join(self, namespace: str, room: str) -> None:
        """See `Client.join`."""
        check_room(room)
        registry, ref = self._house.registry, self.context.ref
        if registry.is_member((namespace, room), ref):
            return
        limit = self._house.options.max_rooms
        if len(registry.groups_of(ref)) > limit:
            raise ValueError(f"client {self.sid} is in {limit} rooms, the most it may")
        try:
            await registry.join((namespace, room), ref, mailbox=self.writer.outbox)
        except ActorNotAlive:
            raise ClientGone(self.sid) from None

    async def leave(self, namespace: str, room: str) -> None:
        """See `Client.leave`."""
        check_room(room)
        await self._house.registry.leave((namespace, room), self.context.ref)

    # -- ending ------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Disconnect: write the rest, say goodbye, end."""
        if self.close_code is None:
            self._end(code, reason)
            self.context.ref.stop_nowait(Shutdown())

    def lost(self, code: int, reason: str) -> None:
        """The client has gone by itself."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self.writer.abandon()
        self.context.ref.stop_nowait(Shutdown())

    def _too_slow(self, cause: str) -> None:
        """Give the client up: what waits for it is let go at once."""
        self._house.count(cause)
        if self.close_code is None:
            self.close_code, self.close_reason = 1013, f"too slow: {cause}"
            _log.warning("client %s is too slow: %s", self.sid, cause)
        if cause == "stalled":
            self.writer.abandon()
            self.transport.abort()
        else:
            # It may only be slow: then it can be told why.
            self.writer.finish(1013, self.close_reason, drop=True)
        self.context.ref.stop_nowait(Shutdown())

    def _end(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            self.writer.finish(code, reason)


async def call(handler: Handler, event: str, client: Client, data: Any) -> Any:
    """Call *handler*, async or plain."""
    result = handler(event, client, data)
    if inspect.isawaitable(result):
        return await result
    return result


def check_room(room: object) -> None:
    """Refuse what cannot name a room.

    Raises:
        ValueError: It is not a non-empty str, or looks like a sid.
    """
    if not isinstance(room, str) or not room:
        raise ValueError(f"room must be a non-empty str, got {room!r}")
    if room.startswith(SID_PREFIX):
        raise ValueError(f"room must not begin with {SID_PREFIX!r}, got {room!r}")
