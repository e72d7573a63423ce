"""Virtual time for all tests of the adapter: nothing here waits for real."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.adapter import _hypercorn


@pytest.fixture(scope="module")
def anyio_backend(
    virtual_backend: tuple[str, dict[str, Any]],
) -> tuple[str, dict[str, Any]]:
    """Asyncio, then Trio."""
    return virtual_backend


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has looked yet which hypercorn it is."""
    monkeypatch.setattr(_hypercorn, "_known", None)
