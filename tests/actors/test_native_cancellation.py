"""Whatever is cancelled natively, and when: nothing hangs and nothing is lost.

Servers and ``asyncio.wait_for`` cancel tasks behind the back of every cancel
scope, and asyncio in debug mode looks closely at what is done then.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom.actors import ActorNotAlive, AskTimeout, Runtime, run_actors
from greenroom.testing._clock import VirtualEventLoop

from .stage import Nanny, Puppet, Stage

MOMENTS = range(30)

# AnyIO forgets a coroutine whose task is cancelled natively before its first step.
forgetful = pytest.mark.filterwarnings("ignore:.*ground.* was never awaited")


def run(main: Callable[[], Awaitable[None]], *, collect: bool = False) -> None:
    async def all_of_it() -> None:
        before = asyncio.all_tasks()
        await main()
        # The last callbacks of what has ended.
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    with asyncio.Runner(debug=True, loop_factory=VirtualEventLoop) as runner:
        runner.run(all_of_it())
    if collect:
        # Here and not in another test: what is collected may have a word to say.
        gc.collect()


async def play(stages: list[Stage]) -> None:
    """A block in which all sorts of things go on."""
    async with run_actors() as runtime:
        stage = Stage(runtime)
        stages.append(stage)
        server = await stage.spawn(Puppet, Nanny(), capacity=2)
        client = await stage.spawn(Puppet(stopped=takes_a_while))

        async def work() -> None:
            while True:
                try:
                    await server.ref.ask(1, timeout=0.5)
                    await server.ref.send(2, timeout=0.5)
                except (AskTimeout, TimeoutError):
                    pass

        client.ref.tell(lambda puppet: puppet.context.start_soon(work))
        client.ref.tell(lambda puppet: puppet.context.send_every(0.1, "tick"))
        for _ in range(3):
            server.ref.try_tell(lambda _: anyio.sleep(0.3))
            await server.ref.ask("mine", timeout=9)
        server.ref.kill()
        await client.ref.stop()


async def playing(stages: list[Stage], moment: int) -> asyncio.Task[None]:
    """A task that plays, *moment* passes of the event loop after its begin."""
    task = asyncio.ensure_future(play(stages))
    for _ in range(moment):
        await asyncio.sleep(0)
    return task


async def takes_a_while(*_: object) -> None:
    await anyio.sleep(0.2)


def settled(stages: list[Stage]) -> None:
    """Every message is accounted for, and no actor is left."""
    for stage in stages:
        stage.check()
        assert not stage.runtime.cells
        assert all(not cell.ref.alive for cell in stage.cells)
        assert all(cell.mailbox.pending == 0 for cell in stage.cells)


async def cancel_at(task: asyncio.Task[Any], moment: int) -> None:
    """Cancel *task* when the event loop has gone round *moment* times.

    Time goes by as well, so that the moments are spread over all of it.
    """
    for _ in range(moment):
        await (asyncio.sleep(0) if moment % 2 else asyncio.sleep(0.05))
    task.cancel()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_block_can_be_cancelled_at_any_moment(moment: int) -> None:
    async def main() -> None:
        stages: list[Stage] = []
        task = asyncio.ensure_future(play(stages))
        await cancel_at(task, moment)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        settled(stages)

    run(main)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_block_can_be_cancelled_twice(moment: int) -> None:
    async def main() -> None:
        stages: list[Stage] = []
        task = asyncio.ensure_future(play(stages))
        await cancel_at(task, moment)
        await cancel_at(task, moment % 5)
        await asyncio.wait([task])
        settled(stages)

    run(main)


@forgetful
@pytest.mark.parametrize("moment", MOMENTS)
def test_all_tasks_can_be_cancelled_at_once(moment: int) -> None:
    """As an event loop does it that is about to close, or a server that is."""

    async def main() -> None:
        stages: list[Stage] = []
        me = asyncio.current_task()
        task = await playing(stages, moment)
        for each in asyncio.all_tasks():
            if each is not me:
                each.cancel()
        await asyncio.wait([task])
        settled(stages)

    run(main, collect=True)


@forgetful
@pytest.mark.parametrize("moment", MOMENTS)
def test_any_task_of_the_ground_can_be_cancelled(moment: int) -> None:
    async def main() -> None:
        stages: list[Stage] = []
        me = asyncio.current_task()
        task = await playing(stages, moment)
        others = asyncio.all_tasks() - {me, task}
        for each in others:
            each.cancel()
        await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        # The ground itself was among them, or an actor that was being asked.
        assert error is None or isinstance(error, RuntimeError | ActorNotAlive)
        settled(stages)

    run(main, collect=True)


def test_nothing_is_wrong_with_it_in_debug_mode() -> None:
    async def main() -> None:
        stages: list[Stage] = []
        await play(stages)
        settled(stages)

    run(main)


def test_a_wait_for_around_an_ask_gives_up_the_ask() -> None:
    async def main() -> None:
        runtime: Runtime
        async with run_actors() as runtime:
            stage = Stage(runtime)
            cell = await stage.spawn()
            cell.ref.tell(lambda _: anyio.sleep(2))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(cell.ref.ask("given up"), 1)
            await anyio.sleep(2)
            assert [letter.message for letter in stage.letters] == ["given up"]
            await checkpoint()
        settled([stage])

    run(main)
