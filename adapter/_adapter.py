"""ActorAdapter: the public face; a Nestipy ``IoAdapter`` and an ASGI app."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, final

from ..supervision import ActorSystem
from ._admission import Authenticate, check_authenticate
from ._asgi import AsgiTransport, Receive, Scope, Send, owns
from ._checks import check_int, check_number
from ._codec import Codec
from ._dispatcher import ROOT, Dispatcher, Handler, check_namespace
from ._drain import Farewell
from ._emitter import Emitter
from ._envelope import JsonEnvelope
from ._events import ADAPTER_FAILED
from ._health import Health, answer, asks_for_health
from ._hooks import PayloadHooks, PostProcess, Preprocess
from ._moderation import Moderation
from ._nestipy import NestipyHost
from ._options import Options
from ._pulse import patience_of
from ._sending import Sending
from ._server import Server
from ._statistics import AdapterStatistics
from ._transport import Transport

H = TypeVar("H", bound=Handler)
A = TypeVar("A", bound=Authenticate)


@final
class ActorAdapter(Sending, Moderation):
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
            patience = patience_of(self.options)
            transport = AsgiTransport(scope, receive, send, longest, patience)
            await self._server.serve(scope, transport)
            await transport.leave()
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
