"""The command ``python -m greenroom``: its arguments, and what it says of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, cast, final

import anyio
from anyio.abc import TaskStatus

from ._listeners import check_bind
from ._serve import Drainable, check_app, serve
from ._service import AppNotStarted
from .adapter import ActorAdapter

if TYPE_CHECKING:
    from hypercorn.config import Config

_USAGE, _FAILED = 2, 1

_NEEDED = {"asyncio": ["hypercorn"]} | {
    worker: ["hypercorn", worker] for worker in ("trio", "uvloop")
}

_DESCRIPTION = """\
Serve an ASGI app with hypercorn, in one process. At SIGTERM or Ctrl-C all clients
of its ActorAdapters are seen off at once; a second one, half a second later or
more, ends the process without a word.
"""
_EPILOG = """\
Exits with 0 when it was told to stop, 1 when it cannot listen or the app does not
start, 2 when an argument is wrong. For several processes, run several services, or
hypercorn --workers.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what *arguments* say, by default those of the process.

    Raises:
        SystemExit: Something is wrong; it has been said on stderr.
    """
    asked = _parser().parse_args(arguments)
    missing = [name for name in _NEEDED[asked.worker] if find_spec(name) is None]
    if missing:
        _refuse(f"{missing[0]} is not installed: pip install 'greenroom[{missing[0]}]'")
    # As `python -m` does, and a script in bin/ does not.
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, found = _load(asked.target)
    app = _app(asked.target, found, is_factory=asked.factory)
    adapters = _adapters(asked.adapter, app, module)
    run = partial(
        serve,
        app,
        bind=_bind(asked),
        config=_config(asked.config),
        adapters=adapters,
        task_status=cast("TaskStatus[list[str]]", _Announcement(adapters)),
    )
    on_trio = asked.worker == "trio"
    options = {"use_uvloop": True} if asked.worker == "uvloop" else {}
    try:
        anyio.run(
            run, backend="trio" if on_trio else "asyncio", backend_options=options
        )
    except OSError as error:
        _refuse(error.strerror or str(error), _FAILED)
    except AppNotStarted as error:
        _refuse(f"the app has not started: {error}", _FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="greenroom", description="Supervised actors, and live connections."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "serve",
        help="serve an ASGI app",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = command.add_argument
    add("target", metavar="module:app", help="the ASGI app, as it is imported")
    add("--factory", action="store_true", help="call what was named to get the app")
    add(
        "--worker",
        choices=list(_NEEDED),
        default="asyncio",
        help="the event loop (default: asyncio)",
    )
    add("--host", help="where to listen (default: 127.0.0.1)")
    add("--port", type=int, help="a free one if 0 (default: 8000)")
    add(
        "--bind",
        action="append",
        help="host:port, unix:path or fd://number instead; may be repeated",
    )
    add("--config", metavar="FILE", help="TOML with hypercorn's own settings")
    add(
        "--adapter",
        action="append",
        metavar="module:name",
        help="an adapter that is in the app; may be repeated (default: the app, and "
        "all that have a name in its module)",
    )
    return parser


def _refuse(message: str, code: int = _USAGE) -> NoReturn:
    print(f"greenroom: {message}", file=sys.stderr)
    raise SystemExit(code)


def _load(target: str) -> tuple[ModuleType, Any]:
    """The module that *target* names, and what it names in there."""
    name, _, path = target.partition(":")
    if not path or not all(part.isidentifier() for part in name.split(".")):
        _refuse(f"expected module:name, such as package.module:app, got {target!r}")
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        # What the module itself misses is told by its traceback.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        _refuse(f"there is no module {error.name!r} to get {target!r} from")
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            _refuse(f"there is no {path!r} in the module {name!r}")
    return module, found


def _app(target: str, found: Any, *, is_factory: bool) -> Any:
    """The app that was *found*, or that what was found makes."""
    app: object = found
    if is_factory:
        if not callable(found):
            _refuse(f"{target} is no factory: {found!r} cannot be called")
        app = found()
    try:
        check_app(app)
    except TypeError as error:
        hint = "; if it makes the app, say --factory"
        _refuse(f"{target}: {error}{hint if callable(app) and not is_factory else ''}")
    return app


def _adapters(
    targets: Sequence[str] | None, app: object, module: ModuleType
) -> list[Any]:
    """What is to be drained: as named, or else what is found."""
    if targets is not None:
        named = [_load(target)[1] for target in targets]
        for target, adapter in zip(targets, named, strict=True):
            if not callable(getattr(adapter, "drain", None)):
                _refuse(f"{target} is no ActorAdapter, but {adapter!r}")
        return named
    found: list[object] = [app, *vars(module).values()]
    adapters = [each for each in found if isinstance(each, ActorAdapter)]
    return list(dict.fromkeys(adapters))


def _bind(asked: argparse.Namespace) -> list[str] | None:
    """Where to listen; None for where the configuration says."""
    if asked.bind is not None:
        if asked.host is not None or asked.port is not None:
            _refuse("say either --bind, or --host and --port")
        binds: list[str] = asked.bind
    elif asked.host is not None or asked.port is not None:
        host = "127.0.0.1" if asked.host is None else asked.host
        port = 8000 if asked.port is None else asked.port
        binds = [f"{host}:{port}"]
    else:
        return None
    try:
        return check_bind(binds)
    except ValueError as error:
        _refuse(str(error))


def _config(path: str | None) -> Config | None:
    if path is None:
        return None
    kind: Any = import_module("hypercorn.config").Config
    try:
        return cast("Config", kind.from_toml(path))
    except (OSError, ValueError) as error:
        _refuse(f"{path} cannot be read: {error}")


@final
class _Announcement:
    """Says where clients can come, when they can."""

    def __init__(self, adapters: Sequence[Drainable]) -> None:
        self._adapters = adapters

    def started(self, urls: Sequence[str]) -> None:
        drained = ", ".join(map(repr, self._adapters)) or "nothing"
        print(f"Serving on {', '.join(urls)}; to drain: {drained}", flush=True)
