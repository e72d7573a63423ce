"""Prints all that can be seen of one simulated world, for a test to compare.

A program of its own: each run has another hash seed and another heap.
"""

from __future__ import annotations

import functools
import os
import random
import sys
import zlib

import trio
from trio.lowlevel import Abort, wait_task_rescheduled

from greenroom import (
    Actor,
    ActorRef,
    ActorSystem,
    Crashed,
    ExitReason,
    Intensity,
    Restart,
)
from greenroom.testing import Faults, World, simulate


def fragment_heap() -> list[object]:
    """Make the addresses of what comes later differ from run to run."""
    source = random.Random(os.urandom(8))
    kept = [bytearray(source.randrange(16, 2048)) for _ in range(20_000)]
    source.shuffle(kept)
    return list(kept[::2])


class Trace(list[str]):
    """What happened, in order."""


async def abortable(name: str, trace: Trace) -> None:
    """Sleep, and write down when the abort function is called."""

    def abort(_: object) -> Abort:
        trace.append(f"abort {name}")
        return Abort.SUCCEEDED

    await wait_task_rescheduled(abort)


async def primitives(world: World, trace: Trace) -> None:
    """Channels, locks, events, equal deadlines and cancelled nurseries."""
    send, receive = trio.open_memory_channel[int](2)
    lock, event = trio.Lock(), trio.Event()

    async def produce(number: int) -> None:
        for each in range(5):
            await world.pause()
            await send.send(10 * number + each)

    async def consume(number: int) -> None:
        for _ in range(5):
            value = await receive.receive()
            async with lock:
                trace.append(f"{number} got {value}")

    async def wait(number: int) -> None:
        await event.wait()
        trace.append(f"woken {number}")

    async def expire(number: int) -> None:
        with trio.move_on_at(50):
            await abortable(f"deadline {number}", trace)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(produce, number)
            nursery.start_soon(consume, number)
            nursery.start_soon(wait, number)
            nursery.start_soon(expire, number)
        await trio.sleep(1)
        event.set()
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(abortable, f"task {number}", trace)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    async def scoped(number: int) -> None:
        with trio.CancelScope():
            await abortable(f"scope {number}", trace)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(scoped, number)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()


class Worker(Actor[int]):
    """Writes down what befalls it."""

    def __init__(self, name: str, trace: Trace, world: World) -> None:
        self.name = name
        self.trace = trace
        self.world = world

    async def receive(self, message: int) -> int:
        self.trace.append(f"{self.name} {message} at {self.world.now:.3f}")
        await trio.sleep(0.01)
        if message % 7 == 6:
            raise ValueError(message)
        return message + random.randrange(10)

    async def stopped(self, reason: ExitReason) -> None:
        what = type(reason.error if isinstance(reason, Crashed) else reason)
        self.trace.append(f"{self.name} stopped: {what.__name__}")


async def actors(world: World, trace: Trace) -> None:
    """Actors that ask, crash and are restarted."""

    async def drive(ref: ActorRef[int], first: int) -> None:
        for number in range(first, first + 5):
            try:
                trace.append(f"answer {await ref.ask(number)}")
            except Exception as error:
                trace.append(f"{type(error).__name__} over {number}")

    patience = Intensity(1000, 1.0)
    async with ActorSystem(rng=world.random, intensity=patience) as system:
        world.inject("/worker-*", Faults(crash=0.02, slow=0.05, cancel=0.01))
        async with trio.open_nursery() as nursery:
            for number in range(3):
                name = f"worker-{number}"
                ref = await system.spawn(
                    functools.partial(Worker, name, trace, world),
                    name=name,
                    restart=Restart.TRANSIENT,
                )
                nursery.start_soon(drive, ref, 0)
                nursery.start_soon(drive, ref, 100)


def trace_of(seed: int) -> Trace:
    """Everything that happened in the world of *seed*."""
    trace = Trace()

    async def main(world: World) -> None:
        await primitives(world, trace)
        await actors(world, trace)
        trace.append(f"{world.steps} steps, {world.fingerprint}, {world.now}")

    simulate(main, seed)
    return trace


if __name__ == "__main__":
    rubble = fragment_heap()
    for text in sys.argv[1:]:
        seen = trace_of(int(text))
        print(len(seen), zlib.crc32("\n".join(seen).encode()), seen[-1])
