"""What a gateway's method wants to be given, and that it is what it says.

Nestipy's own way gives a method whatever came, and None without a word where it
does not understand an annotation.  Here

- ``SocketData("key")`` is one key of the data, and pipes apply to it;
- where the annotation is, or mentions, a model of pydantic or a dataclass, the
  data must be one;
- annotations that are strings, which ``from __future__ import annotations``
  makes of all, are looked up;
- a plain annotation gives the client, the adapter or a provider by its type.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from importlib import import_module
from typing import Any, ForwardRef, cast, final, get_args

from ._client import Client
from ._nestipy_facts import Container, ExecutionContext, Nestipy

_log = logging.getLogger("greenroom.adapter")

_MAX_FAULTS = 5
"""So many fields that are wrong are named to the client."""


@final
@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    annotation: Any
    marker: Any
    """What Nestipy knows of it: a callback, a key, a token, and pipes."""
    kind: str
    """How its value is come by: a name of `CtxDepKey`, or one of ours."""
    is_optional: bool
    check: Callable[[object], object] | None
    """Makes what is wanted of the event's data, or raises."""


@final
class Arguments:
    """The arguments of one method.

    Args:
        nest: Nestipy's names.
        gateway: The class.
        name: The method's name.

    Raises:
        TypeError: An annotation is a string, and cannot be looked up.
    """

    def __init__(self, nest: Nestipy, gateway: type, name: str) -> None:
        self._nest = nest
        self._gateway = gateway
        self._where = f"{gateway.__qualname__}.{name}"
        self._unfit: tuple[type[Exception], ...]
        self._unfit = (import_module("pydantic").ValidationError, Unfit)
        method = getattr(gateway, name)
        self._parameters = [
            self._read(method, parameter)
            for parameter in inspect.signature(method).parameters.values()
            if self._is_wanted(parameter)
        ]

    def _is_wanted(self, parameter: inspect.Parameter) -> bool:
        if parameter.name == "self" or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            return False
        if parameter.annotation is not parameter.empty:
            return True
        if parameter.default is parameter.empty:
            _log.error(
                "%s cannot be called: nothing says what its parameter %r shall be; "
                "annotate it, as in Annotated[Any, SocketData()]",
                self._where,
                parameter.name,
            )
        return False

    def _read(self, method: Any, parameter: inspect.Parameter) -> _Parameter:
        nest = self._nest
        globals: dict[str, Any] = inspect.unwrap(method).__globals__
        written: Any = parameter.annotation
        if isinstance(written, str):
            written = look_up(written, globals, self._gateway, self._where)
        annotation, marker = nest.annotation(written)
        if isinstance(annotation, ForwardRef):
            text = annotation.__forward_arg__
            annotation = look_up(text, globals, self._gateway, self._where)
        data = marker.metadata
        kind: str = data.key
        if data.callback is nest.server_marker:
            kind = "server"
        elif data.callback is nest.client_marker:
            kind = "client"
        elif data.callback is nest.data_marker:
            kind = "data"
        elif data.callback is nest.no_marker:
            # For which Nestipy would give None.
            kind = _kind_of(annotation, nest)
        return _Parameter(
            parameter.name,
            annotation,
            data,
            kind,
            parameter.default is not parameter.empty,
            _checker(annotation) if kind == "data" else None,
        )

    async def resolve(
        self,
        container: Container,
        context: ExecutionContext,
        adapter: object,
        client: object,
        data: object,
    ) -> dict[str, Any]:
        """The arguments for one event.

        Raises:
            HttpException: The data is not what the method wants: 400, its cause
                says why.
            ValueError: A provider is not within the gateway's reach.
        """
        arguments: dict[str, Any] = {}
        for wanted in self._parameters:
            match wanted.kind:
                case "data":
                    value = await self._checked(container, context, wanted, data)
                    arguments[wanted.name] = value
                case "client":
                    arguments[wanted.name] = client
                case "server":
                    arguments[wanted.name] = adapter
                case self._nest.metadata.CtxDepKey.Service:
                    key = wanted.marker.token or wanted.annotation
                    arguments[wanted.name] = await self._provided(container, key)
                case "plain":
                    await self._add_plain(arguments, container, wanted)
                case _:
                    # Of the request, as it is for HTTP.
                    value = await self._contextual(container, context, wanted)
                    arguments[wanted.name] = value
        return arguments

    async def _provided(self, container: Container, key: Any) -> Any:
        scope = container.get_dependency_metadata(self._gateway)
        if key not in scope:
            raise ValueError(
                f"{self._where}: no provider {key!r} in reach; found {scope}"
            )
        return await container.get(key)

    async def _add_plain(
        self, arguments: dict[str, Any], container: Container, wanted: _Parameter
    ) -> None:
        if wanted.annotation in container.get_dependency_metadata(self._gateway):
            arguments[wanted.name] = await container.get(wanted.annotation)
        elif not wanted.is_optional:
            arguments[wanted.name] = None

    async def _contextual(
        self, container: Container, context: ExecutionContext, wanted: _Parameter
    ) -> Any:
        try:
            value = wanted.marker.callback(
                wanted.name, wanted.marker.token, wanted.annotation, self._nest.contexts
            )
            if inspect.isawaitable(value):
                value = await value
        except self._unfit as error:
            raise self._bad_request({"error": explain(error)}) from error
        if wanted.kind in _PIPED:
            pipes = [*context.get_pipes(), *wanted.marker.pipes]
            value = await self._pipe(container, pipes, wanted, value)
        return value

    async def _checked(
        self,
        container: Container,
        context: ExecutionContext,
        wanted: _Parameter,
        value: Any,
    ) -> Any:
        token = wanted.marker.token
        if isinstance(token, str):
            fields = cast("Mapping[str, Any]", value)
            value = fields.get(token) if isinstance(value, Mapping) else None
        pipes = [*context.get_pipes(), *wanted.marker.pipes]
        if pipes:
            value = await self._pipe(container, pipes, wanted, value)
        if wanted.check is None:
            return value
        try:
            return wanted.check(value)
        except self._unfit as error:
            raise self._bad_request({"error": explain(error)}) from error

    async def _pipe(
        self,
        container: Container,
        pipes: Iterable[Any],
        wanted: _Parameter,
        value: Any,
    ) -> Any:
        nest = self._nest
        annotation, token = wanted.annotation, wanted.marker.token
        is_type = isinstance(annotation, type)
        # An event's data is its body; Nestipy has no word for it.
        kind = _PIPED.get(wanted.kind, "body")
        for pipe in pipes:
            instance: Any = pipe
            if inspect.isclass(pipe) and issubclass(pipe, nest.pipes.base):
                known = pipe in container.get_all_services()
                instance = await container.get(pipe) if known else pipe()
            described = nest.pipe_metadata(
                type=kind,
                metatype=annotation if is_type else None,
                data=token or wanted.name,
            )
            try:
                value = instance.transform(value, described)
                if inspect.isawaitable(value):
                    value = await value
            except nest.http_exception:
                raise
            except Exception as error:
                found = {"pipe": type(instance).__name__, "error": str(error)}
                raise self._bad_request(found) from error
        return value

    def _bad_request(self, details: dict[str, Any]) -> Exception:
        return self._nest.refusal(400, "Bad Request", details)


@final
class Unfit(ValueError):
    """The data has other fields than those of the dataclass."""


async def fill_attributes(nest: Nestipy, container: Container, gateway: type) -> None:
    """Give *gateway* what its attributes ask for in annotations that are strings.

    Nestipy has given it None for them, where it was made.

    Raises:
        TypeError: One of them cannot be looked up.
    """
    for name, written in vars(gateway).get("__annotations__", {}).items():
        if isinstance(written, str) and vars(gateway).get(name) is None:
            where = f"{gateway.__qualname__}.{name}"
            globals = vars(sys.modules[gateway.__module__])
            annotation, marker = nest.annotation(
                look_up(written, globals, gateway, where)
            )
            if marker.metadata.key == nest.metadata.CtxDepKey.Service:
                key = marker.metadata.token or annotation
                setattr(gateway, name, await container.get(key))


# As Nestipy calls them to its pipes.
_PIPED = {
    "body": "body",
    "query": "query",
    "queries": "query",
    "param": "param",
    "params": "param",
    "header": "header",
    "headers": "header",
    "cookie": "cookie",
    "cookies": "cookie",
    "session": "session",
    "sessions": "session",
    "args": "args",
    "arg": "args",
}


def look_up(written: str, globals: dict[str, Any], gateway: type, where: str) -> Any:
    """What the annotation *written* as a string stands for.

    Raises:
        TypeError: It names what cannot be seen from its module.
    """
    try:
        # By get_type_hints a name that is only used for another one would count.
        return eval(written, globals, dict(vars(gateway)))
    except Exception as error:
        raise TypeError(
            f"{where}: the annotation {written!r} cannot be looked up: {error}; its "
            "names must stand in the module, and not under TYPE_CHECKING"
        ) from error


def explain(error: BaseException) -> str:
    """What is wrong with data, field by field and without the data itself."""
    faults: Any = getattr(error, "errors", None)
    if faults is None:
        return "some fields are missing, or too many"
    found: list[Any] = faults(include_url=False, include_context=False)
    words = [
        f"{'.'.join(map(str, each['loc'])) or 'data'}: {each['msg']}"
        for each in found[:_MAX_FAULTS]
    ]
    if len(found) > _MAX_FAULTS:
        words.append(f"and {len(found) - _MAX_FAULTS} more")
    return "; ".join(words)


def _kind_of(annotation: Any, nest: Nestipy) -> str:
    if isinstance(annotation, type):
        if issubclass(annotation, Client) or annotation is nest.websocket:
            return "client"
        if annotation is nest.io_adapter:
            return "server"
    return "plain"


def _checker(annotation: Any) -> Callable[[object], object] | None:
    """What makes an *annotation* of data; None if it may be anything."""
    pydantic = import_module("pydantic")
    if not _mentions_model(annotation, pydantic.BaseModel):
        return None
    try:
        check: Callable[[object], object]
        check = pydantic.TypeAdapter(annotation).validate_python
    except pydantic.PydanticUserError:
        # A dataclass of what pydantic has no idea of: as Nestipy does it.
        return partial(_make, annotation)
    return check


def _make(kind: Callable[..., object], data: object) -> object:
    try:
        return kind(**cast("Mapping[str, Any]", data))
    except TypeError as error:
        raise Unfit from error


def _mentions_model(annotation: Any, base: type) -> bool:
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, base) or is_dataclass(annotation)
    return any(_mentions_model(each, base) for each in get_args(annotation))
