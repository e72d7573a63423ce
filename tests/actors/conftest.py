"""Actors are tested on virtual time: a deadline costs nothing to wait for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from greenroom import Registry

from .stage import Stage, set_stage


@pytest.fixture(scope="module")
def anyio_backend(
    virtual_backend: tuple[str, dict[str, Any]],
) -> tuple[str, dict[str, Any]]:
    """Run the test on asyncio, then on Trio, both on a virtual clock."""
    return virtual_backend


@pytest.fixture
async def stage(anyio_backend: object) -> AsyncGenerator[Stage, None]:
    """Actors and their ground; in the end every message must be accounted for."""
    async with set_stage() as stage:
        yield stage


@pytest.fixture
async def registry(stage: Stage) -> Registry:
    """A registry that runs."""
    registry = Registry()
    await stage.spawn(registry, path="/registry")
    return registry
