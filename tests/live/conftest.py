"""What the live tests share: both workers, and Trio for the clients."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def worker(request: pytest.FixtureRequest) -> str:
    """The worker class of the server."""
    return str(request.param)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop of the clients: it is the server that must run on both."""
    return "trio"
