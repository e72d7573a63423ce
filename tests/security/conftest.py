"""Virtual time for all tests here: an attack that waits does not wait for real."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def anyio_backend(
    virtual_backend: tuple[str, dict[str, Any]],
) -> tuple[str, dict[str, Any]]:
    """Asyncio, then Trio."""
    return virtual_backend
