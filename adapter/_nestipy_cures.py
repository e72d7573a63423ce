"""What is replaced in a Nestipy app that is hosted here, on its instances.

No module of Nestipy's is changed.  Each cure looks for what it replaces, and
leaves alone what is not as it is in the versions that are known.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from typing import Any, cast, final

from ..actors import Actor, MailboxOptions, Runtime
from ..supervision import ActorSystem, Restart
from ._asgi import Scope
from ._nestipy_enhancers import for_all
from ._nestipy_facts import Container, HttpAdapter, nestipy

_log = logging.getLogger("greenroom.adapter")


@asynccontextmanager
async def cured(
    http: HttpAdapter, scope: Scope, system: ActorSystem | None
) -> AsyncGenerator[None, None]:
    """Have the app of *http* cured for as long as the block lasts.

    Args:
        http: What serves HTTP.
        scope: That of the lifespan.
        system: Where the tasks run that Nestipy would run on asyncio; None where
            it can.
    """
    container = nestipy().container()
    # Which servers copy into the scope of every request and every client, so
    # that all of them had the same id.
    scope.get("state", {}).pop("request_id", None)
    keep_requests_apart(http)
    await stop_the_leak(container)
    with ExitStack() as undo:
        if system is not None:
            await run_background_tasks(http.startup_hooks, system)
        if system is not None and system.runtime.backend == "trio":
            await take_over_events(container, system.runtime, undo)
            warn_of_asyncio(container)
        yield


# -- requests --------------------------------------------------------------


def keep_requests_apart(http: Any) -> None:
    """Let *http* know for each task by itself which request it serves.

    It keeps the latest in attributes, and reads them only when a route is
    called: with any middleware that waits in between, one client is given the
    answer to another one's request.
    """
    kind = cast("type[object]", type(http))
    kept: dict[str, object] = http.__dict__
    names = ("scope", "receive", "send")
    if isinstance(vars(kind).get("scope"), property) or not kept.keys() >= {*names}:
        return
    apart = {name: _of_this_task(name, kept.pop(name)) for name in names}
    http.__class__ = type(kind.__name__, (kind,), apart)


def _of_this_task(name: str, first: object) -> property:
    variable = ContextVar[object](name, default=first)

    def get(_: object) -> object:
        return variable.get()

    def put(_: object, value: object) -> None:
        variable.set(value)

    return property(get, put)


async def stop_the_leak(container: Container) -> None:
    """Have the app's own providers looked up without adding to them.

    With every request Nestipy appends all global providers to the list of the
    module's own, and searches it: each request is slower than the one before.
    """
    nest = nestipy()
    for path, name in (
        ("nestipy.core.guards", "GuardProcessor"),
        ("nestipy.core.pipes.processor", "PipeProcessor"),
        ("nestipy.core.interceptor", "RequestInterceptor"),
        ("nestipy.core.exception.processor", "ExceptionFilterHandler"),
    ):
        processor = await container.get(getattr(import_module(path), name))
        if hasattr(processor, "extract_special_providers"):
            processor.extract_special_providers = partial(for_all, nest)


# -- background tasks ------------------------------------------------------

JOBS = MailboxOptions(capacity=10_000)


@final
class BackgroundJobs(Actor[Callable[[], Awaitable[object]]]):
    """Runs Nestipy's background tasks, one after the other."""

    stop_grace = 5.0

    async def receive(self, message: Callable[[], Awaitable[object]]) -> None:
        """Run one, which contains its own errors."""
        await message()


async def run_background_tasks(hooks: list[object], system: ActorSystem) -> None:
    """Have *system* run the background tasks whose start is among *hooks*.

    Nestipy runs them on asyncio alone, without which it does not even start.
    Replaced on the instance, until they are shut down: the worker, its queue,
    which is bounded now, and the end, where Nestipy waits for ever if two
    tasks are left.
    """
    module = import_module("nestipy.core.providers.background")
    for hook in hooks:
        # LifecycleRunner.startup, bound: all that Nestipy lets us see of it.
        lifecycle = getattr(hook, "__self__", None)
        tasks = getattr(lifecycle, "_background_tasks", None)
        if isinstance(tasks, module.BackgroundTasks):
            await _take_over(tasks, module.TaskStatus, system)


async def _take_over(tasks: Any, status: Any, system: ActorSystem) -> None:
    jobs = await system.spawn(BackgroundJobs, restart=Restart.TRANSIENT, mailbox=JOBS)

    def add(task: Any) -> str:
        jobs.tell(task)
        tasks.tasks[task.task_id] = task
        return str(task.task_id)

    def run() -> None:
        tasks.is_running = True

    async def shutdown() -> None:
        tasks.is_running = False
        del tasks.add, tasks.run, tasks.shutdown
        await jobs.stop()
        for task in tasks.tasks.values():
            if task.status in (status.PENDING, status.STARTED):
                task.status = status.CANCELLED

    while not tasks.queue.empty():
        jobs.tell(tasks.queue.get_nowait())
    tasks.add, tasks.run, tasks.shutdown = add, run, shutdown


# -- events, on trio -------------------------------------------------------


async def take_over_events(
    container: Container, runtime: Runtime, undo: ExitStack
) -> None:
    """Run the async listeners of Nestipy's ``EventEmitter`` on *runtime*.

    On trio it puts them on an event loop that never runs, without a word.
    """
    module = sys.modules.get("nestipy.event.event_emitter")
    if module is None:
        return
    emitter: Any = None
    with suppress(ValueError):  # it is imported, but not provided
        emitter = await container.get(module.EventEmitter)
    if not hasattr(emitter, "_emit_run"):
        return
    lost = len(getattr(emitter, "_waiting", ()))
    if lost:
        _log.error(
            "%d events have reached no listener: on trio EventEmitter works from the "
            "application's start on",
            lost,
        )

    async def finish(result: Awaitable[object]) -> None:
        try:
            await result
        except Exception as error:
            _tell_of(emitter, error)

    def emit_run(
        listener: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        try:
            result = listener(*args, **kwargs)
        except Exception as error:
            emitter.emit("error", error)
        else:
            if inspect.isawaitable(result):
                runtime.start_task(finish, result)

    emitter._emit_run = emit_run
    undo.callback(delattr, emitter, "_emit_run")


def _tell_of(emitter: Any, error: Exception) -> None:
    try:
        emitter.emit("error", error)
    except Exception:
        # Nobody listens: pyee raises it, and here there is nobody to raise it to.
        _log.error("a listener of EventEmitter failed", exc_info=error)


# -- what needs asyncio ----------------------------------------------------

_ASYNCIO_ONLY = {
    "nestipy.graphql": (
        "GraphqlModule",
        "GraphQL (queries with more than one async field)",
    ),
    "nestipy.graphql.pubsub": ("PubSub", "GraphQL's PubSub"),
    "nestipy.microservice.client.base": ("ClientProxy", "microservice clients"),
}


def warn_of_asyncio(container: Container) -> None:
    """Name what this app has that needs asyncio, and runs on trio now."""
    instances = container.get_all_singleton_instance()
    for path, (name, words) in _ASYNCIO_ONLY.items():
        kind = getattr(sys.modules.get(path), name, None)
        if kind is not None and any(isinstance(each, kind) for each in instances):
            _log.warning(
                "%s: works on asyncio alone, and this is trio; serve the app with "
                "--worker-class asyncio, or by way of greenroom.TrioAsyncioBridge",
                words,
            )
