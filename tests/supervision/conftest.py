"""Supervision is tested on virtual time: a deadline costs nothing to wait for."""

from __future__ import annotations

from typing import Any

import pytest

from .streams import Load


@pytest.fixture(scope="module")
def anyio_backend(
    virtual_backend: tuple[str, dict[str, Any]],
) -> tuple[str, dict[str, Any]]:
    """Run the test on asyncio, then on Trio, both on a virtual clock."""
    return virtual_backend


@pytest.fixture
def load() -> Load:
    """What a stream runs."""
    return Load()
