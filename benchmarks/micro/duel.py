"""How a duel is fought: in turns, round after round, and judged by the ratios."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from statistics import median

import anyio


class Finish:
    """Waits until so many messages were handled."""

    def __init__(self) -> None:
        self._left = 0
        self._event = anyio.Event()

    def expect(self, messages: int) -> None:
        self._left = messages
        self._event = anyio.Event()

    def arrived(self) -> None:
        self._left -= 1
        if not self._left:
            self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


#: Takes one turn; returns processor seconds for each operation.
Turn = Callable[[], Awaitable[float]]
Side = Callable[[], AbstractAsyncContextManager[Turn]]


@dataclass(frozen=True, slots=True)
class Duel:
    """One operation, done both ways."""

    name: str
    stream: Side
    actor: Side


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a duel on one backend; above 1 the actor was faster."""

    duel: str
    backend: str
    rounds: int
    stream_us: float
    actor_us: float
    ratio: float
    low: float
    high: float


async def fight(duel: Duel, backend: str, rounds: int) -> Verdict:
    """Let both sides take *rounds* turns, after one to warm up."""
    async with duel.stream() as stream, duel.actor() as actor:
        await stream()
        await actor()
        pairs: list[tuple[float, float]] = []
        for number in range(rounds):
            if number % 2:
                first = await _take(stream)
                pairs.append((first, await _take(actor)))
            else:
                second = await _take(actor)
                pairs.append((await _take(stream), second))
    ratios = [theirs / ours for theirs, ours in pairs]
    return Verdict(
        duel.name,
        backend,
        rounds,
        stream_us=median(theirs for theirs, _ in pairs) * 1e6,
        actor_us=median(ours for _, ours in pairs) * 1e6,
        ratio=median(ratios),
        low=min(ratios),
        high=max(ratios),
    )


async def _take(turn: Turn) -> float:
    # Or one side's garbage would be collected in the other's turn.
    gc.collect()
    return await turn()
