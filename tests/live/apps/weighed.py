"""The statistics of an adapter, with the memory of its process."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from greenroom import ActorAdapter

PAGE = os.sysconf("SC_PAGE_SIZE")


def weighed(adapter: ActorAdapter) -> dict[str, Any]:
    """Its statistics, and under ``memory`` the resident bytes."""
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * PAGE
    return {**asdict(adapter.statistics()), "memory": memory}
