"""Supervision is tested on virtual time: a deadline costs nothing to wait for."""

from __future__ import annotations

from typing import Any

import pytest

from .clock import virtual


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run the test on asyncio, then on Trio, both on a virtual clock."""
    return request.param, virtual(request.param)
