"""Virtual time for all tests of the adapter: nothing here waits for real."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.adapter import _hypercorn
from greenroom.adapter._unheard import UNHEARD


@pytest.fixture(scope="module")
def anyio_backend(
    virtual_backend: tuple[str, dict[str, Any]],
) -> tuple[str, dict[str, Any]]:
    """Asyncio, then Trio."""
    return virtual_backend


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has looked yet which hypercorn it is, nor counted what it refuses."""
    monkeypatch.setattr(_hypercorn, "_known", None)
    monkeypatch.setattr(UNHEARD, "malformed", 0)
    monkeypatch.setattr(UNHEARD, "unfinished", 0)
