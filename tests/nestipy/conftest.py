"""What the tests in Nestipy share: apps of their own, and one at a time."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Literal, TypeAlias

import anyio
import pytest

from greenroom import ActorAdapter

from ..adapter.asgi import Lifespan
from . import nest

with warnings.catch_warnings():
    # It would rather have httpx2; both do.
    warnings.filterwarnings("ignore", r"Using `httpx` with `starlette\.testclient`")
    from starlette.testclient import TestClient

Backend: TypeAlias = Literal["asyncio", "trio"]
# Any, because a TestClient without httpx2 is of no known type.
Serve: TypeAlias = Callable[[nest.App], AbstractContextManager[Any]]


@pytest.fixture(autouse=True)
def one_app_at_a_time() -> Generator[None]:
    """Let no app see another."""
    yield
    nest.forget_app()


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """The loop that the app runs on."""
    name: Backend = request.param
    return name


@pytest.fixture
def serve(backend: Backend) -> Serve:
    """Run an app, lifespan included, and talk to it."""

    def run(app: nest.App) -> AbstractContextManager[Any]:
        return TestClient(app, backend=backend)

    return run


def nestipy_app(
    adapter: ActorAdapter,
    *providers: type,
    controllers: tuple[type, ...] = (),
    http: object = None,
) -> nest.App:
    """An app of one module, with *adapter*."""

    class Root: ...

    module = nest.Module(providers=[*providers], controllers=[*controllers])(Root)
    app = nest.create(module, http=http)
    app.use_io_adapter(adapter)
    return app


@asynccontextmanager
async def served(app: Callable[..., Awaitable[Any]]) -> AsyncGenerator[Lifespan]:
    """Have *app* started, and shut down at the end."""
    lifespan = Lifespan()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifespan.run, app)
        await lifespan.started()
        yield lifespan
        lifespan.stop()


def frame(event: str, data: Any = None, namespace: str = "/") -> dict[str, Any]:
    """An event of the JSON envelope."""
    return {"event": event, "data": data, "namespace": namespace}


def receive(session: Any, count: int) -> list[Any]:
    """The next frames of a socket of the TestClient."""
    return [session.receive_json() for _ in range(count)]


def failure(id: int, code: str, message: str) -> dict[str, Any]:
    """The ack of an event that failed."""
    return {"ack": id, "error": {"code": code, "message": message}}


def client_of(context: Any) -> Any:
    """The client that an execution context is about."""
    return context.switch_to_websocket().get_client()
