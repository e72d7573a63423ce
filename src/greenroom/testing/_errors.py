"""What goes wrong in a simulated world, and what is wrong with the world itself."""

from __future__ import annotations


class SimulationError(Exception):
    """Base of the errors of a simulation."""


class TrioChanged(SimulationError):
    """This version of trio is not what the simulation was made for.

    Attributes:
        version: The version that is installed.
        missing: What it lacks, or does in another way.
    """

    def __init__(self, version: str, tested: str, missing: str) -> None:
        super().__init__(
            f"trio {version} is not what the simulation was tested with, {tested}: "
            f"{missing}; install one of those"
        )
        self.version = version
        self.missing = missing


class NotSimulated(SimulationError):
    """The code under test wants something that a simulated world does not have.

    Sockets, files, processes and signals: what they do, no seed decides.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"a simulated world has no {what}")


class WorldStuck(SimulationError):
    """The world comes to no end: it hangs, or goes round in circles.

    Attributes:
        tasks: What is left: each task, and the line it stands at.
    """

    def __init__(self, how: str, tasks: tuple[str, ...]) -> None:
        lines = "".join(f"\n  {task}" for task in tasks)
        super().__init__(f"{how}; what is left:{lines}")
        self.tasks = tasks


class InvariantBroken(SimulationError):
    """What must always hold did not, after a step.

    Attributes:
        what: What was to hold.
        step: After how many steps it was seen not to.
        task: The task whose step that was.
    """

    def __init__(self, what: str, step: int, task: str) -> None:
        super().__init__(f"after step {step}, by {task}: {what}")
        self.what = what
        self.step = step
        self.task = task


class NotRepeated(SimulationError):
    """A world failed, and did not fail when it was run again.

    Something in it is decided by something else than the seed: the time of day,
    a hash, a thread, or what an earlier world has left.

    Attributes:
        seed: Its seed.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(
            f"the world of seed {seed} failed, and did not when it was run again: "
            "not all of it is decided by the seed"
        )
        self.seed = seed


class SimulatedCrash(SimulationError):
    """What an actor fails with when the simulation makes it crash."""

    def __init__(self, point: str) -> None:
        super().__init__(f"the simulation made it crash at {point!r}")
