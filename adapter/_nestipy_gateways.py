"""What a Nestipy gateway wants: its methods called, and a client it knows.

Facts of Nestipy 0.10.1, kept apart from what knows nothing of Nestipy.  This is
used once an application has imported it, and only then.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar, Protocol, cast, final

from ._asgi import Receive, Scope, Send
from ._client import Client, Link
from ._dispatcher import Dispatcher
from ._errors import ClientGone, EventError

# Nestipy is untyped where it matters here, and may not be there at all: these
# say what is used of it.


class HttpAdapter(Protocol):
    """What serves HTTP in a Nestipy app, and knows the adapter."""

    startup_hooks: list[object]

    def get_instance(self) -> Callable[[Scope, Receive, Send], Awaitable[object]]:
        """The web application: FastAPI's, say."""
        ...

    def get_io_adapter(self) -> object:
        """What ``use_io_adapter`` was given."""
        ...


class Container(Protocol):
    """Who makes and keeps the instances; there is one at a time."""

    async def get(self, key: object, method: str = ...) -> Any:
        """An instance, or what one of its methods returns."""
        ...

    async def preload_request_scoped_properties(self) -> None:
        """Make the request-scoped instances that stand in attributes."""
        ...


class _Contexts(Protocol):
    def set_execution_context(self, context: object) -> None:
        """Set who handles what in this task."""
        ...

    def destroy(self) -> None:
        """Forget the execution context and the request-scoped instances."""
        ...


# -- the client ------------------------------------------------------------


class _Connection(Link, Protocol):
    """The link of a client, in full."""

    def client(self, namespace: str) -> Client:
        """The client as handlers of *namespace* see it."""
        ...


class GatewayClient(Client):
    """A client that is a ``nestipy.websocket.Websocket`` as well.

    `client_class` makes the class that is both.  Where the two have the same
    name, as with ``headers`` or ``session``, it is `Client` that answers; what
    else a Nestipy request has, ``cookies`` or ``user``, works as there.
    """

    _websocket: ClassVar[Callable[..., object]]

    def __init__(self, link: Link, namespace: str) -> None:
        super().__init__(link, namespace)
        # Websocket's own __init__ would assign what is read-only here.
        like = self._websocket(namespace, link.sid, None, link.scope, None, None)
        for name, value in vars(like).items():
            if not hasattr(self, name):
                vars(self)[name] = value

    @property
    def session(self) -> dict[str, Any]:
        """See `Client.session`; what is assigned replaces its content."""
        return self._link.session

    @session.setter
    def session(self, session: Mapping[str, Any]) -> None:
        content = dict(session)
        self._link.session.clear()
        self._link.session.update(content)

    async def send(self, message: object) -> None:
        """Refuse: past the outbox there is neither order nor backpressure."""
        raise RuntimeError(
            "client.send is not available; use await client.emit(event, data), "
            "or await client.disconnect(code, reason)"
        )

    async def receive(self) -> object:
        """Refuse: what the client sends goes to the handlers."""
        raise RuntimeError(
            "client.receive is not available; a client's messages are given to "
            "the methods that subscribe to them"
        )

    def seen_from(self, namespace: str) -> Client:
        """The same client as handlers of *namespace* see it."""
        # Every link is a connection; Client itself needs less of it.
        return cast("_Connection", self._link).client(namespace)


def client_class() -> type[Client]:
    """The class of clients that gateways can take for Nestipy's own."""
    websocket = import_module("nestipy.websocket").Websocket
    made = type("GatewayClient", (GatewayClient, websocket), {"_websocket": websocket})
    return cast("type[Client]", made)


# -- a gateway's methods ---------------------------------------------------


@final
class GatewayMethod:
    """One method of a gateway, as a handler.

    It does what the function does that Nestipy registers for the method, and

    - begins with a clean request context, whatever ran in this task before;
    - fills request-scoped attributes of the gateway, not parameters alone;
    - returns what the method returned, for the ack, and lets its exception out,
      so that the client gets the adapter's answer to it;
    - sends a result under the event at hand where Nestipy would use one of its
      internal names: "connect" for ``@OnConnect()``, that of the message for
      ``@SubscribeMessage()``.  What ``@OnDisConnect()`` returns is dropped.

    ``SuccessEvent`` and ``ErrorEvent`` rename as they do in Nestipy; the text of
    an exception is left out unless it was meant for the client.
    """

    def __init__(
        self, found: Mapping[str, Any], namespace: str, *, debug: bool
    ) -> None:
        decorators = import_module("nestipy.websocket.decorator")
        common, core, ioc, metadata = (
            import_module(f"nestipy.{name}")
            for name in ("common", "core", "ioc", "metadata")
        )
        self._container: Callable[[], Container] = ioc.NestipyContainer.get_instance
        self._contexts: _Contexts = ioc.RequestContextContainer.get_instance()
        self._execution_context: Callable[..., object] = core.ExecutionContext
        self._http_exception: type[Exception] = common.HttpException
        self.http: HttpAdapter = found["self"].adapter
        self._module: object = found["module_ref"]
        self._gateway: object = found["gateway"]
        self._name: str = found["method_name"]
        self._method: object = getattr(self._gateway, self._name)
        self._namespace = namespace
        self._debug = debug
        subscribed: str = found["event_name"]
        self.takes_any = subscribed == decorators.WS_MESSAGE_SUBSCRIBE
        # Nobody is left to be told what came of a disconnect.
        self._emits = subscribed != decorators.EVENT_ON_DISCONNECT
        self._success_event: str | None = metadata.Reflector.get_metadata(
            self._gateway, decorators.SUCCESS_EVENT_KEY, None
        )
        self._error_event: str | None = metadata.Reflector.get_metadata(
            self._gateway, decorators.ERROR_EVENT_KEY, None
        )

    async def __call__(self, event: str, client: Client, data: Any) -> Any:
        """Call the method as Nestipy does, with what it wants to be given."""
        # Connects and disconnects come as the root sees them.
        if client.namespace != self._namespace and isinstance(client, GatewayClient):
            client = client.seen_from(self._namespace)
        container = self._container()
        self._contexts.destroy()
        self._contexts.set_execution_context(
            self._execution_context(
                self.http,
                self._module,
                self._gateway,
                self._method,
                *(None, None, None, None),  # no request, response or GraphQL
                self.http.get_io_adapter(),
                client,
                data,
            )
        )
        try:
            await container.preload_request_scoped_properties()
            result = await container.get(self._gateway, self._name)
            # Of a plain method behind which a coroutine hides: a decorator's.
            if inspect.isawaitable(result):
                result = await result
            if result is not None and self._emits:
                await client.emit(self._success_event or event, result)
            return result
        except Exception as error:
            if self._error_event is not None:
                with suppress(ClientGone):
                    await client.emit(self._error_event, self._words_of(error))
            raise
        finally:
            self._contexts.destroy()

    def _words_of(self, error: Exception) -> str:
        if isinstance(error, EventError):
            return error.message
        if self._debug or isinstance(error, self._http_exception):
            return str(error)
        return "the handler failed"


@final
class CatchAll:
    """The ``@SubscribeMessage()`` methods of one namespace.

    They see every event of the namespace.  For one that no other handler wants
    they are its handler, so that it is known, and what they return its ack.
    """

    def __init__(self, dispatcher: Dispatcher, namespace: str) -> None:
        self._dispatcher = dispatcher
        self._namespace = namespace
        self.methods: list[GatewayMethod] = []

    async def see(self, event: str, client: Client, data: Any) -> None:
        """Call them for an event that has a handler of its own."""
        if client.namespace == self._namespace:
            handler = self._dispatcher.find(event, self._namespace)
            if handler != self.handle:
                await self.handle(event, client, data)

    async def handle(self, event: str, client: Client, data: Any) -> Any:
        """Call them for an event; the last result that is not None."""
        result = None
        for method in self.methods:
            latest = await method(event, client, data)
            result = result if latest is None else latest
        return result
