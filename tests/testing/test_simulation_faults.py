"""What befalls actors in a simulated world: as the seed decides, or as is said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
import trio

from greenroom import (
    Actor,
    ActorCrashed,
    ActorSystem,
    Crashed,
    ExitReason,
    Intensity,
    Killed,
    Restart,
    Shutdown,
)
from greenroom.testing import (
    Faults,
    Schedule,
    SimulatedCrash,
    World,
    explore,
    simulate,
    wait_idle,
)

MANY = Intensity(max_restarts=1000, period=1.0)


class Worker(Actor[Any]):
    """Writes down what it hears and how it ends."""

    def __init__(self, world: World, log: list[Any]) -> None:
        self.world = world
        self.log = log

    async def receive(self, message: Any) -> Any:
        if message == "sleep":
            await anyio.sleep(100)
        elif message == "pause":
            await self.world.pause("halfway")
        elif message == "nursery":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 100)
        self.log.append(message)
        return message

    async def stopped(self, reason: ExitReason) -> None:
        self.log.append(reason)


def test_an_actor_crashes_at_a_point() -> None:
    log: list[Any] = []

    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, log), name="worker")
            world.crash("/worker", skip=2)
            for number in range(5):
                ref.try_tell(number)
            await ref.wait_stopped()

    simulate(main)

    assert log[:2] == [0, 1]
    (reason,) = log[2:]
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, SimulatedCrash)
    assert str(reason.error) == "the simulation made it crash at 'receive'"


def test_it_crashes_once_and_is_restarted() -> None:
    log: list[Any] = []

    async def main(world: World) -> None:
        world.crash("/worker")
        async with ActorSystem() as system:
            ref = await system.spawn(
                lambda: Worker(world, log), name="worker", restart=Restart.PERMANENT
            )
            for number in range(3):
                assert await ref.ask(number) == number

    simulate(main)

    assert [each for each in log if isinstance(each, int)] == [0, 1, 2]


def test_it_crashes_before_it_answers() -> None:
    log: list[Any] = []

    async def main(world: World) -> None:
        world.crash("/worker", at="reply")
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, log), name="worker")
            with pytest.raises(ActorCrashed):
                await ref.ask("it")

    simulate(main)

    assert log[0] == "it"


def test_it_crashes_where_its_own_code_pauses() -> None:
    log: list[Any] = []

    async def main(world: World) -> None:
        world.crash("/worker", at="halfway")
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, log), name="worker")
            assert await ref.ask("before") == "before"
            with pytest.raises(ActorCrashed):
                await ref.ask("pause")

    simulate(main)

    assert log[0] == "before"
    assert "pause" not in log


def test_only_those_of_the_pattern_are_concerned() -> None:
    async def main(world: World) -> None:
        world.crash("/b*")
        async with ActorSystem() as system:
            good = await system.spawn(Worker(world, []), name="a")
            bad = await system.spawn(Worker(world, []), name="b-1")
            await good.ask(1)
            with pytest.raises(ActorCrashed):
                await bad.ask(1)
            # What pauses outside of every actor is none of them.
            await world.pause()

    simulate(main)


def test_an_actor_stands_still() -> None:
    async def main(world: World) -> None:
        world.slow("/worker", 7, skip=1)
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, []), name="worker")
            await ref.ask(0, timeout=None)
            assert world.now == 0
            await ref.ask(1, timeout=None)
            assert world.now == 7
            await ref.ask(2, timeout=None)
            assert world.now == 7

    simulate(main)


@pytest.mark.parametrize("waits", ["sleep", "idle"])
def test_an_actor_is_cancelled_natively_whatever_it_waits_for(waits: str) -> None:
    log: list[Any] = []

    async def main(world: World) -> bool:
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, log), name="worker")
            if waits == "sleep":
                ref.tell("sleep")
            await wait_idle()
            done = world.cancel(ref)
            assert await ref.wait_stopped() == Killed()
            return done

    assert simulate(main)
    # As natively: by no scope, so its hook runs.
    assert log == [Killed()]


def test_who_can_run_or_has_no_task_is_not_cancelled() -> None:
    log: list[Any] = []

    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, log), name="worker")
            await wait_idle()
            ref.tell("it")
            assert not world.cancel(ref)
            await wait_idle()
            await ref.stop()
            assert not world.cancel(ref)

    simulate(main)

    assert log == ["it", Shutdown()]


def test_who_waits_for_a_nursery_is_not_cancelled() -> None:
    log: list[Any] = []

    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, log), name="worker")
            ref.tell("nursery")
            await wait_idle()
            assert not world.cancel(ref)
            await anyio.sleep(100)

    simulate(main)

    assert log == ["nursery", Shutdown()]


@pytest.mark.parametrize(
    ("fault", "reason"), [("crash", Crashed), ("cancel", Killed), ("kill", Killed)]
)
def test_faults_strike_as_often_as_is_said(fault: str, reason: type[Any]) -> None:
    ends: Counter[type[Any]] = Counter()

    async def main(world: World) -> None:
        world.inject("/worker", Faults(**{fault: 0.2}))
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, []), name="worker")
            ref.tell(1)
            await wait_idle()
            ref.stop_nowait()
            ends[type(await ref.wait_stopped())] += 1

    explore(main, range(300))

    # One chance before the message, and one before the order to stop.
    assert set(ends) == {reason, Shutdown}
    assert 60 < ends[reason] < 160


def test_a_fault_that_kills_runs_no_hook_and_one_that_cancels_does() -> None:
    logs: dict[str, list[Any]] = {}

    async def main(world: World) -> None:
        async with ActorSystem() as system:
            for fault in ("kill", "cancel"):
                log = logs[fault] = []
                world.inject(f"/{fault}", Faults(**{fault: 1.0}))
                ref = await system.spawn(Worker(world, log), name=fault)
                ref.tell("it")
                assert await ref.wait_stopped() == Killed()

    simulate(main)

    assert logs["kill"] in ([], ["it"])
    assert logs["cancel"] == [Killed()]


def test_slow_actors_take_their_time() -> None:
    async def main(world: World) -> float:
        world.inject("/worker", Faults(slow=0.5, slow_seconds=3))
        async with ActorSystem() as system:
            ref = await system.spawn(Worker(world, []), name="worker")
            await ref.ask(1, timeout=None)
            return world.now

    assert {simulate(main, seed) for seed in range(50)} == {0, 3, 6}


def test_a_schedule_decides_faults_by_odd_numbers() -> None:
    async def main(world: World) -> str:
        world.inject("/worker", Faults(crash=0.001))
        async with ActorSystem(intensity=MANY) as system:
            ref = await system.spawn(Worker(world, []), name="worker")
            ref.tell("it")
            await wait_idle()
            return "lives" if ref.alive else "crashed"

    # The first chance comes after the yield points of root and registry.
    assert simulate(main, Schedule()) == "lives"
    outcomes = [simulate(main, Schedule([0] * n + [1])) for n in range(5)]
    assert outcomes.count("crashed") == 1
    assert {simulate(main, Schedule([0] * n + [2])) for n in range(5)} == {"lives"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crash": 1.5}, "crash must be a probability, got 1.5"),
        ({"kill": -0.1}, "kill must be a probability, got -0.1"),
        ({"slow": float("nan")}, "slow must be a probability, got nan"),
        ({"slow_seconds": 0}, "slow_seconds must be seconds above 0, got 0"),
        ({"slow_seconds": float("inf")}, "slow_seconds must be seconds above 0"),
    ],
)
def test_wrong_faults_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faults(**wrong)


def test_wrong_plans_are_refused() -> None:
    wrong: Any = ["/worker"]

    async def main(world: World) -> None:
        with pytest.raises(TypeError, match="actors must be a str, got"):
            world.crash(wrong)
        with pytest.raises(ValueError, match="skip must be at least 0, got -1"):
            world.crash("/worker", skip=-1)
        with pytest.raises(ValueError, match="seconds must be above 0, got 0"):
            world.slow("/worker", 0)

    simulate(main)
