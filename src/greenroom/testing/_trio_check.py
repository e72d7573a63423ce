"""Whether trio still does as it is told: looked at once, in a small run.

That it has the names is not enough: what decides nothing any more would let
chance back in without a word.
"""

from __future__ import annotations

import functools
from typing import Any, final

from ._errors import TrioChanged
from ._trio import Loop, changed

_COUNT = 5


@final
class _Odd:
    """Decides everything as nobody else would, and looks on."""

    def __init__(self) -> None:
        self.steps = 0
        self._ties = 0

    def shuffle(self, items: list[Any]) -> None:
        items.append(items.pop(0))

    def tie(self) -> float:
        self._ties -= 1
        return float(self._ties)

    def anywhere(self) -> int:
        return 1

    def stepped(self, task: Any) -> None:
        self.steps += 1

    def stuck(self) -> None:
        """Never: there is always a deadline."""


@functools.cache
def check_trio() -> None:
    """Make sure that trio can be simulated.

    Raises:
        TrioChanged: It is not what this was tested with.
    """
    seen: list[str] = []
    orders = _Odd()
    loop = Loop()
    try:
        loop.run(lambda: _observe(loop, orders, seen))
    except (ModuleNotFoundError, TrioChanged):
        raise
    except Exception as error:
        raise changed(f"a run fails with {error!r}") from error
    if not orders.steps:
        raise changed("nobody is told of the steps of tasks")
    if "7202.0" not in seen:
        raise changed("time does not jump")
    numbers = [*range(_COUNT)]
    started = numbers[1:] + numbers[:1]
    for what, wanted in (
        ("start", started),
        # Whose deadline came last, is first.
        ("deadline", started[::-1]),
        # The nursery's own task is the oldest.
        ("task", numbers),
        # Trio takes the last one first.
        ("scope", (started[1:] + started[:1])[::-1]),
    ):
        order = [each for each in seen if each.startswith(what)]
        if order != [f"{what} {number}" for number in wanted]:
            raise changed(f"the order of each {what} is not what was decided")


async def _observe(loop: Loop, orders: _Odd, seen: list[str]) -> None:
    import trio
    from trio.lowlevel import Abort, wait_task_rescheduled

    async def park(name: str) -> None:
        def abort(_: object) -> Abort:
            seen.append(name)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)

    async def start(number: int) -> None:
        seen.append(f"start {number}")
        with trio.CancelScope(deadline=3600):
            await park(f"deadline {number}")
        await park(f"task {number}")

    async def scoped(number: int) -> None:
        with trio.CancelScope():
            await park(f"scope {number}")

    await loop.begin(orders, orders, lambda: None)
    try:
        for function in (start, scoped):
            async with trio.open_nursery() as nursery:
                for number in range(_COUNT):
                    nursery.start_soon(function, number)
                await trio.sleep(3601)
                nursery.cancel_scope.cancel()
            seen.append(str(trio.current_time()))
    finally:
        loop.end()
