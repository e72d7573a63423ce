"""Nestipy gateways, tested without a server.

    async with running_gateways(Chat, Archive) as adapter:
        async with connect(adapter, query="name=Ann") as client:
            assert await client.call("say", "hi", namespace="/chat") == "said"

What runs is what is served: guards, pipes, injection, background tasks.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any, TypeAlias

import anyio

from ..adapter import ActorAdapter
from ._client import bare_task_group

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[object]]
"""An ASGI app."""

_START_SECONDS = 10.0


@asynccontextmanager
async def running_app(app: App) -> AsyncGenerator[None]:
    """Start *app* as a server does, by its lifespan, and stop it at the end.

    Raises:
        RuntimeError: It said that it cannot start.
        TimeoutError: It does not say anything.
    """
    sent: list[dict[str, Any]] = []
    started, stopping = anyio.Event(), anyio.Event()
    messages = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> dict[str, Any]:
        kind = next(messages)
        if kind == "lifespan.shutdown":
            await stopping.wait()
        return {"type": kind}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        started.set()

    def has_failed() -> bool:
        return bool(sent) and sent[0]["type"] == "lifespan.startup.failed"

    async def run() -> None:
        try:
            await app({"type": "lifespan", "state": {}}, receive, send)
        except Exception:
            if not has_failed():
                raise  # else it has been said
        finally:
            started.set()

    async with bare_task_group() as tasks:
        tasks.start_soon(run)
        try:
            with anyio.fail_after(_START_SECONDS):
                await started.wait()
            if has_failed():
                raise RuntimeError(sent[0].get("message", "the app cannot start"))
            yield
        finally:
            stopping.set()


@asynccontextmanager
async def running_gateways(
    *providers: object,
    adapter: ActorAdapter | None = None,
    imports: Iterable[object] = (),
) -> AsyncGenerator[ActorAdapter]:
    """Run gateways in a Nestipy app of their own.

    Other apps of the process stand aside meanwhile: Nestipy has one container.

    Args:
        providers: The gateways, and what they are given; a
            ``ModuleProviderDict`` puts something else in a provider's place.
        adapter: The adapter, if it shall not be one with its defaults.
        imports: Modules that they need.
    """
    adapter = adapter or ActorAdapter()
    with container_of_its_own():
        async with running_app(_app(adapter, providers, imports)):
            yield adapter


def _app(
    adapter: ActorAdapter, providers: Iterable[object], imports: Iterable[object]
) -> App:
    class Gateways:
        """The root module."""

    common, core = import_module("nestipy.common"), import_module("nestipy.core")
    module = common.Module(providers=[*providers], imports=[*imports])(Gateways)
    config = core.NestipyConfig(log_bootstrap=False, log_level="WARNING")
    app: Any = core.NestipyFactory.create(module, config)
    app.use_io_adapter(adapter)
    made: App = app
    return made


def _is_kept(name: str, value: object) -> bool:
    return name == "_instance" or isinstance(value, dict | set)


@contextmanager
def container_of_its_own() -> Generator[None]:
    """Put aside what Nestipy keeps in classes, and bring it back."""
    ioc = import_module("nestipy.ioc")
    container: Any = ioc.NestipyContainer
    http: Any = import_module("nestipy.core").HttpAdapter
    members: Mapping[str, Any] = {**container.__dict__}
    kept = {name: members[name] for name in members if _is_kept(name, members[name])}
    hooks = [(list(each), each) for each in (http.startup_hooks, http.shutdown_hook)]
    container.clear()
    # Those register themselves when they are made: by an import, say.
    provided: dict[Any, Any] = members["_singleton_instances"]
    for token, value in provided.items():
        if isinstance(value, ioc.ModuleProviderDict):
            container.get_instance().add_singleton_instance(token, value)
    container.get_global_providers.cache_clear()
    for _, each in hooks:
        each.clear()
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(container, name, value)
        container.get_global_providers.cache_clear()
        for before, each in hooks:
            each[:] = before
