"""The statistics of an adapter, with the memory of its process."""

from __future__ import annotations

import os
import resource
from dataclasses import asdict
from typing import Any

from greenroom import ActorAdapter

PAGE = os.sysconf("SC_PAGE_SIZE")


def weighed(adapter: ActorAdapter) -> dict[str, Any]:
    """Its statistics; ``memory`` is the resident bytes, ``peak`` the most so far."""
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * PAGE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**asdict(adapter.statistics()), "memory": memory, "peak": peak}
