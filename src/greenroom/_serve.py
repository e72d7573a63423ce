"""serve: hypercorn, and an end that begins when it is asked for.

hypercorn's own end leaves clients alone until its patience is over, and on asyncio
waits for whoever has stopped reading.  Here everybody is seen off first, then
hypercorn is told, and the connections that it cannot end are ended below it.  All
of it by what hypercorn, AnyIO and the kernel promise, whatever their version.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
from anyio.abc import TaskStatus

from ._listeners import Listeners
from ._service import App, Drain, Hypercorn, Service
from .adapter import ActorAdapter, Options
from .supervision import receive_signals

if TYPE_CHECKING:
    from hypercorn.config import Config


class Drainable(Protocol):
    """An `ActorAdapter`, or what has clients to see off as one has."""

    async def drain(self) -> None: ...


async def serve(
    app: App,
    *,
    bind: str | Sequence[str] | None = None,
    config: Config | None = None,
    adapters: Iterable[Drainable] | None = None,
    drain: Drain | None = None,
    drain_seconds: float | None = None,
    signals: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    task_status: TaskStatus[list[str]] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* with hypercorn, on the running loop, until told to stop.

    At one of *signals*, or cancelled, it drains at once: clients are seen off
    while the server still answers.  Then hypercorn is told, and gives requests
    ``config.graceful_timeout`` to end.  Connections that are left a second later,
    such as those of clients that have stopped reading, are cut.  So it returns
    within ``drain_seconds + config.graceful_timeout + 2`` seconds, and those that
    the app takes for its lifespan's shutdown, ``config.shutdown_timeout`` at most.

    Half a second after the first signal, *signals* have their default effect: a
    second one ends the process at once, without a word to anybody.

    Args:
        app: The ASGI app.  If told to stop while it starts, it is cancelled.
        bind: Where to listen, in hypercorn's words: ``host:port``, ``unix:path``
            or ``fd://number``, one or several; port 0 is a free one.  By default
            where *config* says, or ``127.0.0.1:8000``.
        config: All else that hypercorn can be told.  It is not changed.
        adapters: Those in *app*, drained by ``adapter.drain()``.  By default *app*
            itself, if it is one.
        drain: Called instead, to say more than ``adapter.drain()`` does.
        drain_seconds: How long all draining may take; by default the longest
            ``options.drain_seconds`` of *adapters*.
        signals: Which tell it to stop; none leaves that to cancellation.
        task_status: For ``start`` of a task group, which then returns the
            addresses, such as ``http://127.0.0.1:8000``, when clients can come.

    Raises:
        TypeError, ValueError: An argument is wrong; says which, and what was
            expected.
        ModuleNotFoundError: hypercorn is not installed.
        OSError: It cannot listen there; says where.
        SignalsUnavailable: Not in the main thread: pass ``signals=()``.
        AppNotStarted: The lifespan of the app says so.
    """
    check_app(app)
    hypercorn, own_config = _hypercorn()
    config = own_config if config is None else config
    _check_config(config, type(own_config))
    drained = _check_adapters(app, adapters)
    if drain is not None and not callable(drain):
        raise TypeError(f"drain must be callable, got {drain!r}")
    if drain is not None and adapters is not None:
        raise TypeError("drain is called instead of draining adapters: pass one")
    drains: list[Drain] = [each.drain for each in drained] if drain is None else [drain]
    seconds = _check_seconds(drain_seconds, drained)
    wanted = _check_signals(signals)
    with ExitStack() as stack:
        listeners = stack.enter_context(Listeners(config, bind))
        received = _receive(wanted, stack)
        service = Service(hypercorn, app, listeners, drains, seconds)
        await service.run(wanted, received, task_status)


def check_app(app: object) -> None:
    """Refuse what cannot be an ASGI app.

    Raises:
        TypeError: It cannot.
    """
    if not callable(app):
        raise TypeError(f"app must be an ASGI app, got {app!r}")
    if inspect.isclass(app):
        raise TypeError(f"app must be an ASGI app and not its class, got {app!r}")
    try:
        signature = inspect.signature(app)
    except ValueError:
        return  # not written in Python
    try:
        signature.bind({}, None, None)
    except TypeError:
        raise TypeError(
            f"app must be called with scope, receive and send, got {app!r} "
            f"with {signature}"
        ) from None


def _hypercorn() -> tuple[Hypercorn, Config]:
    """What serves on the running loop, and its defaults."""
    on_asyncio = anyio.get_cancelled_exc_class() is asyncio.CancelledError
    try:
        module: Any = import_module(
            "hypercorn.asyncio" if on_asyncio else "hypercorn.trio"
        )
        config: Any = import_module("hypercorn.config").Config()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "greenroom.serve needs hypercorn: pip install 'greenroom[hypercorn]' "
            f"({error})",
            name=error.name,
        ) from error
    return cast("Hypercorn", module.serve), cast("Config", config)


def _check_config(config: Config, kind: type) -> None:
    given: object = config
    if not isinstance(given, kind):
        raise TypeError(f"config must be a hypercorn.config.Config, got {given!r}")
    if config.workers != 1:
        raise ValueError(
            "config.workers must be 1, for serve is one process, "
            f"got {config.workers!r}"
        )
    # Of a certificate that is wrong hypercorn would tell when the app has started.
    config.create_ssl_context()


def _check_adapters(app: object, adapters: object) -> list[Drainable]:
    """*adapters*; unless there are any, *app* if it can be drained."""
    if adapters is None:
        adapters = [app] if _is_drainable(app) else []
    if isinstance(adapters, str) or not isinstance(adapters, Iterable):
        raise TypeError(f"adapters must be several ActorAdapters, got {adapters!r}")
    drained: list[Drainable] = []
    for each in cast("Iterable[object]", adapters):
        if not _is_drainable(each):
            raise TypeError(f"adapters must be ActorAdapters, got {each!r} in it")
        drained.append(cast("Drainable", each))
    return drained


def _is_drainable(value: object) -> bool:
    return callable(getattr(value, "drain", None))


def _check_seconds(seconds: object, adapters: Sequence[object]) -> float:
    if seconds is None:
        each = [
            a.options.drain_seconds for a in adapters if isinstance(a, ActorAdapter)
        ]
        return max(each, default=Options().drain_seconds)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"drain_seconds must be seconds, got {seconds!r}")
    if not 0 <= seconds < math.inf:
        raise ValueError(
            f"drain_seconds must be at least 0 and finite, got {seconds!r}"
        )
    return seconds


def _check_signals(signals: object) -> list[signal.Signals]:
    if isinstance(signals, str) or not isinstance(signals, Iterable):
        raise TypeError(f"signals must be several signals, got {signals!r}")
    wanted: list[signal.Signals] = []
    for each in cast("Iterable[object]", signals):
        if not isinstance(each, signal.Signals):
            raise TypeError(f"signals must be signal.Signals, got {each!r} in it")
        wanted.append(each)
    return wanted


def _receive(
    signals: Sequence[signal.Signals], stack: ExitStack
) -> AsyncIterator[signal.Signals] | None:
    """Receive *signals* until *stack* is left."""
    if not signals:
        return None
    return receive_signals(stack, *signals)
