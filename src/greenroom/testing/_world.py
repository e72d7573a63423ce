"""World: what the code under test lives in while it is simulated."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, final

import anyio

from ..actors import ActorRef, Cell, Mailbox, current
from ._engine import Engine
from ._errors import SimulatedCrash
from ._faults import Chance, Fault, Faults, Once, Plan
from ._trio import raise_cancelled


@final
class World:
    """A simulated world; made by `simulate` and handed to what is simulated.

    Every system opened in it is a part of it: its time is virtual, its order of
    events is decided by the seed, and its mailboxes are watched.
    """

    def __init__(self, engine: Engine, seed: int) -> None:
        self._seed = seed
        self._random: Random | None = None
        self._engine = engine
        self._plans: list[Plan] = []
        engine.pause = self.pause

    @property
    def random(self) -> Random:
        """Random numbers for the code under test, decided by the seed."""
        if self._random is None:
            # Late, because few worlds want them: seeding takes as long as a step.
            self._random = Random(self._seed)
        return self._random

    @property
    def now(self) -> float:
        """Virtual seconds since the world began."""
        return self._engine.loop.now

    @property
    def steps(self) -> int:
        """How many steps its tasks have made so far."""
        return self._engine.steps

    @property
    def fingerprint(self) -> int:
        """A number for the order of all steps so far: equal for equal orders."""
        return self._engine.fingerprint

    async def pause(self, point: str = "pause") -> None:
        """A yield point: here the seed may let others get ahead of the caller.

        The library has two of its own: ``"receive"``, before an actor takes its
        next message, and ``"reply"``, before it answers.

        Args:
            point: What it is called, for faults; see `crash`.
        """
        if self._plans:
            await self._suffer(point)
        ticks = self._engine.choices.delay()
        if ticks:
            # In real life nothing comes between a handler and its answer that
            # could cancel it.
            shielded = point == "reply"
            await self._engine.loop.fall_behind(ticks, shielded=shielded)

    def invariant(self, holds: Callable[[], object], what: str | None = None) -> None:
        """Call *holds* after every step from now on, and once at the end.

        If it returns False, or raises, the world ends with `InvariantBroken`.

        Args:
            holds: Must not wait, and must not change anything.
            what: What it says, in words; by default its name.
        """
        name: str = getattr(holds, "__name__", repr(holds))
        self._engine.invariants.append((name if what is None else what, holds))

    def watch(self, name: str, mailbox: Mailbox[Any]) -> None:
        """Hold *mailbox* to the law of conservation, as those of actors are."""
        self._engine.watched.add(name, mailbox)

    # -- faults ------------------------------------------------------------

    def inject(self, actors: str, faults: Faults) -> None:
        """Let *faults* befall actors from now on, as the seed decides.

        Args:
            actors: A pattern of paths, such as ``"/worker-*"``.
            faults: Which, and how probable each is.
        """
        self._plans.append(Chance(actors, faults))

    def crash(self, actors: str, *, at: str = "receive", skip: int = 0) -> None:
        """Let an actor fail with `SimulatedCrash` when it comes to a yield point.

        Args:
            actors: A pattern of paths; the first to come to the point is it.
            at: The point, as given to `pause`.
            skip: How often the point is passed unharmed before.
        """
        self._plans.append(Once(actors, Fault.CRASH, at=at, skip=skip))

    def slow(
        self, actors: str, seconds: float, *, at: str = "receive", skip: int = 0
    ) -> None:
        """Let an actor stand still for *seconds* at a yield point; see `crash`."""
        plan = Once(actors, Fault.SLOW, at=at, skip=skip, seconds=seconds)
        self._plans.append(plan)

    def cancel(self, ref: ActorRef[Any]) -> bool:
        """Cancel the task of an actor as if natively, whatever it waits for.

        On asyncio that is ``Task.cancel()``, and ASGI servers do it; Trio knows
        only scopes, so here a `trio.Cancelled` comes that is nobody's.

        Returns:
            False if there is nothing to cancel: it can run already, has no task,
            or waits for the tasks of a nursery.
        """
        loop = self._engine.loop
        for task in loop.tasks():
            activation = task.context.get(current)
            # What it has started itself is younger.
            if activation is not None and activation.owner.path == ref.path:
                return loop.cancel(task)
        return False

    async def _suffer(self, point: str) -> None:
        activation = current.get()
        if activation is None:
            return
        cell = activation.owner
        assert isinstance(cell, Cell)
        for plan in self._plans:
            if not plan.concerns(cell.path):
                continue
            for fault, seconds in plan.strikes(point, self._engine.choices):
                if fault is Fault.SLOW:
                    await anyio.sleep(seconds)
                elif fault is Fault.CRASH:
                    raise SimulatedCrash(point)
                elif fault is Fault.CANCEL:
                    raise_cancelled()
                else:
                    cell.kill()
