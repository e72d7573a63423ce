"""ActorAdapter: the public face; a Nestipy ``IoAdapter`` and an ASGI app."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast, final

from ..supervision import ActorSystem
from ._acks import Callback
from ._admission import Authenticate, check_authenticate
from ._asgi import AsgiTransport, Receive, Scope, Send, owns
from ._bans import BANNED, Ban
from ._checks import check_int, check_number
from ._client import check_close
from ._codec import Codec
from ._dispatcher import ROOT, Dispatcher, Handler, check_namespace
from ._drain import Farewell
from ._emitter import Emitter
from ._envelope import JsonEnvelope
from ._errors import ClientGone
from ._events import ADAPTER_FAILED, BANNED_FROM, KICKED
from ._health import Health, answer, asks_for_health
from ._hooks import PayloadHooks, PostProcess, Preprocess
from ._nestipy import NestipyHost
from ._options import Options
from ._presence import Present
from ._rooms import check_room
from ._server import Server
from ._statistics import AdapterStatistics
from ._transport import Transport
from ._whom import whom

H = TypeVar("H", bound=Handler)
A = TypeVar("A", bound=Authenticate)


@final
class ActorAdapter:
    """Live connections, each a supervised actor.

    It is an ASGI app: it takes the WebSocket requests below *path* and the
    lifespan, and returns whether a scope was its own, so that it can stand in
    front of another app.  It is what Nestipy's ``app.use_io_adapter`` wants.
    Mounted where the lifespan does not come, enter `running`.

    Handlers are ``handler(event, client, data)``, async or plain.  Those of one
    client run one at a time, in the order of its messages; those of different
    clients side by side.

    Args:
        path: Where it stands; matched by whole segments.
        preprocess_payload: Makes ``(event, data)`` of a message, as for Nestipy's
            own adapter.  With either hook the wire is the application's, and
            has neither namespaces nor acks.
        post_process_payload: Makes a message of ``(event, data)``.
        options: Every bound and deadline.
        debug: Show clients the text of exceptions.

    Raises:
        TypeError, ValueError: An argument is wrong; says which, and what was
            expected.
    """

    def __init__(
        self,
        path: str = "/ws",
        preprocess_payload: Preprocess | None = None,
        post_process_payload: PostProcess | None = None,
        *,
        options: Options | None = None,
        debug: bool = False,
    ) -> None:
        self._path = _check_path(path)
        if options is not None:
            _check_type("options", options, Options)
        _check_type("debug", debug, bool)
        self.options: Options = options or Options()
        # Without the envelope there are no namespaces: all is the root.
        self._has_envelope = preprocess_payload is None and post_process_payload is None
        codec: Codec
        if self._has_envelope:
            codec = JsonEnvelope(
                max_bytes=self.options.max_message_bytes,
                max_depth=self.options.max_depth,
            )
        else:
            codec = PayloadHooks(
                preprocess_payload,
                post_process_payload,
                self._path.strip("/"),
                max_bytes=self.options.max_message_bytes,
            )
            if self.options.ping_seconds:
                raise ValueError(
                    "ping_seconds needs the JSON envelope: with payload hooks no "
                    "client can answer a ping; use idle_seconds"
                )
        self._dispatcher = Dispatcher()
        self._server = Server(
            self.options,
            codec,
            self._dispatcher,
            debug=debug,
            answers_unknown=self._has_envelope,
        )
        self._emitter = Emitter(self._server)
        self._nestipy = NestipyHost(self, self._server, self._space)

    def __repr__(self) -> str:
        return f"<ActorAdapter {self._path}>"

    # -- handlers ----------------------------------------------------------

    def on(self, event: str, namespace: str | None = None) -> Callable[[H], H]:
        """Make the decorated function the handler of *event*.

        What it returns answers the client's ack, if the client asked for one.
        ``"*"`` is every event of the namespace without a handler of its own.
        A later handler replaces an earlier one.

        Raises:
            TypeError, ValueError: *event* or *namespace* cannot be one, or what
                is decorated is no function.
        """
        register = self._dispatcher.on(event, self._space(namespace))
        return self._nestipy.adopting(register)

    def on_connect(self) -> Callable[[H], H]:
        """Call the decorated function for each new client, before its messages.

        It may turn the client away; see `Client.reject`.
        """
        register = self._dispatcher.append_to(self._dispatcher.connect)
        return self._nestipy.adopting(register)

    def on_message(self) -> Callable[[H], H]:
        """Call the decorated function for each event, before the event's handler.

        If it raises, the event's handler is not called.
        """
        register = self._dispatcher.append_to(self._dispatcher.message)
        return self._nestipy.adopting(register)

    def on_disconnect(self) -> Callable[[H], H]:
        """Call the decorated function once for each client that has gone.

        ``client.close_code`` and ``client.close_reason`` say how.  Its rooms are
        left by then, and what is emitted to it is refused.
        """
        register = self._dispatcher.append_to(self._dispatcher.disconnect)
        return self._nestipy.adopting(register)

    def authenticate(self) -> Callable[[A], A]:
        """Ask the decorated function, before a client is accepted, who it is.

        It is given the `Handshake` and returns an `Identity`; or None, and the client
        is refused with HTTP 401; or it raises `HandshakeRefused` with a status.
        Async or plain; it may take ``handshake_seconds``.  A later one replaces
        an earlier one.

        Raises:
            TypeError: What is decorated is no function of one argument.
        """

        def decorate(hook: A) -> A:
            check_authenticate(hook)
            self._server.admission.authenticate = hook
            return hook

        return decorate

    # -- sending -----------------------------------------------------------

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: str | Iterable[str] | None = None,
        room: str | Iterable[str] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
        history: bool = False,
    ) -> None:
        """Send *event* to clients, rooms, or everyone; each gets it once.

        Encoded once, whatever the number of receivers.  To clients by sid, it
        returns when each outbox has accepted it, and waits while one is full.
        To rooms or everyone it waits only for the registry.  Does not yield
        while there is room.  What one task emits to a client arrives in the
        order emitted.

        Args:
            event: Its name.
            data: Whatever the codec can encode.
            to: One sid or several; room names work too.
            room: One room or several.  With neither, everyone.
            skip_sid: Who shall not get it.
            namespace: Of the event, and of the rooms; the root by default.
            callback: Called with the data of each ack that comes in time.
            ignore_queue: This process only, where there are several.
            volatile: Whose outbox is full does not get it: nobody waits, and
                nobody is disconnected, for it.
            history: Keep it for clients that are away, and come back with
                ``client.join(room, since=position)``.  To exactly one *room*, and
                with neither *to* nor *callback* nor *volatile*.

        Raises:
            NotRunning: The adapter is not running.
            NotEncodable: *data* has no form on the wire.
            TypeError: An argument has the wrong type.
            ValueError: *history* cannot be.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}")
        if history:
            await self._emitter.emit_kept(
                event,
                data,
                room=_only_room(room, to, callback, volatile),
                skip=_names("skip_sid", skip_sid) or (),
                namespace=self._space(namespace),
            )
            return
        await self._emitter.emit(
            event,
            data,
            to=_names("to", to),
            rooms=_names("room", room),
            skip=_names("skip_sid", skip_sid) or (),
            namespace=self._space(namespace),
            callback=callback,
            volatile=volatile,
        )

    async def broadcast(self, event: str, data: Any = None) -> None:
        """Send *event* to everyone; see `emit`."""
        await self.emit(event, data)

    async def call(
        self,
        event: str,
        data: Any = None,
        *,
        to: str,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send *event* to one client and return the data of its ack.

        Raises:
            ClientGone: It is not connected, or left before it answered.
            AckTimeout: No ack came in time.
            AckFailed: The client answered with an error.
            NotRunning: The adapter is not running.
        """
        self._server.require_running()
        connection = self._emitter.connection(to)
        if connection is None:
            raise ClientGone(to)
        return await connection.call(event, data, self._space(namespace), timeout)

    # -- who is there ------------------------------------------------------

    def presence(self, room: str, namespace: str | None = None) -> tuple[Present, ...]:
        """Who is present in *room*: who has entered with ``presence``.

        In the order of coming.  The room's members get the event ``presence`` when
        that changes, at most every ``presence_seconds``: ``{"room": ..., "joined":
        [{"user": ..., "info": ...}], "left": [user]}``.  A client that is given this,
        by a handler that has let it enter and waits for nothing in between, and
        that then applies each of those events, knows who is present.

        Raises:
            ValueError: *room* cannot name a room.
            NotRunning: The adapter is not running.
        """
        check_room(room)
        self._server.require_running()
        return self._server.presences.who((self._space(namespace), room))

    # -- putting out -------------------------------------------------------

    async def kick(
        self,
        *,
        sid: str | None = None,
        user: str | None = None,
        address: str | None = None,
        code: int = 3003,
        reason: str = "kicked",
    ) -> int:
        """Disconnect one client, or all of a user or of an address.

        They may come back at once; see `ban`.  Does not wait for their end.

        Args:
            sid: Which client; or else
            user: the user of its `Identity`; or else
            address: the address it comes from.
            code: The close code, by default 3003, "Forbidden".
            reason: Words for the client.

        Returns:
            How many were connected.

        Raises:
            TypeError: Not exactly one of the three is given.
            NotRunning: The adapter is not running.
        """
        check_close(code, reason)
        self._server.require_running()
        meant = whom(sid, user, address)
        clients = self._server.kick(meant, code, reason)
        KICKED.log(
            kind=meant.kind, who=meant.name, clients=clients, code=code, reason=reason
        )
        return clients

    async def ban(
        self,
        *,
        user: str | None = None,
        address: str | None = None,
        seconds: float | None = None,
        reason: str = "banned",
    ) -> int:
        """Refuse a user, or an address, from now on; disconnect who is there.

        Bans are kept by this process, as long as the adapter runs and at most
        ``max_bans`` of them.

        Args:
            user: The user of an `Identity`; or else
            address: the address a client comes from: behind a proxy, the proxy's.
            seconds: For how long; by default until the adapter stops.
            reason: Words for the clients.

        Returns:
            How many were connected.

        Raises:
            TypeError: Not exactly one of the two is given.
            NotRunning: The adapter is not running.
        """
        check_close(BANNED[0], reason)
        if seconds is not None:
            check_number("seconds", seconds)
        meant = whom(None, user, address)
        self._server.require_running()
        self._server.admission.bans.add(meant.kind, meant.name, seconds)
        clients = self._server.kick(meant, BANNED[0], reason)
        BANNED_FROM.log(
            kind=meant.kind,
            who=meant.name,
            clients=clients,
            seconds=seconds,
            reason=reason,
        )
        return clients

    async def unban(
        self, *, user: str | None = None, address: str | None = None
    ) -> bool:
        """Let a user, or an address, in again; return whether it was banned."""
        meant = whom(None, user, address)
        return self._server.admission.bans.remove(meant.kind, meant.name)

    def bans(self) -> tuple[Ban, ...]:
        """Those that hold, in the order in which they were made."""
        return self._server.admission.bans.all()

    # -- running -----------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[ActorAdapter, None]:
        """Host the adapter's actors as long as the block lasts.

        For where the lifespan scope does not come: below a mount, in tests.
        Leaving the block drains.  May be entered again afterwards.

        Raises:
            RuntimeError: It is running already.
        """
        await self._nestipy.find()
        async with self._server.running():
            yield self

    @property
    def system(self) -> ActorSystem:
        """The actor system that the connections live in; spawn your own there.

        Raises:
            NotRunning: The adapter is not running.
        """
        return self._server.require_running()

    async def drain(
        self,
        deadline: float | None = None,
        batch: int | None = None,
        *,
        spread: float | None = None,
        code: int | None = None,
        reason: str = "going away",
    ) -> None:
        """Refuse new clients and see the present ones off.

        Each gets what was emitted to it before, then the close code.  A batch
        is waited for as long as its share of *deadline* lasts, then the next is
        told.  Returns when all have gone, or after *deadline*.  Cancelled, it
        goes on without being waited for; so the handler of a client may ask for it.

        Args:
            deadline: Seconds, by default ``drain_seconds``.
            batch: Clients that are told at a time, by default ``drain_batch``.
            spread: Ask clients to come back, each at a random moment within so
                many seconds, by default ``drain_spread``: the reason then ends in
                ``; retry-after=`` and seconds, such as ``2.7``.
            code: The close code, by default 1012 with a *spread*, else 1001.
            reason: Words for the clients, at most 100 bytes of UTF-8.

        Raises:
            TypeError, ValueError: An argument is wrong.
        """
        options = self.options
        farewell = Farewell(
            options.drain_spread if spread is None else spread, code, reason
        )
        deadline = options.drain_seconds if deadline is None else deadline
        batch = options.drain_batch if batch is None else batch
        check_number("deadline", deadline)
        check_int("batch", batch, 1)
        await self._server.drain(farewell, deadline, batch)

    async def close(self) -> None:
        """Drain, as Nestipy asks of an adapter when it shuts down."""
        await self.drain()

    def statistics(self) -> AdapterStatistics:
        """A frozen snapshot of what went through; see `measure` for exporters."""
        return self._server.statistics()

    def health(self) -> Health:
        """Whether clients may be sent here; the same as at ``health_path``."""
        return self._server.health()

    @property
    def path(self) -> str:
        """Where it stands."""
        return self._path

    async def serve(self, transport: Transport, scope: Scope) -> None:
        """See one connection through, whatever it is made of.

        The way in for transports other than an ASGI server's; those come by
        calling the adapter.  Runs as long as the connection lasts, and until
        ``on_disconnect`` is done.  Cancelled, it sees the client off first.

        Args:
            transport: The connection, not accepted yet.
            scope: What handlers see as ``client.scope``, for example ``headers``
                as an ASGI server gives them.
        """
        await self._server.serve(scope, transport)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serve *scope* if it is ours; return whether it was.

        What is not ours is left untouched, before anything is awaited.
        """
        kind = scope["type"]
        if kind == "websocket":
            if not owns(self._path, scope):
                return False
            longest = self.options.max_message_bytes
            transport = AsgiTransport(scope, receive, send, longest)
            await self._server.serve(scope, transport)
            return True
        if kind == "lifespan":
            return await self._lifespan(scope, receive, send)
        if kind == "http" and asks_for_health(self.options.health_path, scope):
            await answer(self.health(), scope, send)
            return True
        return False

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> bool:
        if self._server.system is not None:
            return False  # hosted from outside
        app = await self._nestipy.find()
        if app is not None:
            await self._nestipy.run(app, scope, receive, send)
            return True
        await receive()
        phase = "startup"
        try:
            async with self._server.running():
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except Exception as error:
            ADAPTER_FAILED.log(error)
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
            return True
        await send({"type": "lifespan.shutdown.complete"})
        return True

    def _space(self, namespace: str | None) -> str:
        return check_namespace(namespace) if self._has_envelope else ROOT


def host_of(adapter: ActorAdapter) -> NestipyHost:
    """What *adapter* does where Nestipy is its host."""
    return adapter._nestipy  # pyright: ignore[reportPrivateUsage]  # its own file's


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be of type {kind.__name__}, got {value!r}")


def _check_path(path: object) -> str:
    if not isinstance(path, str):
        raise TypeError(f"path must be a str, got {path!r}")
    if any(c in path for c in "?#\\ ") or not path.isprintable():
        raise ValueError(f"path must be a plain URL path such as '/ws', got {path!r}")
    return "/" + path.strip("/")


def _only_room(room: object, to: object, callback: object, volatile: bool) -> str:
    """The one room of an emit that is kept."""
    rooms = _names("room", room) or ()
    if len(rooms) != 1 or to is not None or callback is not None or volatile:
        raise ValueError(
            "with history an emit must have exactly one room, and neither to nor "
            f"callback nor volatile, got room={room!r}"
        )
    check_room(rooms[0])
    return rooms[0]


def _names(argument: str, value: object) -> tuple[str, ...] | None:
    """One name or several, as a tuple."""
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable):
        raise TypeError(f"{argument} must be a str or several, got {value!r}")
    names: list[str] = []
    for name in cast("Iterable[object]", value):
        if not isinstance(name, str):
            raise TypeError(f"{argument} must be a str or several, got {name!r} in it")
        names.append(name)
    return tuple(names)
