"""What every test shares: the two event loops, and what a bare machine lacks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from functools import wraps
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any

import anyio
import pytest
from hypothesis import settings

from greenroom.testing._clock import virtual_backend as virtual

# A busy machine is not a failing example: the timeout of the test will do.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Nestipy is optional: without it everything else is tested.
collect_ignore = [] if find_spec("nestipy") else ["nestipy"]


# Asyncio's debug mode is another program: PYTHONDEVMODE must not choose it.
BACKENDS: dict[str, dict[str, bool]] = {"asyncio": {"debug": False}, "trio": {}}


# Per module, not per test: Hypothesis refuses function-scoped fixtures.
@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run the test on asyncio, then on Trio."""
    return request.param, BACKENDS[request.param]


@pytest.fixture(scope="module", params=BACKENDS)
def virtual_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Asyncio, then Trio, on virtual time; for a module's own `anyio_backend`."""
    name, options = virtual(request.param)
    return name, {**BACKENDS[name], **options}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a browser where there is none, except on CI."""
    if item.get_closest_marker("browser") is None:
        return
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(f"not installed: {', '.join(missing)}")


# pytest-timeout raises in the main thread, where AnyIO's Trio runner does not
# hear it; and a timeout inside the loop shows what the test was waiting for.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """End an async test that hangs, a little before pytest-timeout would."""
    test = pyfuncitem.obj
    if iscoroutinefunction(test):
        marker = pyfuncitem.get_closest_marker("timeout")
        limit = marker.args[0] if marker else pyfuncitem.config.getini("timeout")

        @wraps(test)
        async def bounded(**arguments: object) -> object:
            with anyio.fail_after(0.8 * float(limit)):
                return await test(**arguments)

        pyfuncitem.obj = bounded
    return (yield)
