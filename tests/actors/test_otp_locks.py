"""One task at a time for each key, as Elixir's Registry.lock tests have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from greenroom import AskCycle, Registry
from greenroom.testing import wait_idle

from .stage import Puppet, Stage, asyncio_only

pytestmark = pytest.mark.anyio


class Block:
    """Tasks and actors that take locks; what they do is written down.

    Each stays in its block until it is let go.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.log: list[str] = []
        self._gates: dict[str, anyio.Event] = {}

    async def stay(self, name: str, key: object = "lobby") -> None:
        """Enter the block of *key* and stay there."""
        self._gates[name] = anyio.Event()
        async with self._registry.lock(key):
            self.log.append(f"{name} in")
            try:
                await self._gates[name].wait()
            finally:
                self.log.append(f"{name} out")

    def let_go(self, name: str) -> None:
        self._gates[name].set()

    def act(self, name: str) -> Callable[[Puppet], Any]:
        """What an actor is told to make it `stay`."""

        async def stay(_: Puppet) -> None:
            await self.stay(name)

        return stay


@pytest.fixture
def block(registry: Registry) -> Block:
    return Block(registry)


async def test_different_keys_do_not_lock_each_other(block: Block) -> None:
    """Behaviour 136: does not lock when using different keys."""
    async with anyio.create_task_group() as tasks:
        # Told apart as names are.
        for name, key in (("a", 1), ("b", 1.0), ("c", True)):
            tasks.start_soon(block.stay, name, key)
        await wait_idle()
        assert sorted(block.log) == ["a in", "b in", "c in"]
        for name in "abc":
            block.let_go(name)


async def test_the_same_key_is_for_one_at_a_time_in_order(block: Block) -> None:
    """Behaviour 136: locks when using the same key."""
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(block.stay, name)
            await wait_idle()
        assert block.log == ["a in"]
        for name in "abc":
            block.let_go(name)

    assert block.log == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_a_holder_that_raises_frees_the_lock(
    registry: Registry, block: Block
) -> None:
    """Behaviour 136: locks when the holder raises."""
    go = anyio.Event()

    async def fail() -> None:
        with suppress(ZeroDivisionError):
            async with registry.lock("lobby"):
                await go.wait()
                _ = 1 // 0

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fail)
        await wait_idle()
        tasks.start_soon(block.stay, "next")
        await wait_idle()
        assert block.log == []
        go.set()
        await wait_idle()
        assert block.log == ["next in"]
        block.let_go("next")


@pytest.mark.parametrize("how", ["kill", "crash"])
async def test_a_holder_that_terminates_frees_the_lock(
    stage: Stage, block: Block, how: str
) -> None:
    """Behaviour 136: locks when the holder terminates."""
    holder, other = await stage.spawn(), await stage.spawn()

    async def crash() -> None:
        raise LookupError

    holder.ref.tell(block.act("holder"))
    await wait_idle()
    other.ref.tell(block.act("other"))
    await wait_idle()
    assert block.log == ["holder in"]
    if how == "kill":
        holder.ref.kill()
    else:
        assert holder.actor is not None
        holder.actor.context.start_soon(crash)
    await wait_idle()

    assert block.log == ["holder in", "holder out", "other in"]
    block.let_go("other")


async def test_a_waiter_that_terminates_leaves_the_line(
    stage: Stage, block: Block
) -> None:
    """Behaviour 136: locks when the waiter terminates."""
    actors = {name: await stage.spawn() for name in "abcd"}
    for name, cell in actors.items():
        cell.ref.tell(block.act(name))
        await wait_idle()
    actors["b"].ref.kill()  # in the middle of the line
    actors["d"].ref.kill()  # at its end
    await wait_idle()
    assert block.log == ["a in"]
    block.let_go("a")
    await wait_idle()

    assert block.log == ["a in", "a out", "c in"]
    block.let_go("c")


async def stay_within(block: Block, scope: anyio.CancelScope) -> None:
    with scope:
        await block.stay("fickle")


async def test_a_waiter_that_is_cancelled_as_the_lock_comes_free_passes_it_on(
    block: Block,
) -> None:
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(block.stay, "holder")
        await wait_idle()
        tasks.start_soon(stay_within, block, scope)
        await wait_idle()
        tasks.start_soon(block.stay, "last")
        await wait_idle()
        block.let_go("holder")
        await anyio.lowlevel.checkpoint()
        scope.cancel()
        await wait_idle()
        assert block.log[-1] == "last in"
        block.let_go("last")


async def test_a_waiter_that_is_cancelled_just_before_is_passed_over(
    registry: Registry, block: Block
) -> None:
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        async with registry.lock("lobby"):
            tasks.start_soon(stay_within, block, scope)
            await wait_idle()
            tasks.start_soon(block.stay, "last")
            await wait_idle()
            scope.cancel()
        await wait_idle()
        assert block.log == ["last in"]
        block.let_go("last")


@asyncio_only
@pytest.mark.parametrize("moment", range(4))
async def test_a_native_cancellation_at_any_moment_frees_the_lock(
    registry: Registry, block: Block, moment: int
) -> None:
    tasks: list[asyncio.Task[None]] = []
    for name in ("holder", "waiter", "last"):
        tasks.append(asyncio.create_task(block.stay(name)))
        await wait_idle()
    block.let_go("holder")
    for _ in range(moment):
        await asyncio.sleep(0)
    tasks[1].cancel()
    await wait_idle()

    assert tasks[1].cancelled()
    assert block.log[-1] == "last in"
    block.let_go("last")
    await tasks[2]
    async with registry.lock("lobby"):
        assert block.log[-1] == "last out"


async def test_a_lock_is_free_again_after_the_last(registry: Registry) -> None:
    for _ in range(2):
        async with registry.lock("lobby"):
            pass


async def test_a_lock_is_for_one_block(registry: Registry) -> None:
    lock = registry.lock("lobby")
    async with lock:
        pass
    with pytest.raises(RuntimeError, match="entered only once"):
        await lock.__aenter__()


async def test_an_actor_that_locks_what_it_has_locked_is_told(
    stage: Stage, registry: Registry, block: Block
) -> None:
    cell = await stage.spawn()

    async def lock_twice(_: Puppet) -> object:
        async with registry.lock("lobby"):
            with pytest.raises(AskCycle) as caught:
                await block.stay("inner")
        return caught.value.cycle

    assert await cell.ref.ask(lock_twice) == (cell.path, cell.path)
    async with registry.lock("lobby"):
        assert block.log == []


async def test_a_ring_of_a_lock_and_an_ask_is_refused(
    stage: Stage, registry: Registry, block: Block
) -> None:
    one, two = await stage.spawn(), await stage.spawn()

    async def want(_: Puppet) -> object:
        with pytest.raises(AskCycle) as caught:
            await block.stay("two")
        return caught.value.cycle

    async def hold_and_ask(_: Puppet) -> object:
        async with registry.lock("lobby"):
            return await two.ref.ask(want)

    assert await one.ref.ask(hold_and_ask) == (two.path, one.path, two.path)


@pytest.mark.parametrize("leaves", [False, True])
async def test_who_waits_in_line_waits_for_all_before_it(
    stage: Stage, registry: Registry, block: Block, leaves: bool
) -> None:
    one, two, three = [await stage.spawn() for _ in range(3)]
    go = anyio.Event()

    async def hold_and_ask(_: Puppet) -> object:
        async with registry.lock("lobby"):
            await go.wait()
            with pytest.raises(AskCycle) as caught:
                await three.ref.ask("are you free?")
        return caught.value.cycle

    cycle = one.ref.request(hold_and_ask)
    await wait_idle()
    for name, cell in (("two", two), ("three", three)):
        cell.ref.tell(block.act(name))
        await wait_idle()
    if leaves:
        two.ref.kill()
        await wait_idle()
    go.set()

    between = () if leaves else (two.path,)
    assert await cycle.wait() == (one.path, three.path, *between, one.path)
    await wait_idle()
    for name in ("three",) if leaves else ("two", "three"):
        block.let_go(name)


@pytest.mark.parametrize("between", [False, True])
async def test_tasks_of_one_handler_may_wait_for_each_other(
    stage: Stage, block: Block, between: bool
) -> None:
    cell, other = await stage.spawn(), await stage.spawn()

    async def work(_: Puppet) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(block.stay, "a")
            await wait_idle()
            if between:
                other.ref.tell(block.act("other"))
                await wait_idle()
            tasks.start_soon(block.stay, "b")
            await wait_idle()
            for name in ("a", "other", "b") if between else ("a", "b"):
                block.let_go(name)

    await cell.ref.ask(work)
    middle = ["other in", "other out"] if between else []
    assert block.log == ["a in", "a out", *middle, "b in", "b out"]


async def test_tasks_of_one_actor_may_wait_for_each_other(
    stage: Stage, block: Block
) -> None:
    cell = await stage.spawn()

    def start(puppet: Puppet) -> None:
        puppet.context.start_soon(block.stay, "a")
        puppet.context.start_soon(block.stay, "b")

    await cell.ref.ask(start)
    await wait_idle()
    first = block.log[0].split()[0]
    block.let_go(first)
    await wait_idle()

    assert len(block.log) == 3
    block.let_go("b" if first == "a" else "a")
