"""What a Nestipy gateway wants: its methods called, by Nestipy's contracts."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

from ._client import Client
from ._dispatcher import Dispatcher
from ._errors import ClientGone, EventError, Told
from ._nestipy_arguments import Arguments, Unfit, explain
from ._nestipy_client import GatewayClient
from ._nestipy_enhancers import Enhancers
from ._nestipy_facts import Container, ExecutionContext, HttpAdapter, nestipy

_log = logging.getLogger("greenroom.adapter")


@final
class GatewayMethod:
    """One method of a gateway, as a handler.

    It does what the function does that Nestipy registers for the method, and

    - begins with a clean request context, whatever ran in this task before;
    - asks the gateway's guards, sends the data through its pipes, calls the
      method through its interceptors, and its exception filters for an answer;
    - checks data against the model that the method says it wants;
    - fills request-scoped attributes of the gateway, not parameters alone;
    - returns what the method returned, for the ack, and lets its exception out,
      so that the client gets the adapter's answer to it;
    - sends a result under the event at hand where Nestipy would use one of its
      internal names: "connect" for ``@OnConnect()``, that of the message for
      ``@SubscribeMessage()``.  What ``@OnDisConnect()`` returns is dropped.

    ``SuccessEvent`` and ``ErrorEvent`` rename as they do in Nestipy, and on the
    method too; the text of an exception is left out unless it was meant for the
    client.

    Guards are not asked for ``@OnDisConnect()``, which cleans up; but it is not
    called for a client whose greeting they have refused.
    """

    def __init__(
        self, found: Mapping[str, Any], namespace: str, *, debug: bool
    ) -> None:
        nest = self._nest = nestipy()
        self.http: HttpAdapter = found["self"].adapter
        self._module: object = found["module_ref"]
        self.gateway: type = found["gateway"]
        self.name: str = found["method_name"]
        self._method: object = getattr(self.gateway, self.name)
        self._namespace = namespace
        self._debug = debug
        subscribed: str = found["event_name"]
        self.takes_any = subscribed == nest.events.WS_MESSAGE_SUBSCRIBE
        self._is_connect = subscribed == nest.events.EVENT_ON_CONNECT
        self._is_disconnect = subscribed == nest.events.EVENT_ON_DISCONNECT
        self._success_event = self._renamed(nest.events.SUCCESS_EVENT_KEY)
        self._error_event = self._renamed(nest.events.ERROR_EVENT_KEY)
        self._arguments = Arguments(nest, self.gateway, self.name)
        self._enhancers = Enhancers(
            nest, self.http, self._module, self.gateway, self._method
        )

    def __repr__(self) -> str:
        return f"<{self.gateway.__qualname__}.{self.name}>"

    def _renamed(self, key: str) -> str | None:
        of_class: str | None = self._nest.reflected(self.gateway, key, None)
        renamed: str | None = self._nest.reflected(self._method, key, of_class)
        return renamed

    async def __call__(self, event: str, client: Client, data: Any) -> Any:
        """Handle one event, or the client's coming or going."""
        # Connects and disconnects come as the root sees them.
        if client.namespace != self._namespace and isinstance(client, GatewayClient):
            client = client.seen_from(self._namespace)
        if self._is_disconnect and self._was_refused(client):
            return None
        nest = self._nest
        nest.contexts.destroy()
        context = nest.execution_context(
            self.http,
            self._module,
            self.gateway,
            self._method,
            client,  # as the request: what a guard wants of one, a handshake has
            *(None, None, None),  # no response, no GraphQL
            self.http.get_io_adapter(),
            client,
            data,
        )
        nest.contexts.set_execution_context(context)
        try:
            return await self._handle(event, client, data, context)
        finally:
            nest.contexts.destroy()

    async def _handle(
        self, event: str, client: Client, data: Any, context: ExecutionContext
    ) -> Any:
        container = self._nest.container()
        try:
            await container.preload_request_scoped_properties()
            await self._ask_guards(client, context)
            self._enhancers.set_pipes(context)
            result = await self._enhancers.intercept(
                context, lambda: self._call(container, context, client, data)
            )
            name = self._success_event or event
        except Exception as error:
            result = await self._caught(error, client, context)
            name = self._error_event or self._success_event or event
        # Nobody is left to be told what came of a disconnect.
        if result is not None and not self._is_disconnect:
            await client.emit(name, result)
        return result

    async def _ask_guards(self, client: Client, context: ExecutionContext) -> None:
        if self._is_disconnect:
            return
        try:
            await self._enhancers.check_guards(context)
        except Exception:
            if self._is_connect and isinstance(client, GatewayClient):
                client.refused_by |= {self.gateway}
            raise

    def _was_refused(self, client: Client) -> bool:
        return isinstance(client, GatewayClient) and self.gateway in client.refused_by

    async def _call(
        self, container: Container, context: ExecutionContext, client: Client, data: Any
    ) -> Any:
        arguments = await self._arguments.resolve(
            container, context, self.http.get_io_adapter(), client, data
        )
        instance = await container.get(self.gateway)
        result = getattr(instance, self.name)(**arguments)
        # Also of a plain method behind which a coroutine hides: a decorator's.
        return await result if inspect.isawaitable(result) else result

    # -- failing -----------------------------------------------------------

    async def _caught(
        self, error: Exception, client: Client, context: ExecutionContext
    ) -> Any:
        """The answer of an exception filter; if there is none, raise."""
        try:
            answer = await self._enhancers.catch(error, context)
        except Exception as other:
            # One of its own, or a failure of the filter; which of the two it is
            # the log tells: only what is no failure has words for the client.
            if isinstance(other, (EventError, self._nest.http_exception)):
                error = other
            else:
                _log.exception("an exception filter of %r failed", self)
            answer = None
        if answer is not None:
            return answer
        told = self._in_words(error)
        if told is not error:
            told.__cause__ = error
        if self._error_event is None or self._is_disconnect:
            raise told
        with suppress(ClientGone):
            await client.emit(self._error_event, self._text_of(error))
        raise Told(told)

    def _in_words(self, error: Exception) -> Exception:
        """*error*, as an `EventError` if the client may know it."""
        status = getattr(error, "status_code", None)
        if (
            not isinstance(error, self._nest.http_exception)
            or not isinstance(status, int)
            or not 400 <= status < 500
        ):
            return error
        code = self._nest.status_names.get(status, "refused")
        message: str = getattr(error, "message", None) or code
        cause = error.__cause__
        if cause is not None and isinstance(error, self._nest.refusal):
            if isinstance(cause, Unfit) or hasattr(cause, "errors"):
                return EventError("invalid_data", explain(cause))
            details: dict[str, str] = getattr(error, "details", {})
            text = f": {cause}" if self._debug else ""
            message = f"refused by {details['pipe']}{text}"
        return EventError(code, message)

    def _text_of(self, error: Exception) -> str:
        """What Nestipy sends as the data of an ``ErrorEvent``, if it may."""
        if self._debug:
            return str(error)
        told = self._in_words(error)
        if not isinstance(told, EventError):
            return "the handler failed"
        is_own = told is error or isinstance(error, self._nest.refusal)
        return told.message if is_own else str(error)


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
        """Call them for an event that has a handler of its own.

        Which is called whatever comes of that, as it is in Nestipy.
        """
        if client.namespace != self._namespace:
            return
        if self._dispatcher.find(event, self._namespace) == self.handle:
            return
        for method in self.methods:
            try:
                await method(event, client, data)
            except Exception as error:
                failure = error.failure if isinstance(error, Told) else error
                if not isinstance(failure, (EventError, ClientGone)):
                    _log.error("%r failed", method, exc_info=failure)

    async def handle(self, event: str, client: Client, data: Any) -> Any:
        """Call them for an event; the last result that is not None."""
        result = None
        for method in self.methods:
            latest = await method(event, client, data)
            result = result if latest is None else latest
        return result
