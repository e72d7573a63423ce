"""What the simulation has found, each in the smallest world that shows it."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorSystem,
    Backoff,
    ChildSpec,
    ExitReason,
    Intensity,
    Restart,
    Strategy,
    Supervisor,
)
from greenroom.testing import Schedule, World, simulate, wait_idle

from .supervised import Boom

PATIENT = Intensity(max_restarts=1000, period=1.0)
PERMANENT = Restart.PERMANENT


class Longest(random.Random):
    """Jitter that takes the whole of what it may."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Child(Actor[Any]):
    """Writes down its starts and ends."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    async def started(self) -> None:
        self.log.append(f"start {self.name}")

    async def receive(self, message: Any) -> None:
        raise message

    async def stopped(self, reason: ExitReason) -> None:
        self.log.append(f"stop {self.name}")


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_a_supervisor_killed_in_a_group_restart_starts_nobody(
    strategy: Strategy,
) -> None:
    async def main(_: World) -> list[str]:
        log: list[str] = []
        top = Supervisor(
            [ChildSpec(name, partial(Child, name, log)) for name in "ab"],
            strategy=strategy,
            intensity=PATIENT,
            backoff=None,
        )
        async with ActorSystem() as system:
            ref = await system.spawn(top, name="top")
            a, b = top.child("a"), top.child("b")
            assert a is not None
            assert b is not None
            a.tell(Boom())
            # It waits for the same, and is killed before it can go on.
            await b.wait_stopped()
            ref.kill()
            await ref.wait_stopped()
            await wait_idle()
            assert not a.alive
            assert not b.alive
        return log

    log = simulate(main, Schedule())

    assert log == ["start a", "start b", "stop a", "stop b"]


def test_a_supervisor_killed_in_a_group_restart_leaves_nothing_to_the_next() -> None:
    async def main(_: World) -> list[str]:
        log: list[str] = []
        top = Supervisor(
            [ChildSpec(name, partial(Child, name, log)) for name in "ab"],
            strategy=Strategy.ONE_FOR_ALL,
            intensity=PATIENT,
            # The second failure in a row waits for a second.
            backoff=Backoff(1.0, 1.0),
            rng=Longest(),
        )
        async with ActorSystem(intensity=PATIENT, backoff=None) as system:
            ref = await system.spawn(lambda: top, name="top", restart=PERMANENT)
            for _failure in range(2):
                await wait_idle()
                a, b = top.child("a"), top.child("b")
                assert a is not None
                assert b is not None
                a.tell(Boom())
                await b.wait_stopped()
            ref.kill()
            await wait_idle()
            log.append("killed")
            await anyio.sleep(10)
        return log

    log = simulate(main, Schedule())

    starts = log[: log.index("killed")]
    # Of the first incarnation, of its restart, and of the second one.
    assert starts.count("start a") == starts.count("start b") == 3
    assert log[log.index("killed") + 1 :] == ["stop b", "stop a"]
