"""A service without a socket: pollers, a slow writer, and a crash that is healed.

    python examples/embedded.py [--backend trio] [--seconds 10]

    /
    ├── writer       writes eight lines a second, and no more
    └── pollers
        ├── cellar   each reads its sensor and sends the writer what has changed
        ├── hall
        └── roof     whose line breaks now and then; its traceback is on stderr

SIGTERM and Ctrl-C stop it in order; SIGUSR1 makes it say how far it is, and what
each of the actors above is doing.
"""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import dataclass
from functools import partial
from signal import SIGINT, SIGTERM, SIGUSR1

import anyio

from greenroom import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    ExitReason,
    MailboxOptions,
    Registry,
    Request,
    Strategy,
    Supervisor,
)

LINES_PER_SECOND = 8
SENSORS = ("cellar", "hall", "roof")

say = partial(print, flush=True)


@dataclass(frozen=True, slots=True)
class Reading:
    sensor: str
    celsius: float


@dataclass(frozen=True, slots=True)
class Flush(Request[int]):
    """Answered, by the number of lines, when all that was sent before is written."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Read the sensor."""


class Sensor:
    """Stands in for a device on a line. The line to the roof is a bad one."""

    def __init__(self, name: str) -> None:
        self.reads_left = 8 if name == "roof" else math.inf

    async def read(self) -> float:
        await anyio.sleep(0.01)
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ConnectionError("the line is dead")
        return round(random.uniform(18, 24), 1)


class Writer(Actor[Reading | Flush]):
    def __init__(self) -> None:
        self.lines, self.free_at = 0, 0.0

    async def receive(self, message: Reading | Flush) -> int:
        if isinstance(message, Reading):
            # The whole rate limit: one message is handled at a time, so while
            # this waits the mailbox fills, and then whoever sends waits too.
            await anyio.sleep_until(self.free_at)
            self.free_at = anyio.current_time() + 1 / LINES_PER_SECOND
            self.lines += 1
            waiting = self.context.ref.statistics().pending - 1
            say(f"writer: {message.sensor} {message.celsius}, {waiting} waiting")
        return self.lines

    async def stopped(self, reason: ExitReason) -> None:
        say(f"writer: ended, {reason}")


class Poller(Actor[Poll]):
    """Knows nothing of broken lines: it fails, and is replaced."""

    def __init__(
        self, name: str, writer: ActorRef[Reading | Flush], registry: Registry
    ) -> None:
        self.name, self.writer, self.registry = name, writer, registry
        self.sensor = Sensor(name)
        self.last = math.nan

    async def started(self) -> None:
        await self.registry.join("pollers", self.context.ref)
        self.context.send_every(0.25, Poll())
        say(f"{self.name}: polling, start {self.context.incarnation}")

    async def receive(self, message: Poll) -> None:
        celsius = await self.sensor.read()
        if celsius != self.last:
            # Waits while the writer's mailbox is full; ticks are skipped meanwhile.
            await self.writer.send(Reading(self.name, celsius))
            self.last = celsius

    async def stopped(self, reason: ExitReason) -> None:
        say(f"{self.name}: ended, {reason}")


async def serve(seconds: float) -> None:
    with anyio.open_signal_receiver(SIGTERM, SIGINT, SIGUSR1) as signals:
        # A broken line is one poller's concern: below, one for one. But pollers
        # send changes only, and a writer that starts anew has to hear everything
        # once; so what stands after it starts anew with it: here, rest for one.
        async with ActorSystem(strategy=Strategy.REST_FOR_ONE) as system:
            spec = ChildSpec("writer", Writer, mailbox=MailboxOptions(capacity=8))
            writer = await system.start_child(spec)
            poller = partial(Poller, writer=writer, registry=system.registry)
            specs = [ChildSpec(name, partial(poller, name)) for name in SENSORS]
            await system.start_child(ChildSpec("pollers", partial(Supervisor, specs)))
            with anyio.move_on_after(seconds):
                async for signal in signals:
                    if signal != SIGUSR1:
                        break
                    for ref in system.registry.members("pollers"):
                        say(f"polls of {ref.name}: {ref.statistics().handled}")
                    say(system.tree())
            say("stopping")
            # Leaving the block stops all of it in this order, but makes dead
            # letters of what waits. First those who send, then one last question.
            await system.stop_child("pollers")
            say(f"written: {await writer.ask(Flush())} lines")
    say("stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Supervised actors, and no socket.")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--seconds", type=float, default=math.inf)
    options = parser.parse_args()
    anyio.run(serve, options.seconds, backend=options.backend)
