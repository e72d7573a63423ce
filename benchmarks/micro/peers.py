"""What others take for the same: pykka in this process, Erlang in its own."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pykka

_MESSAGES = 10_000
_ASKS = 1_000
_LIVES = 300
_CROWD = 200
_ERLANG = Path(__file__).with_name("erlang.escript")


@dataclass(frozen=True, slots=True)
class Peer:
    """One operation, done by somebody else."""

    name: str
    duel: str
    us: float


class _Consumer(pykka.ThreadingActor):
    def on_receive(self, message: Any) -> Any:
        return message


def _each(count: int, rounds: int, do: Callable[[], None]) -> float:
    """Microseconds of processor time of one operation, the median of the rounds."""
    took: list[float] = []
    do()
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        do()
        took.append((time.process_time() - start) / count * 1e6)
    return median(took)


def by_pykka(rounds: int) -> list[Peer]:
    """pykka's actors, each a thread, told from this one."""
    ref = _Consumer.start()

    def tell() -> None:
        for number in range(_MESSAGES - 1):
            ref.tell(number)
        ref.ask("last")

    def ask() -> None:
        for number in range(_ASKS):
            assert ref.ask(number) == number

    def live() -> None:
        for _ in range(_LIVES):
            _Consumer.start().stop()

    crowd = [_Consumer.start() for _ in range(_CROWD)]

    def fan_out() -> None:
        for answer in [member.ask("news", block=False) for member in crowd]:
            answer.get()

    try:
        return [
            Peer("pykka", "tell", _each(_MESSAGES, rounds, tell)),
            Peer("pykka", "ask", _each(_ASKS, rounds, ask)),
            Peer("pykka", "spawn and stop", _each(_LIVES, rounds, live)),
            Peer("pykka", f"fan-out to {_CROWD}", _each(_CROWD, rounds, fan_out)),
        ]
    finally:
        pykka.ActorRegistry.stop_all()


def by_erlang() -> list[Peer]:
    """Erlang's processes and gen_servers on one scheduler; none if not installed."""
    escript = shutil.which("escript")
    if escript is None:
        return []
    run = subprocess.run([escript, _ERLANG], capture_output=True, check=True, text=True)
    figures: dict[str, Any] = json.loads(run.stdout)
    name = f"Erlang {figures.pop('release')}"
    figures["idle process, kB"] = figures.pop("kb")
    return [Peer(name, duel, us) for duel, us in figures.items()]
