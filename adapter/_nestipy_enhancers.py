"""Guards, pipes, interceptors and exception filters, for a gateway's methods.

Nestipy applies those to HTTP, to GraphQL and to microservices; here they are
applied to events, by the contracts of its HTTP router.  What differs:

- nothing of one event is kept where another one finds it: Nestipy's own
  processors are shared, and hold the latest context;
- a guard that returns something to await is awaited, and one that is no
  ``CanActivate`` is refused, where Nestipy lets everybody pass;
- a filter is called once for an exception, and ``@Catch`` may name several.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, final

from ._errors import ClientGone, EventError
from ._nestipy_facts import ExecutionContext, HttpAdapter, Kind, Nestipy

_log = logging.getLogger("greenroom.adapter")


@final
class Enhancers:
    """What stands around one method of a gateway.

    Args:
        nest: Nestipy's names.
        http: What knows the enhancers of the whole app.
        module: The module that the gateway is provided by.
        gateway: The class.
        method: The function.

    Raises:
        TypeError: A guard is none.
    """

    def __init__(
        self,
        nest: Nestipy,
        http: HttpAdapter,
        module: object,
        gateway: object,
        method: object,
    ) -> None:
        self._nest = nest
        self._http = http
        self._module = module
        self._gateway = gateway
        self._method = method
        # Those of the module, the class, the method, once asked for: a module
        # knows all of its own only when the app is complete.
        self._own: dict[str, list[Any]] = {}
        self._known: set[object] = set()
        for each in self._declared(nest.guards, gateway, method):
            _check_guard(nest.guards.base, each, gateway)

    # -- what there is -----------------------------------------------------

    def _declared(self, kind: Kind, *decorated: object) -> list[Any]:
        return [
            each
            for place in decorated
            for each in self._nest.reflected(place, kind.key, [])
        ]

    def _all(self, kind: Kind, *, app_first: bool) -> list[Any]:
        """Those of the app, the module, the class, the method; or the reverse."""
        own = self._own.get(kind.key)
        if own is None:
            levels = [
                for_all(self._nest, self._module, kind.base, kind.token),
                self._declared(kind, self._gateway),
                self._declared(kind, self._method),
            ]
            if not app_first:
                levels.reverse()
            own = self._own[kind.key] = [each for level in levels for each in level]
        of_app = kind.of_app(self._http)
        if not of_app:
            return own
        return [*of_app, *own] if app_first else [*own, *of_app]

    async def _instances(self, enhancers: Iterable[Any]) -> list[Any]:
        container = self._nest.container()
        instances: list[Any] = []
        for each in enhancers:
            if not inspect.isclass(each):
                instances.append(each)
                continue
            if each not in self._known:
                # So that it may be given whatever there is.
                data = self._nest.metadata.ClassMetadata
                services = container.get_all_services()
                self._nest.reflect(
                    each, data.Metadata, data(self._gateway, global_providers=services)
                )
                self._known.add(each)
            instances.append(await container.get(each))
        return instances

    # -- what they do ------------------------------------------------------

    async def check_guards(self, context: ExecutionContext) -> None:
        """Ask the guards, the app's first and the method's last.

        Raises:
            HttpException: One of them refuses: 401, as for HTTP.
        """
        guards = self._all(self._nest.guards, app_first=True)
        if not guards:
            return
        for guard, instance in zip(guards, await self._instances(guards), strict=True):
            allowed = instance.can_activate(context)
            if inspect.isawaitable(allowed):
                allowed = await allowed
            if not allowed:
                raise self._nest.refusal(
                    401, "Unauthorized", f"Not authorized from guard {guard}"
                )

    def set_pipes(self, context: ExecutionContext) -> None:
        """Set what the data goes through: the app's first, the method's last."""
        pipes = self._all(self._nest.pipes, app_first=True)
        if pipes:
            context.set_pipes(pipes)

    async def intercept(
        self, context: ExecutionContext, handle: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Call *handle* through the interceptors, the app's outermost.

        Raises:
            HttpException: One of them has not called the next: 400, as for HTTP.
        """
        interceptors = self._all(self._nest.interceptors, app_first=False)
        if not interceptors:
            return await handle()
        called = False

        async def innermost() -> Any:
            nonlocal called
            called = True
            return await handle()

        call: Callable[[], Any] = innermost
        for instance in await self._instances(interceptors):
            call = partial(instance.intercept, context, call)
        result = call()
        if inspect.isawaitable(result):
            result = await result
        if not called:
            raise self._nest.refusal(
                400, "Handler not called because of interceptor: Invalid Request"
            )
        return result

    async def catch(self, error: Exception, context: ExecutionContext) -> Any:
        """Ask the exception filters for an answer, the method's first.

        They are given an HttpException; what was none is its cause.  As for
        HTTP, all that match are called, and of several answers the last counts.

        Returns:
            The answer, or None if there is none.

        Raises:
            Exception: What a filter raised, or returned, instead.
        """
        filters = self._all(self._nest.filters, app_first=False)
        if not filters or isinstance(error, ClientGone):
            return None
        exception = self._as_http(error)
        answer: Any = None
        filters = list(dict.fromkeys(filters))
        for each, instance in zip(filters, await self._instances(filters), strict=True):
            if self._catches(each, exception, error):
                latest = instance.catch(exception, context)
                if inspect.isawaitable(latest):
                    latest = await latest
                answer = answer if latest is None else latest
        if isinstance(answer, Exception):
            raise answer from error
        return answer

    def _as_http(self, error: Exception) -> Exception:
        if isinstance(error, self._nest.http_exception):
            return error
        if isinstance(error, EventError):
            wrapped = self._nest.http_exception(400, error.message)
        else:
            text = str(error) or "Internal Server Error"
            wrapped = self._nest.http_exception(500, text)
        wrapped.__cause__ = error
        return wrapped

    def _catches(self, filter: object, exception: Any, error: Exception) -> bool:
        wanted: list[Any] = self._nest.reflected(filter, self._nest.caught, [])
        return not wanted or any(
            (
                isinstance(kind, type)
                and (isinstance(exception, kind) or isinstance(error, kind))
            )
            or getattr(kind, "status_code", None) == exception.status_code
            for kind in wanted
        )


def for_all(nest: Nestipy, module: object, base: type, token: str) -> list[Any]:
    """What *module*, or a global one, provides for all, by tokens like *token*."""
    metadata = nest.metadata
    providers: list[Any] = nest.reflected(module, metadata.ModuleMetadata.Providers, [])
    data = nest.reflected(module, metadata.ClassMetadata.Metadata, None)
    if data is not None:
        # A new list: Nestipy's own way adds to the one it has been given.
        providers = [*providers, *data.get_global_providers()]
    found = [
        each.use_class
        for each in providers
        if isinstance(each, nest.provider)
        and _is_for_all(each, token)
        and issubclass(each.use_class, base)
    ]
    # The root module is a global one as well.
    return list(dict.fromkeys(found))


def _is_for_all(provider: Any, token: str) -> bool:
    named = isinstance(provider.token, str) and provider.token.startswith(token)
    return named and provider.use_class is not None


def _check_guard(base: type, guard: object, gateway: object) -> None:
    if not (inspect.isclass(guard) and issubclass(guard, base)):
        raise TypeError(
            f"a guard must be a class that inherits from CanActivate, got {guard!r} "
            f"on {getattr(gateway, '__qualname__', gateway)}"
        )
