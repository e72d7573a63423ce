"""Client: what a handler sees of a connection, from one namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping
from typing import Any, Protocol, final
from urllib.parse import parse_qsl

from ._acks import Callback
from ._asgi import Scope
from ._identity import Identity
from ._position import Joined


class Link(Protocol):
    """What a client needs of its connection."""

    sid: str
    scope: Scope
    close_reason: str
    identity: Identity | None

    @property
    def close_code(self) -> int | None:
        """The close code; None while it is connected."""
        ...

    @property
    def session(self) -> dict[str, Any]:
        """A dict for the handlers."""
        ...

    @property
    def connected(self) -> bool:
        """Whether messages can still be sent."""
        ...

    @property
    def subprotocol(self) -> str | None:
        """What was agreed."""
        ...

    def rooms(self, namespace: str) -> frozenset[str]:
        """The rooms it is in."""
        ...

    async def emit(
        self,
        event: str,
        data: object,
        namespace: str,
        callback: Callback | None,
        volatile: bool,
    ) -> None:
        """Send an event."""
        ...

    async def call(
        self, event: str, data: object, namespace: str, timeout: float | None
    ) -> object:
        """Send an event and wait for the ack."""
        ...

    async def join(
        self,
        namespace: str,
        room: str,
        since: Mapping[str, Any] | None,
        recent: int,
        presence: bool | Mapping[str, Any],
    ) -> Joined:
        """Enter a room."""
        ...

    async def hide(self, namespace: str, room: str) -> None:
        """Be present in a room no more."""
        ...

    async def leave(self, namespace: str, room: str) -> None:
        """Leave a room."""
        ...

    def identify(self, identity: Identity) -> None:
        """Say who it is."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Disconnect."""
        ...

    def reject(self, code: int, reason: str) -> None:
        """Turn away."""
        ...


@final
class Done(Awaitable[None]):
    """Something that has been done already; awaiting it is allowed."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        """Return at once."""
        return
        yield


class Client:
    """One connected client, as the handlers of one namespace see it.

    Attributes:
        namespace: The namespace of the handler that it was given to.
        data: The data of the latest event in this namespace.
    """

    def __init__(self, link: Link, namespace: str) -> None:
        self._link = link
        self.namespace = namespace
        self.data: Any = None

    def __repr__(self) -> str:
        return f"<Client {self.sid} {self.namespace}>"

    @property
    def sid(self) -> str:
        """Its id: unguessable, never used twice, the same in all namespaces."""
        return self._link.sid

    @property
    def session(self) -> dict[str, Any]:
        """Whatever the application keeps about it, as long as the sid lives."""
        return self._link.session

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms it is in, in this namespace.

        In ``on_disconnect``, those it has just left.
        """
        return self._link.rooms(self.namespace)

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the handshake."""
        return self._link.scope

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the handshake, names in lower case; repeated ones joined."""
        return headers_of(self._link.scope)

    @property
    def address(self) -> str | None:
        """Its address, as the server reports it: behind a proxy, the proxy's."""
        return address_of(self._link.scope)

    @property
    def query_params(self) -> Mapping[str, str]:
        """The parameters of the handshake's URL; of repeated ones the last."""
        return query_of(self._link.scope)

    @property
    def subprotocol(self) -> str | None:
        """The one of `Options.subprotocols` that was agreed with it; None for none."""
        return self._link.subprotocol

    @property
    def identity(self) -> Identity | None:
        """Who it is; None while nobody has said so."""
        return self._link.identity

    def identify(self, identity: Identity) -> None:
        """Say who it is, from now on: for the first time, or for longer.

        For clients that bring their credentials in a message, or renew them.
        Those whose user is banned are disconnected.

        Raises:
            TypeError: *identity* is no `Identity`.
            ValueError: It has been identified as somebody else.
            ClientGone: It has disconnected.
        """
        self._link.identify(identity)

    @property
    def connected(self) -> bool:
        """Whether messages can still be sent to it."""
        return self._link.connected

    @property
    def close_code(self) -> int | None:
        """The close code, as the server reports it; None while it is connected."""
        return self._link.close_code

    @property
    def close_reason(self) -> str:
        """Why it was closed, in words; often none."""
        return self._link.close_reason

    async def emit(
        self,
        event: str,
        data: Any = None,
        *,
        callback: Callback | None = None,
        volatile: bool = False,
    ) -> None:
        """Send an event to this client.

        Returns when its outbox has accepted it, and waits while that is full:
        the backpressure that a streaming handler needs.  While there is room it
        does not yield, but for one message in 64: a client that keeps up must not
        keep all others from their turns.  In order with all else that this task
        emits.

        Args:
            event: Its name.
            data: Whatever the codec can encode.
            callback: Called with the client's ack, if one comes in time.
            volatile: Do not wait for room; without it the event is dropped.

        Raises:
            ClientGone: It has disconnected.
            NotEncodable: *data* has no form on the wire.
        """
        await self._link.emit(event, data, self.namespace, callback, volatile)

    async def call(
        self, event: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Send an event and wait for the client's ack; return its data.

        Args:
            event: Its name.
            data: Whatever the codec can encode.
            timeout: Seconds; by default the adapter's ``ack_seconds``.

        Raises:
            ValueError: *timeout* is NaN.
            AckTimeout: No ack came in time.
            AckFailed: The client answered with an error.
            ClientGone: It has disconnected, perhaps while this waited.
            NotEncodable: *data* has no form on the wire.
        """
        return await self._link.call(event, data, self.namespace, timeout)

    async def join(
        self,
        room: str,
        *,
        since: Mapping[str, Any] | None = None,
        recent: int = 0,
        presence: bool | Mapping[str, Any] = False,
    ) -> Joined:
        """Enter *room* of this namespace; in it when this returns.

        Entering twice is fine.  What is emitted to the room after this reaches
        the client; membership ends with the connection.

        With *since*, the client gets what was emitted to the room with
        ``history=True`` after that position, before anything newer; this waits
        while its outbox is full.  If not all of that is kept any more, it gets
        nothing of it, and ``recovered`` is False.  For a client that is in the room
        already this does not wait: where its outbox has no room for all of it, the
        overflow policy decides, as for any message to the room.

        With *recent*, it then gets the last messages that are kept, in the same
        way; and so does who names no position.  They replace whatever it has shown
        before.

        Args:
            room: Its name.
            since: The position that the client was at: `Joined.position` of the last
                time, with the ``offset`` of the last message it got since then.
            recent: So many of the last messages, at most, where *since* is None or
                cannot be recovered.  All that are kept at most; a client that is in
                the room already gets them again.
            presence: Whether its user is present in the room, for the others to
                see; or what they shall see of it, which replaces what was shown
                before: at most 4096 bytes of JSON.  False leaves it as it is; see
                `hide`, and `ActorAdapter.presence`.

        Returns:
            Whether it has all that it missed, and the position it is at.

        Raises:
            ValueError: *room* is no str of 1 to 256 characters, or looks like a
                sid, or is one room too many; or *since* is no position, or *recent* is
                negative, or *presence* is too large.
            TypeError: *recent* is no int, or *presence* neither a bool nor a mapping.
            NotEncodable: *presence* has no form in JSON.
            ClientGone: It has disconnected.
        """
        return await self._link.join(self.namespace, room, since, recent, presence)

    async def hide(self, room: str) -> None:
        """Be present in *room* of this namespace no more, and stay in it.

        The room is told as if it had left; unless another connection of its user
        is present there, which is then the one that is shown.

        Raises:
            ValueError: *room* cannot name a room.
        """
        await self._link.hide(self.namespace, room)

    async def leave(self, room: str) -> None:
        """Leave *room* of this namespace, if it is in it."""
        await self._link.leave(self.namespace, room)

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; does not wait for that.

        What was emitted before is still written, for a short while; what is
        emitted after is refused.  Handlers in flight, the caller among them, get
        a short grace.

        Args:
            code: A close code of RFC 6455: 1000 to 1014 without the reserved
                ones, or 3000 to 4999.
            reason: Words for the client, at most 123 bytes of UTF-8.
        """
        check_close(code, reason)
        self._link.close(code, reason)

    def reject(self, code: int = 1008, reason: str = "") -> Awaitable[None]:
        """In ``on_connect``: turn this client away.

        It is closed with *code* and *reason* once the handler has returned, no
        other handler sees it, and ``on_disconnect`` is not called for it.  May
        be awaited or not.

        Raises:
            RuntimeError: It is connected already; see `disconnect`.
        """
        check_close(code, reason)
        self._link.reject(code, reason)
        return Done()


def address_of(scope: Scope) -> str | None:
    """The address of the client of an ASGI scope; None for a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else None


def query_of(scope: Scope) -> dict[str, str]:
    """The parameters of the URL of an ASGI scope; of repeated ones the last."""
    query: bytes = scope.get("query_string", b"")
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of an ASGI scope, as text."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def check_close(code: object, reason: object) -> None:
    """Refuse what cannot stand in a close frame (RFC 6455, section 7.4)."""
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"code must be an int, got {code!r}")
    reserved = code in (1004, 1005, 1006)
    if reserved or not (1000 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError(
            f"code must be 1000 to 1014 (but not 1004, 1005, 1006) or 3000 to 4999, "
            f"got {code!r}"
        )
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, got {reason!r}")
    if len(reason.encode()) > 123:
        raise ValueError("reason must be at most 123 bytes of UTF-8")
