"""Measure what a message, an ask, a life and an idle actor cost.

``python -m benchmarks.actors``, from the root of the repository.  Everything is
measured beside an anyio memory object stream with a task behind it, on the same
event loop, in processor time, and given as the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import anyio

from .harness.machine import describe, described
from .micro.crowd import FANOUT, SIZES, Crowd, actors, scattered, streams
from .micro.duel import Verdict, fight
from .micro.life import LIVES
from .micro.memory import per_receiver
from .micro.messages import DUELS
from .micro.peers import by_erlang, by_pykka

BACKENDS = ("asyncio", "trio")
_IDLE = 5000
_MEMORY_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Idle:
    """Memory of one idle receiver, in kB."""

    backend: str
    stream_kb: float
    actor_kb: float


@dataclass(frozen=True, slots=True)
class Flat:
    """Processor time of one message, in crowds of growing size."""

    backend: str
    kind: str
    #: Microseconds, by the size of the crowd.
    us: dict[int, float]


async def duels(backend: str, rounds: int) -> list[Verdict]:
    """Fight all duels on the running loop."""
    verdicts: list[Verdict] = []
    for duel in (*DUELS, FANOUT, *LIVES):
        verdict = await fight(duel, backend, rounds)
        verdicts.append(verdict)
        print(
            f"  {verdict.duel:24}{backend:9}{verdict.stream_us:>9.2f}"
            f"{verdict.actor_us:>9.2f}{verdict.ratio:>8.2f}"
            f"   {verdict.low:.2f} - {verdict.high:.2f}",
            flush=True,
        )
    return verdicts


def idle(backend: str) -> Idle:
    """Weigh idle receivers of both kinds."""
    kinds = {
        kind: median(per_receiver(backend, kind, _IDLE) for _ in range(_MEMORY_ROUNDS))
        for kind in ("streams", "actors")
    }
    result = Idle(backend, kinds["streams"], kinds["actors"])
    print(f"  {backend:9}{result.stream_kb:>9.1f}{result.actor_kb:>9.1f}", flush=True)
    return result


async def flat(backend: str, kind: str, crowd: Crowd, rounds: int) -> Flat:
    """Measure the cost of a message in crowds of every size."""
    costs: dict[int, float] = {}
    for size in SIZES:
        async with crowd(size) as (tells, finish):
            await scattered(tells, finish)
            costs[size] = 1e6 * median(
                [await scattered(tells, finish) for _ in range(rounds)]
            )
    shown = "".join(f"{cost:>9.2f}" for cost in costs.values())
    growth = costs[SIZES[-1]] / costs[SIZES[0]]
    print(f"  {backend:9}{kind:9}{shown}{growth:>9.2f}", flush=True)
    return Flat(backend, kind, costs)


def _same(duel: str, other: str) -> bool:
    return duel.split(",")[0].split(" to ")[0] == other.split(",")[0].split(" to ")[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.actors")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--skip-flat", action="store_true", help="no crowd of 100,000")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    rounds: int = options.rounds
    # One core throughout: a process that wanders pays for cold caches.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    print("processor time of one operation, µs; ratio above 1: the actor is faster")
    print(f"  {'':33}{'stream':>9}{'actor':>9}{'ratio':>8}   lowest - highest")
    verdicts = [
        verdict
        for backend in BACKENDS
        for verdict in anyio.run(duels, backend, rounds, backend=backend)
    ]

    print("\nthe same by others, µs; ratio: to the stream on asyncio")
    streams_us = {
        verdict.duel: verdict.stream_us
        for verdict in verdicts
        if verdict.backend == "asyncio"
    }
    peers = [*by_pykka(rounds), *by_erlang()]
    for peer in peers:
        # "ask, gen_server" is an ask, and "fan-out to 200" a fan-out.
        kin = (us for duel, us in streams_us.items() if _same(duel, peer.duel))
        stream = next(kin, None)
        ratio = "" if stream is None else f"{stream / peer.us:>8.2f}"
        print(f"  {peer.name:12}{peer.duel:30}{peer.us:>9.2f}{ratio}")

    print(f"\nmemory of one idle receiver, kB ({_IDLE:,} of them)")
    print(f"  {'':9}{'stream':>9}{'actor':>9}")
    weights = [idle(backend) for backend in BACKENDS]

    curves: list[Flat] = []
    if not options.skip_flat:
        print("\nprocessor time of one message, µs, by the number of receivers")
        print(f"  {'':18}{''.join(f'{size:>9,}' for size in SIZES)}   growth")
        crowds: tuple[tuple[str, Crowd], ...] = (
            ("streams", streams),
            ("actors", actors),
        )
        curves = [
            anyio.run(flat, backend, kind, crowd, rounds, backend=backend)
            for backend in BACKENDS
            for kind, crowd in crowds
        ]

    print("\n" + described())
    if options.json is not None:
        document = {
            "machine": describe(),
            "duels": [asdict(verdict) for verdict in verdicts],
            "peers": [asdict(peer) for peer in peers],
            "idle": [asdict(weight) for weight in weights],
            "flat": [asdict(curve) for curve in curves],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
