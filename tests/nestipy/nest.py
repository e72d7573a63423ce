"""Nestipy, as far as the tests use it, with types; its own are mostly missing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


class Keeps(Protocol):
    """A decorator that returns what it is given."""

    def __call__(self, decorated: T, /) -> T:
        """Mark *decorated*."""
        ...


Marks: TypeAlias = Callable[..., Keeps]

_common = import_module("nestipy.common")
_core = import_module("nestipy.core")
_ioc = import_module("nestipy.ioc")
_websocket = import_module("nestipy.websocket")

Catch: Marks = _common.Catch
Controller: Marks = _common.Controller
Get: Marks = _common.Get
Injectable: Marks = _common.Injectable
Module: Marks = _common.Module
UseFilters: Marks = _common.UseFilters
UseGuards: Marks = _common.UseGuards
UseInterceptors: Marks = _common.UseInterceptors
UsePipes: Marks = _common.UsePipes
ErrorEvent: Marks = _websocket.ErrorEvent
Gateway: Marks = _websocket.Gateway
OnConnect: Marks = _websocket.OnConnect
OnDisConnect: Marks = _websocket.OnDisConnect
SubscribeMessage: Marks = _websocket.SubscribeMessage
SuccessEvent: Marks = _websocket.SuccessEvent

_event = import_module("nestipy.event")
EventEmitter: Any = _event.EventEmitter
EventEmitterModule: Any = _event.EventEmitterModule
OnEvent: Marks = _event.OnEvent
PubSub: Any = import_module("nestipy.graphql.pubsub").PubSub

FastApiAdapter: Callable[[], Any] = import_module(
    "nestipy.core.adapter.fastapi_adapter"
).FastApiAdapter

# How a method says what it wants to be given.
Socket: TypeAlias = Annotated[Any, _ioc.WebSocketClient()]
Data: TypeAlias = Annotated[Any, _ioc.SocketData()]

metadata: Any = import_module("nestipy.metadata")
request_contexts: Any = _ioc.RequestContextContainer.get_instance()


class App(Protocol):
    """A NestipyApplication."""

    def use_io_adapter(self, io_adapter: object) -> None:
        """Have *io_adapter* take what is not HTTP."""
        ...

    def use_global_guards(self, *guards: type) -> None:
        """Ask *guards* before everything."""
        ...

    def use_global_pipes(self, *pipes: type) -> None:
        """Send all data through *pipes*."""
        ...

    def use_global_interceptors(self, *interceptors: type) -> None:
        """Call everything through *interceptors*."""
        ...

    def use_global_filters(self, *filters: type) -> None:
        """Have *filters* answer for what is raised."""
        ...

    def on_startup(self, callback: Callable[[], object]) -> object:
        """Call *callback* when the app starts."""
        ...

    async def ready(self) -> bool:
        """Make and wire everything, which the lifespan does otherwise."""
        ...

    async def get(self, key: object) -> Any:
        """The instance of *key*."""
        ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Serve one scope."""
        ...


def create(module: type, *, http: object = None) -> App:
    """An app without a banner."""
    config = _core.NestipyConfig(adapter=http, log_bootstrap=False, log_level=30)
    app: App = _core.NestipyFactory.create(module, config)
    return app


def forget_app() -> None:
    """Empty what Nestipy keeps in classes, so that no app sees another."""
    _ioc.NestipyContainer.clear()
    _ioc.NestipyContainer.get_global_providers.cache_clear()
    _core.HttpAdapter.startup_hooks.clear()
    _core.HttpAdapter.shutdown_hook.clear()
