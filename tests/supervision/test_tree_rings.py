"""Who waits for each other, who cannot be killed, and where an actor stands."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    ChildStatus,
    NodeFlag,
    Restart,
    Ring,
    TreeNode,
)
from greenroom.actors import Cell
from greenroom.testing import wait_idle

from .kit import (
    Journal,
    Stubborn,
    child,
    crowd,
    elapse,
    family,
    forever,
    worker,
)

pytestmark = pytest.mark.anyio

Do = Callable[["Puppet"], Awaitable[object]]


class Puppet(Actor[Do]):
    """Does what it is told."""

    async def receive(self, message: Do) -> object:
        return await message(self)


def asking(ref: ActorRef[Any], what: Do, timeout: float | None = 40.0) -> Do:
    """Ask *ref* to do something, in the handler."""

    async def do(_: Puppet) -> object:
        return await ref.ask(what, timeout=timeout)

    return do


def by_a_task(ref: ActorRef[Any], what: Do) -> Do:
    """Ask *ref* to do something, in a task that the handler waits for."""

    async def do(self: Puppet) -> None:
        done = anyio.Event()

        async def ask() -> None:
            await ref.ask(what, timeout=40.0)
            done.set()

        self.context.start_soon(ask)
        await done.wait()

    return do


async def nothing(_: Puppet) -> None:
    """Nothing to do."""


async def puppets(system: ActorSystem, *names: str) -> list[ActorRef[Any]]:
    return [await system.spawn(Puppet(), name=name) for name in names]


async def test_a_ring_that_goes_through_a_task_is_seen_once_it_lasts() -> None:
    async with ActorSystem() as system:
        a, b, c = await puppets(system, "a", "b", "c")
        a.tell(by_a_task(b, asking(c, asking(a, nothing))))
        await elapse(0.5)
        assert system.tree().rings == ()
        await elapse(1.0)
        tree = system.tree()
        assert len(tree.rings) == 1
        ring = tree.rings[0]
        assert ring.by_task == {"/a"}
        first = ring.paths.index("/a")
        assert ring.paths[first:] + ring.paths[:first] == ("/a", "/b", "/c")
        flagged = {each.path for each in tree if NodeFlag.DEADLOCKED in each.flags}
        assert flagged == {"/a", "/b", "/c"}
        assert str(tree).splitlines()[-1] == f"ring of waits: {ring}"
        assert "/a (by a task) -> /b" in f"{ring} -> {ring}"
        for ref in (a, b, c):
            ref.kill()


async def test_an_actor_whose_task_asks_itself_is_a_ring_of_one() -> None:
    async with ActorSystem() as system:
        (a,) = await puppets(system, "a")
        a.tell(by_a_task(a, nothing))
        await elapse(1.5)
        assert system.tree().rings == (Ring(("/a",), frozenset(["/a"])),)
        assert str(system.tree().rings[0]) == "/a (by a task) -> /a"
        a.kill()


async def test_two_rings_are_told_apart() -> None:
    async with ActorSystem() as system:
        a, b, c, d = await puppets(system, "a", "b", "c", "d")
        a.tell(by_a_task(b, asking(a, nothing)))
        c.tell(by_a_task(d, asking(c, nothing)))
        await elapse(1.5)
        rings = system.tree().rings
        assert {frozenset(ring.paths) for ring in rings} == {
            frozenset(["/a", "/b"]),
            frozenset(["/c", "/d"]),
        }
        for ref in (a, b, c, d):
            ref.kill()


async def test_a_ring_is_over_with_the_deadline_of_one_of_its_asks() -> None:
    async with ActorSystem() as system:
        a, b = await puppets(system, "a", "b")
        a.tell(by_a_task(b, asking(a, nothing, timeout=3.0)))
        await elapse(2.0)
        assert system.tree().rings != ()
        await elapse(2.0)
        assert system.tree().rings == ()
        a.kill()
        b.kill()


async def test_a_task_closes_no_ring_while_the_handler_waits_for_another() -> None:
    async def both(self: Puppet) -> None:
        self.context.start_soon(ask)
        await busy.ask(forever, timeout=40.0)

    async def ask() -> None:
        await b.ask(asking(a, nothing), timeout=40.0)

    async with ActorSystem() as system:
        a, b, busy = await puppets(system, "a", "b", "busy")
        a.tell(both)
        await elapse(1.5)
        tree = system.tree()
        assert tree.rings == ()
        assert {each.path: len(each.waits) for each in tree if each.waits} == {
            "/a": 1,
            "/b": 1,
        }
        for ref in (a, b, busy):
            ref.kill()


async def test_asks_from_outside_close_no_ring() -> None:
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        a, b = await puppets(system, "a", "b")
        # From nobody, and from one that has other things to do.
        tasks.start_soon(a.ask, forever)
        await b.ask(idle_asker(a))
        await elapse(1.5)
        assert system.tree().rings == ()
        tasks.cancel_scope.cancel()
        a.kill()


def idle_asker(ref: ActorRef[Any]) -> Do:
    """Ask *ref* in a task, and be done."""

    async def do(self: Puppet) -> None:
        async def ask() -> None:
            await ref.ask(nothing, timeout=40.0)

        self.context.start_soon(ask)

    return do


async def test_a_ring_of_handlers_would_be_seen_if_it_could_close() -> None:
    async with ActorSystem() as system:
        a, b = await puppets(system, "a", "b")
        a.tell(asking(b, forever))
        await wait_idle()
        # What AskCycle refuses: b, too, is made to wait.
        cells = {each.path: each for each in cells_of(system)}
        first, second = cells["/a"].life, cells["/b"].life
        assert first is not None
        assert second is not None
        second.belongings.activation.waits = ((first, cells["/a"]),)
        ring = system.tree().rings[0]
        assert set(ring.paths) == {"/a", "/b"}
        assert ring.by_task == frozenset()
        a.kill()
        b.kill()


def cells_of(system: ActorSystem) -> list[Cell[Any]]:
    return [cell for cell in system.runtime.cells if isinstance(cell, Cell)]


# -- who cannot be killed --------------------------------------------------


def unkillable(system: ActorSystem) -> list[TreeNode]:
    return [node for node in system.tree() if NodeFlag.UNKILLABLE in node.flags]


@pytest.mark.parametrize("when", ["on_start", "on_stop", "handling"])
async def test_an_actor_that_cannot_be_killed_is_shown_as_long_as_it_goes_on(
    when: str,
) -> None:
    stubborn = Stubborn()
    crew = crowd()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        await system.spawn(crew, name="crew")
        options: dict[str, Any] = {} if when == "handling" else {when: stubborn}
        spec = worker("a", Journal(), Restart.TEMPORARY, shutdown=1, **options)
        if when == "on_start":
            tasks.start_soon(_started_in_vain, crew.start_child, spec)
            await wait_idle()
        else:
            ref = await crew.start_child(spec)
            ref.tell(stubborn)
        await wait_idle()
        info = crew.children()[0]
        assert info.ref is not None
        await crew.stop_child(info.ref)
        await elapse(5.0)
        (lost,) = unkillable(system)
        assert (lost.path, lost.actor) == ("/crew/a", "Worker")
        assert lost.state is ChildStatus.STOPPED
        assert lost.busy == pytest.approx(5.0)
        assert lost.where is not None
        assert lost.where.startswith("kit.py:")
        # Its place can be taken.
        await crew.start_child(worker("a", Journal()))
        found = system.tree().find("/crew/a")
        assert found is not None
        assert found.state is ChildStatus.RUNNING
        assert len(unkillable(system)) == 1
        stubborn.release.set()
        await wait_idle()
        # Its task may be part of a ring of references.
        gc.collect()
        assert unkillable(system) == []


async def _started_in_vain(start: Any, spec: Any) -> None:
    with pytest.raises(Exception, match="did not start"):
        await start(spec)


async def test_of_many_that_cannot_be_killed_the_latest_are_kept() -> None:
    stubborn = Stubborn()
    crew = crowd()
    async with ActorSystem() as system:
        await system.spawn(crew, name="crew")
        for index in range(20):
            spec = worker(f"a{index}", Journal(), Restart.TEMPORARY, shutdown=0)
            ref = await crew.start_child(spec)
            ref.tell(stubborn)
            await wait_idle()
            await crew.stop_child(ref)
        assert [node.name for node in unkillable(system)] == [
            f"a{index}" for index in range(4, 20)
        ]
        stubborn.release.set()
    assert unkillable(system) == []


# -- where an actor stands -------------------------------------------------


async def test_an_actor_stands_in_the_code_of_the_program_if_there_is_any() -> None:
    class Bare(Actor[object]):
        def receive(self, message: object) -> object:
            return anyio.sleep_forever()

    async def order(self: Puppet) -> None:
        await top.start_child(ChildSpec("slow", lambda: below))

    top = family()
    below = family([worker("slow", Journal(), on_start=forever)])
    async with ActorSystem() as system:
        await system.spawn(top, name="top")
        bare = await system.spawn(Bare(), name="bare")
        (boss,) = await puppets(system, "boss")
        bare.tell("hello")
        boss.tell(order)
        # Its handler has ended, so where its task stands is not where it does.
        (quick,) = await puppets(system, "quick")
        quick.tell(start_a_task)
        await elapse(1.5)
        where = {
            node.path: None if node.where is None else node.where.split(" in ")[1]
            for node in system.tree()
            if node.flags
        }
        assert {path: name and name.split(".")[-1] for path, name in where.items()} == {
            "/bare": None,
            "/boss": "order",
            # The library's own.
            "/top/slow": "_start",
            "/top/slow/slow": "forever",
        }
        for ref in (bare, boss, quick, child(top, "slow")):
            ref.kill()


async def test_looking_keeps_nothing_alive() -> None:
    class Message:
        """What can be seen to go."""

    class Sleeper(Actor[object]):
        async def receive(self, message: object) -> None:
            await anyio.sleep(2.0)

    async with ActorSystem() as system:
        ref = await system.spawn(Sleeper(), name="sleeper")
        message = Message()
        gone = weakref.ref(message)
        ref.tell(message)
        del message
        await elapse(1.5)
        assert system.tree().flagged() != ()
        await elapse(1.0)
        # The loop holds on to the last message that it has handed over.
        ref.tell("another")
        await elapse(5.0)
        gc.collect()
        assert gone() is None


async def start_a_task(self: Puppet) -> None:
    self.context.start_soon(forever, self)
