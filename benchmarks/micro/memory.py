"""Memory of one idle receiver, each kind in a fresh process.

``python -m benchmarks.micro.memory trio actors 5000`` prints kB for each.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from functools import partial

import anyio

from ..harness.machine import tree_memory
from ..harness.server import ROOT
from .crowd import Crowd, actors, streams

_KINDS: dict[str, Crowd] = {"streams": streams, "actors": actors}


def per_receiver(backend: str, kind: str, count: int) -> float:
    """Measure in a process of its own: what was freed before would be reused."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.micro.memory",
        backend,
        kind,
        str(count),
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


async def _measure(kind: str, count: int) -> float:
    async with _KINDS[kind](10):
        pass
    gc.collect()
    before = tree_memory(os.getpid())
    async with _KINDS[kind](count):
        gc.collect()
        return (tree_memory(os.getpid()) - before) / count


if __name__ == "__main__":
    _, backend, kind, count = sys.argv
    print(anyio.run(partial(_measure, kind, int(count)), backend=backend))
