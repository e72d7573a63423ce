"""Nestipy as the host: its gateways, its lifespan, and its idea of a client.

What an application says is ``app.use_io_adapter(adapter)``; the rest is found
out here.  Nestipy 0.10.1 then calls ``on``, ``on_connect`` and so on with one
function for each method of a gateway, and hands every ASGI scope to the adapter
first.  Nothing here imports Nestipy unless the application has.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from typing import Any, TypeAlias, TypeVar, cast, final

from ..supervision import ChildNotFound
from ._asgi import Message, Receive, Scope, Send
from ._calling import Caller
from ._client import Client
from ._dispatcher import ANY, Handler
from ._nestipy_arguments import fill_attributes
from ._nestipy_client import client_class
from ._nestipy_cures import cured
from ._nestipy_facts import VERSIONS, Container, HttpAdapter, nestipy
from ._nestipy_gateways import CatchAll, GatewayMethod
from ._server import Server

H = TypeVar("H", bound=Handler)

Serve: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[object]]
"""An ASGI app."""

_PROXY = "nestipy.websocket.proxy"
"""The module of the functions that Nestipy registers for a gateway's methods."""


_FOUND = {"self", "module_ref", "gateway", "method_name", "event_name", "namespace"}
"""What one of them knows of the method that it is made for."""


@final
class NestipyHost:
    """What the adapter does where Nestipy is its host.

    Args:
        adapter: The adapter.
        server: Its server.
        space: What a namespace is called on the adapter's wire.
    """

    def __init__(
        self, adapter: object, server: Server, space: Callable[[str | None], str]
    ) -> None:
        self._adapter = adapter
        self._server = server
        self._space = space
        self._http: HttpAdapter | None = None
        self._catch_alls: dict[str, CatchAll] = {}
        # The methods that are registered: a gateway may stand in two modules.
        self._adopted: set[tuple[type, str]] = set()
        self._be_an_io_adapter()

    def _be_an_io_adapter(self) -> None:
        """Let ``isinstance(adapter, IoAdapter)`` be true, if there is such a thing."""
        module = sys.modules.get("nestipy.websocket.adapter.abstract")
        io_adapter = getattr(module, "IoAdapter", None)
        if io_adapter is not None:
            io_adapter.register(type(self._adapter))

    def adopting(self, register: Callable[[Handler], Handler]) -> Callable[[H], H]:
        """*register*, but a gateway's method registers as a `GatewayMethod`."""

        def decorate(handler: H) -> H:
            adopted = self._adopt(handler)
            if adopted is not None:
                register(adopted)
            return handler

        return decorate

    def _adopt(self, handler: Handler) -> Handler | None:
        """What to register for *handler*; None if that has been done."""
        if getattr(handler, "__module__", None) != _PROXY:
            return handler
        found = inspect.getclosurevars(cast("Callable[..., Any]", handler)).nonlocals
        missing = _FOUND - found.keys()
        if missing:
            raise RuntimeError(
                "the gateways of this version of nestipy are unknown: no "
                f"{', '.join(sorted(missing))}; greenroom knows those of {VERSIONS}"
            )
        namespace = self._space(found["namespace"])
        method = GatewayMethod(found, namespace, debug=self._server.debug)
        self._settle(method.http)
        known = (method.gateway, method.name)
        if known in self._adopted:
            return None
        self._adopted.add(known)
        if not method.takes_any:
            return method
        catch_all = self._catch_alls.get(namespace)
        if catch_all is not None:
            catch_all.methods.append(method)
            return None
        dispatcher = self._server.dispatcher
        catch_all = self._catch_alls[namespace] = CatchAll(dispatcher, namespace)
        catch_all.methods.append(method)
        if dispatcher.find(ANY, namespace) is None:
            dispatcher.on(ANY, namespace)(catch_all.handle)
        return catch_all.see

    def _settle(self, http: HttpAdapter) -> None:
        self._http = http
        self._be_an_io_adapter()
        if self._server.client_class is Client:
            self._server.client_class = client_class()

    def bridge(self, caller: Callable[[], Caller]) -> None:
        """Have the handlers of each client called by a *caller* of its own."""
        self._server.caller = caller

    async def find(self) -> HttpAdapter | None:
        """The Nestipy app that the adapter serves, if there is one."""
        if self._http is None:
            module = sys.modules.get("nestipy.core.adapter.http_adapter")
            if module is None:
                return None
            ioc = import_module("nestipy.ioc")
            container: Container = ioc.NestipyContainer.get_instance()
            with suppress(ValueError):  # Nestipy is there, but no app
                http: HttpAdapter = await container.get(module.HttpAdapter)
                if http.get_io_adapter() is self._adapter:
                    self._settle(http)
        if self._http is not None:
            await self._adopt_the_rest(self._http)
        return self._http

    async def _adopt_the_rest(self, http: HttpAdapter) -> None:
        """Have the gateways registered that Nestipy has left out.

        Those of modules that the root module imports by way of another one; and
        all, if the adapter came after the app was set up.
        """
        nest = nestipy()
        discovered = await nest.container().get(nest.discover)
        known = {gateway for gateway, _ in self._adopted}
        proxy = import_module(_PROXY).IoSocketProxy(http)
        for module in dict.fromkeys(map(type, discovered.get_all_module())):
            providers: list[Any] = nest.reflected(
                module, nest.metadata.ModuleMetadata.Providers, []
            )
            key = nest.events.GATEWAY_KEY
            gateways = [each for each in providers if nest.reflected(each, key, None)]
            if not known.issuperset(gateways):
                proxy.apply_routes([module])
        for gateway in {gateway for gateway, _ in self._adopted}:
            await fill_attributes(nest, nest.container(), gateway)

    async def run(
        self,
        app: HttpAdapter | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        serve: Serve | None = None,
    ) -> None:
        """Host the adapter's actors for as long as *app* lives.

        Once ``lifespan.shutdown`` has come the clients are seen off, then the
        actors stopped that the application started, then *app* shuts down:
        what actors do at their end can still use its providers.  Their system
        stays until after that, and what is emitted meanwhile reaches nobody
        but raises nothing.

        Args:
            app: The Nestipy app; None if it is none.
            scope: That of the lifespan.
            receive: The server's.
            send: The server's.
            serve: What the rest of the lifespan is passed to, where that is not
                the web application natively.
        """
        server = self._server
        last_word: Message | None = None

        async def send_or_keep(message: Message) -> None:
            # Once the last word is out, servers cancel what is left here.
            nonlocal last_word
            if message["type"].startswith("lifespan.shutdown."):
                last_word = message
            else:
                await send(message)

        try:
            async with AsyncExitStack() as stack:
                system = await stack.enter_async_context(server.running())
                if app is not None:
                    native = system if serve is None else None
                    await stack.enter_async_context(cured(app, scope, native))
                    serve = serve or app.get_instance()
                assert serve is not None
                ours = {child.id for child in system.children()}

                async def drain_first() -> Message:
                    message = await receive()
                    if message["type"] == "lifespan.shutdown":
                        await server.drain()
                        for child in reversed(system.children()):
                            if child.id not in ours:
                                with suppress(ChildNotFound):
                                    await system.stop_child(child.id)
                    return message

                await serve(scope, drain_first, send_or_keep)
        finally:
            if last_word is not None:
                await send(last_word)
