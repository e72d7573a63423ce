"""Nestipy, as far as it is used here.

It is untyped where it matters, and may not be there at all: the protocols say
what is used of it, and `nestipy` brings it, once an application has imported it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol, TypeAlias, final

from ._asgi import Receive, Scope, Send

VERSIONS = "0.10.0 and 0.10.1"
"""Those that the tests run with."""

Reflected: TypeAlias = "Callable[[object, str, Any], Any]"
"""``(decorated, key, default)``: what a decorator has written down."""


class HttpAdapter(Protocol):
    """What serves HTTP in a Nestipy app, and knows the adapter."""

    startup_hooks: list[object]

    def get_instance(self) -> Callable[[Scope, Receive, Send], Awaitable[object]]:
        """The web application: FastAPI's, say."""
        ...

    def get_io_adapter(self) -> object:
        """What ``use_io_adapter`` was given."""
        ...

    def get_global_guards(self) -> list[Any]:
        """Those of ``use_global_guards``."""
        ...

    def get_global_pipes(self) -> list[Any]:
        """Those of ``use_global_pipes``."""
        ...

    def get_global_interceptors(self) -> list[Any]:
        """Those of ``use_global_interceptors``."""
        ...

    def get_global_filters(self) -> list[Any]:
        """Those of ``use_global_filters``."""
        ...


class Container(Protocol):
    """Who makes and keeps the instances; there is one at a time."""

    async def get(self, key: object, method: str = ...) -> Any:
        """An instance, or what one of its methods returns."""
        ...

    def get_all_services(self) -> list[Any]:
        """Everything there is an instance of."""
        ...

    def get_all_singleton_instance(self) -> list[Any]:
        """The instances that have been made."""
        ...

    def get_dependency_metadata(self, service: object) -> list[Any]:
        """What *service* may be given."""
        ...

    async def preload_request_scoped_properties(self) -> None:
        """Make the request-scoped instances that stand in attributes."""
        ...


class ExecutionContext(Protocol):
    """Who handles what; what guards and their like are given."""

    def get_pipes(self) -> list[Any]:
        """Those that the data goes through."""
        ...

    def set_pipes(self, pipes: list[Any]) -> None:
        """Send the data through *pipes*."""
        ...


class Contexts(Protocol):
    """The execution contexts of all tasks."""

    def set_execution_context(self, context: object) -> None:
        """Set who handles what in this task."""
        ...

    def destroy(self) -> None:
        """Forget the execution context and the request-scoped instances."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """Guards, or pipes, or interceptors, or exception filters."""

    key: str
    """Under which ``@UseGuards`` and its like write them down."""
    base: type
    """What they inherit from."""
    token: str
    """How the tokens begin of those that a module provides for all."""
    of_app: Callable[[HttpAdapter], list[Any]]
    """Those of the whole app."""


@final
@dataclass(frozen=True, slots=True)
class Nestipy:
    """Its names, as far as gateways are concerned."""

    container: Callable[[], Container]
    contexts: Contexts
    execution_context: Callable[..., ExecutionContext]
    reflected: Reflected
    reflect: Callable[[object, str, Any], None]
    http_exception: type[Exception]
    refusal: type[Exception]
    """One that is raised here, for guards, pipes and data."""
    status_names: Mapping[int, str]
    """Of HTTP: 404 is "not_found"."""
    discover: type
    """Its instance knows all modules."""
    websocket: type
    io_adapter: type
    events: Any
    """``nestipy.websocket.decorator``: the keys of its decorators, and its
    internal event names."""
    metadata: Any
    """``nestipy.metadata``: the keys of what modules write down."""
    guards: Kind
    pipes: Kind
    interceptors: Kind
    filters: Kind
    caught: str
    """The key of what ``@Catch`` writes down."""
    annotation: Callable[[Any], tuple[Any, Any]]
    """The type and the marker of ``Annotated[type, marker]``."""
    server_marker: Any
    """What marks what shall be given the adapter."""
    client_marker: Any
    data_marker: Any
    no_marker: Any
    """What marks what is not marked."""
    provider: Any
    """How a module provides a guard, say, for all: by a token and a class."""
    pipe_metadata: Callable[..., object]


@cache
def nestipy() -> Nestipy:
    """Nestipy's names.

    Raises:
        RuntimeError: It is another Nestipy than those that are known.
    """
    try:
        return _load()
    except (ImportError, AttributeError) as error:
        raise RuntimeError(
            f"this version of nestipy is unknown: {error}; greenroom knows {VERSIONS}"
        ) from error


def _load() -> Nestipy:
    common, core, ioc, metadata, websocket = (
        import_module(f"nestipy.{name}")
        for name in ("common", "core", "ioc", "metadata", "websocket")
    )
    guards, interceptors, pipes, exceptions = (
        import_module(f"nestipy.common.{name}")
        for name in ("guards", "interceptor", "pipes", "exception.meta")
    )
    statuses: Mapping[str, Any] = common.HttpStatus.__dict__
    tokens = import_module("nestipy.core.constant")
    return Nestipy(
        container=ioc.NestipyContainer.get_instance,
        contexts=ioc.RequestContextContainer.get_instance(),
        execution_context=core.ExecutionContext,
        reflected=metadata.Reflector.get_metadata,
        reflect=metadata.Reflector.set_metadata,
        http_exception=common.HttpException,
        refusal=type("Refusal", (common.HttpException,), {}),
        status_names={
            code: name.lower()
            for name, code in statuses.items()
            if isinstance(code, int)
        },
        discover=core.DiscoverService,
        websocket=websocket.Websocket,
        io_adapter=websocket.IoAdapter,
        events=import_module("nestipy.websocket.decorator"),
        metadata=metadata,
        guards=Kind(
            guards.GuardKey.Meta,
            common.CanActivate,
            tokens.APP_GUARD,
            lambda http: http.get_global_guards(),
        ),
        pipes=Kind(
            pipes.PipeKey.Meta,
            common.PipeTransform,
            tokens.APP_PIPE,
            lambda http: http.get_global_pipes(),
        ),
        interceptors=Kind(
            interceptors.InterceptorKey.Meta,
            common.NestipyInterceptor,
            tokens.APP_INTERCEPTOR,
            lambda http: http.get_global_interceptors(),
        ),
        filters=Kind(
            exceptions.ExceptionKey.MetaFilter,
            common.ExceptionFilter,
            tokens.APP_FILTER,
            lambda http: http.get_global_filters(),
        ),
        caught=exceptions.ExceptionKey.MetaType,
        annotation=import_module(
            "nestipy.ioc.helper"
        ).ContainerHelper.get_type_from_annotation,
        server_marker=ioc.WebSocketServer.metadata.callback,
        client_marker=ioc.WebSocketClient.metadata.callback,
        data_marker=ioc.SocketData.metadata.callback,
        no_marker=import_module("nestipy.ioc.dependency").Default.metadata.callback,
        provider=ioc.ModuleProviderDict,
        pipe_metadata=common.PipeArgumentMetadata,
    )
