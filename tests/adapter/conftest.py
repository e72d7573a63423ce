"""Virtual time for all tests of the adapter: nothing here waits for real."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest


class _Selector(selectors.DefaultSelector):
    loop: Any = None

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self.loop.now += timeout
            timeout = 0
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run the test on asyncio, then on Trio."""
    if request.param == "trio":
        from trio.testing import MockClock

        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"debug": False, "loop_factory": _Loop}
