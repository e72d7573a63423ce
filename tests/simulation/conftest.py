"""What the simulations share: nobody counts their lines."""

from __future__ import annotations

from collections.abc import Iterator

import coverage
import pytest


@pytest.fixture(autouse=True, scope="package")
def uncounted() -> Iterator[None]:
    """Thousands of schedules run the same lines again and again.

    Counting them takes most of the time on CPython before 3.12, and shows nothing
    that the tests of each part do not show.
    """
    counting = coverage.Coverage.current()
    if counting is None:
        yield
        return
    counting.stop()
    yield
    counting.start()
