"""Voice: the half of a connection that its client is spoken to through.

What a `Client` does goes through here: events and calls to the outbox, rooms to
the registry.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from anyio.lowlevel import checkpoint

from ..actors import Actor, ActorNotAlive, MailboxOptions, Registry, Runtime
from ._acks import Acks, Callback
from ._admission import Admission
from ._alarm import Alarm, ring_after
from ._answers import Answers
from ._asgi import Scope
from ._bans import BANNED
from ._bucket import Rates
from ._calling import Caller
from ._checks import check_int
from ._client import Client
from ._codec import Codec, NotEncodable
from ._couriers import Couriers
from ._dispatcher import ROOT, Dispatcher, check_event
from ._errors import ClientGone
from ._events import EXPIRED_OF, NOT_IDENTIFIED, NOT_TOLD
from ._history import Histories
from ._identity import EXPIRED, UNIDENTIFIED, Credentials, Identity
from ._options import Options
from ._outgoing import Outgoing
from ._position import Joined, check_since
from ._presence import Presences, make_card
from ._pulse import Pulse
from ._rooms import Rooms, check_room
from ._writer import Writer

# Messages between two checkpoints of whoever emits them.
_PER_TURN = 64

M = TypeVar("M")


class House(Protocol):
    """What a connection needs of the server it lives in."""

    options: Options
    admission: Admission
    answers: Answers
    outbox_bounds: MailboxOptions
    codec: Codec
    dispatcher: Dispatcher
    registry: Registry
    histories: Histories
    presences: Presences
    answers_unknown: bool
    rates: Rates | None
    pulse: Pulse | None
    client_class: type[Client]
    couriers: Couriers | None

    def caller(self) -> Caller:
        """Who calls the handlers of a new client."""
        ...

    def next_id(self) -> int:
        """An id for an ack, used once."""
        ...

    def count(self, what: str) -> None:
        """Count something that happened."""
        ...


class Voice(Actor[M]):
    """Base of `Connection`, which sets what is only declared here."""

    __slots__ = (
        "_acks",
        "_anonymity",
        "_clients",
        "_credentials",
        "_emitted",
        "_house",
        "_rooms",
        "_session",
        "close_code",
        "identity",
        "sid",
        "writer",
    )

    scope: Scope
    close_reason: str
    is_set_up: bool
    writer: Writer
    _acks: Acks
    _rooms: Rooms

    def __init__(self, house: House, sid: str, identity: Identity | None) -> None:
        self._house = house
        self.sid: str = sid
        self.identity = identity
        # Made for an identity that expires.
        self._credentials: Credentials | None = None
        # Rings where it has to say who it is, and does not.
        self._anonymity: Alarm | None = None
        self.close_code: int | None = None
        self._session: dict[str, Any] | None = None
        self._emitted = 0
        self._clients: dict[str, Client] = {}

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Disconnect."""

    @abstractmethod
    def reject(self, code: int, reason: str) -> None:
        """Turn away."""

    # -- sending -----------------------------------------------------------

    async def send(self, item: Outgoing) -> bool:
        """Put *item* in the outbox, waiting for room; False if it is closed."""
        self._emitted += 1
        if not self._emitted % _PER_TURN:
            # A client that keeps up never makes its handler wait for room.
            await checkpoint()
        if self.close_code is not None:
            return False
        outbox = self.writer.outbox
        wait = not item.volatile
        try:
            return await self._house.registry.deliver(outbox, item, wait=wait)
        except ActorNotAlive:
            return False  # everything ends, and the rooms went first

    async def _send(self, item: Outgoing) -> None:
        if not await self.send(item):
            raise ClientGone(self.sid)

    async def emit(
        self,
        event: str,
        data: object,
        namespace: str,
        callback: Callback | None,
        volatile: bool,
    ) -> None:
        """See `Client.emit`."""
        check_event(event)
        id = None if callback is None else self._house.next_id()
        frame = self._house.codec.event(event, data, namespace, id)
        seconds = self._house.options.ack_seconds
        await self._send(
            Outgoing(
                frame, id=id, callback=callback, seconds=seconds, volatile=volatile
            )
        )

    async def call(
        self, event: str, data: object, namespace: str, timeout: float | None
    ) -> object:
        """See `Client.call`."""
        check_event(event)
        id = self._house.next_id()
        frame = self._house.codec.event(event, data, namespace, id)
        seconds = self._house.options.ack_seconds if timeout is None else timeout
        ask = self._acks.expect(id, event, seconds)
        try:
            await self._send(Outgoing(frame))
        except BaseException:
            self._acks.forget(id)
            raise
        return await self._acks.wait(id, ask)

    # -- identity ----------------------------------------------------------

    def identify(self, identity: Identity) -> None:
        """See `Client.identify`."""
        if not isinstance(identity, Identity):  # pyright: ignore[reportUnnecessaryIsInstance]  # for who has no types
            raise TypeError(f"identity must be an Identity, got {identity!r:.64}")
        if not self.connected:
            raise ClientGone(self.sid)
        if self.identity is not None and self.identity.user != identity.user:
            raise ValueError(
                f"client {self.sid} is {self.identity.user!r}, and cannot become "
                f"{identity.user!r}"
            )
        self.identity = identity
        if self._house.admission.bans.holds("user", identity.user):
            self.put_out(*BANNED)
        else:
            self._hold(identity)

    def _begin_to_hold(self, runtime: Runtime) -> None:
        """It was let in: see to it that what is known of it ends when it shall."""
        seconds = self._house.options.identify_seconds
        if self.identity is not None:
            self._hold(self.identity)
        elif seconds:
            self._anonymity = ring_after(runtime, seconds, self._unidentified)

    def _hold(self, identity: Identity) -> None:
        """See to it that *identity* ends when it shall."""
        if self._anonymity is not None:
            self._anonymity.settle()
        if identity.seconds is not None:
            if self._credentials is None:
                notice = self._house.options.renew_seconds
                self._credentials = Credentials(
                    self.context.runtime, notice, self._expiring, self._expired
                )
            self._credentials.last(identity.seconds)
        elif self._credentials is not None:
            self._credentials.cancel()

    def _expiring(self, seconds: float) -> None:
        try:
            frame = self._house.codec.event(
                "expiring", {"seconds": seconds}, ROOT, None
            )
        except NotEncodable as error:
            NOT_TOLD.log(error, sid=self.sid)
            return
        # Not waited for, and no reason to give a slow client up.
        self.writer.outbox.put(Outgoing(frame, volatile=True))

    def _expired(self) -> None:
        if self.connected:
            self._house.count("expired")
            EXPIRED_OF.log(sid=self.sid, user=self.user)
        self.put_out(*EXPIRED)

    def _unidentified(self) -> None:
        if self.connected:
            self._house.count("unidentified")
            NOT_IDENTIFIED.log(sid=self.sid)
            self.put_out(*UNIDENTIFIED)

    def _hold_no_more(self) -> None:
        """It has gone: nothing of it has to end."""
        if self._credentials is not None:
            self._credentials.cancel()
        if self._anonymity is not None:
            self._anonymity.settle()

    def put_out(self, code: int, reason: str) -> None:
        """Disconnect it; from now on nothing of it counts, not even an ack."""
        self.close(code, reason)
        if self.is_set_up:
            # Else they were taken until the handler in flight has had its grace.
            self._acks.fail_all(ClientGone(self.sid))

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
    def subprotocol(self) -> str | None:
        """See `Client.subprotocol`."""
        return self._house.admission.subprotocol(self.scope)

    @property
    def user(self) -> str | None:
        """Who it is, where that is known."""
        return None if self.identity is None else self.identity.user

    @property
    def connected(self) -> bool:
        """See `Client.connected`."""
        return self.close_code is None

    def rooms(self, namespace: str) -> frozenset[str]:
        """See `Client.rooms`."""
        return self._rooms.names(namespace)

    async def join(
        self,
        namespace: str,
        room: str,
        since: Mapping[str, Any] | None,
        recent: int,
        presence: bool | Mapping[str, Any],
    ) -> Joined:
        """See `Client.join`."""
        check_room(room)
        position = check_since(since)
        check_int("recent", recent, 0)
        user = self.sid if self.identity is None else self.identity.user
        card = make_card(user, presence)
        if not self.connected:
            raise ClientGone(self.sid)
        house = self._house
        introduce = None
        if card is not None:
            group, ref = (namespace, room), self.context.ref
            introduce = partial(house.presences.enter, group, ref, card)
        joined = await self._rooms.join(
            namespace, room, house.histories, position, recent, introduce
        )
        if position is not None:
            house.count("recovered" if joined.recovered else "not_recovered")
        return joined

    async def hide(self, namespace: str, room: str) -> None:
        """See `Client.hide`."""
        check_room(room)
        self._house.presences.leave((namespace, room), self.context.ref)

    async def leave(self, namespace: str, room: str) -> None:
        """See `Client.leave`."""
        check_room(room)
        await self._rooms.leave(namespace, room)
