"""All that `test_events` says, where there is no wire: plain ASGI does it too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import HypercornServer, hypercorn_server
from .test_events import *  # noqa: F403 - all of its tests


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server("tests.live.apps.plain:app", worker) as server:
        yield server
