"""What the live tests share: both workers, one server each, Trio for the clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from .server import HypercornServer, hypercorn_server
from .witness import APP, SMALL_BUFFER, witness


@pytest.fixture(scope="session", params=["asyncio", "trio"])
def worker(request: pytest.FixtureRequest) -> str:
    """The worker class of the server."""
    return str(request.param)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop of the clients: it is the server that must run on both."""
    return "trio"


@pytest.fixture(scope="session")
def server(worker: str) -> Iterator[HypercornServer]:
    """A server of ``apps/events.py``, for all tests that leave it as it was."""
    with hypercorn_server("tests.live.apps.events:app", worker) as server:
        yield server


@pytest.fixture(scope="session")
def faulty(worker: str) -> Iterator[HypercornServer]:
    """A server of ``apps/faults.py``, for all tests under fault that leave it so."""
    with hypercorn_server(APP, worker, socket_buffer=SMALL_BUFFER) as server:
        with witness(server) as watching:
            tasks = watching.settled_look()["tasks"]
        yield replace(server, tasks=tasks)
