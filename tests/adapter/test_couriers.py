"""One courier writes for all who need not wait, and nobody waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import ActorSystem, Undelivered
from greenroom.actors import Batch, Runtime
from greenroom.adapter._couriers import Couriers, couriers_of
from greenroom.adapter._outbox import AT_REST
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import wait_idle

from .desk import Desk, desk
from .support import on_asyncio, until

pytestmark = pytest.mark.anyio


DONE = "begins", "ends"


class Errand:
    """Something to write, which waits if told to."""

    def __init__(self, log: list[str], name: str, *, waits: bool = False) -> None:
        self.log = log
        self.name = name
        self.go_on = anyio.Event()
        if not waits:
            self.go_on.set()
        self.task: asyncio.Task[Any] | None = None
        self.scope: anyio.CancelScope | None = None

    async def write(self, scope: anyio.CancelScope) -> None:
        self.task = asyncio.current_task()
        self.scope = scope
        self.log.append(f"begins {self.name}")
        try:
            if not self.go_on.is_set():
                await self.go_on.wait()
        finally:
            self.log.append(f"ends {self.name}")

    def held_up(self) -> None:
        self.log.append(f"held up {self.name}")


class Errands:
    """The couriers of a system, and what they have done."""

    def __init__(self, runtime: Runtime) -> None:
        self.couriers = Couriers(runtime)
        self.log: list[str] = []

    def send(self, name: str, *, waits: bool = False) -> Errand:
        errand = Errand(self.log, name, waits=waits)
        self.couriers.write_for(errand)
        return errand

    def logged(self) -> list[str]:
        log, self.log[:] = self.log[:], []
        return log


@asynccontextmanager
async def errands() -> AsyncGenerator[Errands]:
    if not on_asyncio():
        pytest.skip("asyncio's own")
    async with ActorSystem() as system:
        yield Errands(system.runtime)


async def test_one_goes_to_all_who_need_not_wait() -> None:
    async with errands() as e:
        await wait_idle()
        sent = [e.send(name) for name in "abc"]
        await wait_idle()
        assert e.logged() == [f"{what} {who}" for who in "abc" for what in DONE]
        (task,) = {errand.task for errand in sent}
        # It rests, and comes again.
        again = e.send("d")
        await wait_idle()
        assert again.task is task


async def test_nobody_waits_for_another() -> None:
    async with errands() as e:
        e.send("a")
        slow = e.send("slow", waits=True)
        rest = [e.send(name) for name in "bc"]
        await wait_idle()
        assert e.logged() == [
            *("begins a", "ends a", "begins slow", "held up slow"),
            *("begins b", "ends b", "begins c", "ends c"),
        ]
        e.send("d")
        await wait_idle()
        assert e.logged() == ["begins d", "ends d"]
        slow.go_on.set()
        await wait_idle()
        assert e.logged() == ["ends slow"]
        assert slow.task is not rest[0].task


async def test_whoever_is_held_up_one_rests_in_the_end() -> None:
    async with errands() as e:
        await wait_idle()
        before = len(asyncio.all_tasks())
        many = [e.send(str(number), waits=True) for number in range(20)]
        await wait_idle()
        # The one that rested is among them.
        assert len(asyncio.all_tasks()) == before + len(many) - 1
        for errand in many:
            errand.go_on.set()
        await until(lambda: len(asyncio.all_tasks()) == before)
        assert len({errand.task for errand in many}) == len(many)


async def test_one_who_is_given_up_takes_nobody_along() -> None:
    async with errands() as e:
        slow = e.send("slow", waits=True)
        e.send("a")
        await wait_idle()
        e.logged()
        assert slow.scope is not None
        slow.scope.cancel()
        e.send("b")
        await wait_idle()
        assert sorted(e.logged()) == ["begins b", "ends b", "ends slow"]


async def test_one_who_is_given_up_in_the_midst_of_things_takes_nobody_along() -> None:
    class Rash(Errand):
        async def write(self, scope: anyio.CancelScope) -> None:
            await super().write(scope)
            scope.cancel()

    async with errands() as e:
        e.couriers.write_for(Rash(e.log, "rash"))
        e.send("a")
        await wait_idle()
        assert e.logged() == ["begins rash", "ends rash", "begins a", "ends a"]


@pytest.mark.parametrize("when", ["at rest", "about to go", "held up"])
async def test_a_native_cancel_takes_nobody_along(when: str) -> None:
    async with errands() as e:
        first = e.send("first", waits=when == "held up")
        await wait_idle()
        e.logged()
        assert first.task is not None
        if when == "about to go":
            e.send("a")
        first.task.cancel()
        e.send("b")
        await wait_idle()
        assert "ends b" in e.logged()
        e.send("c")
        await wait_idle()
        assert e.logged() == ["begins c", "ends c"]


async def test_one_that_is_cancelled_between_two_clients_takes_nobody_along() -> None:
    class Last(Errand):
        async def write(self, scope: anyio.CancelScope) -> None:
            await super().write(scope)
            assert self.task is not None
            self.task.cancel()

    async with errands() as e:
        names = list(map(str, range(200)))
        for name in names:
            errand = Errand(e.log, name) if int(name) % 64 else Last(e.log, name)
            e.couriers.write_for(errand)
        await wait_idle()
        assert e.logged() == [f"{what} {name}" for name in names for what in DONE]


async def test_others_have_their_turn() -> None:
    async with errands() as e:
        for number in range(1000):
            e.send(str(number))
        passes = 0
        while len(e.log) < 2000:
            passes += 1
            await checkpoint()
        assert passes > 10
        assert not any("held" in line for line in e.log)


async def test_there_are_none_on_trio() -> None:
    async with ActorSystem() as system:
        assert (couriers_of(system.runtime) is not None) == on_asyncio()


# -- a writer, and who comes to it ---------------------------------------------


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transport takes anything at once."""
    monkeypatch.setattr(Desk, "direct", False)


def running() -> int:
    return len(anyio.get_running_tasks())


@pytest.mark.usefixtures("plain")
async def test_who_takes_what_it_gets_has_no_task() -> None:
    if not on_asyncio():
        pytest.skip("there is a task for each client")
    async with desk() as d:
        await wait_idle()
        before = running()
        for number in range(5):
            d.put(str(number), "and more")
            assert d.outbox.pending == 2
            assert await d.read(2) == [str(number), "and more"]
            await wait_idle()
            assert running() == before
        assert d.outbox.statistics().handled == 10


@pytest.mark.usefixtures("plain")
async def test_who_had_to_wait_has_a_task_until_it_takes_what_it_gets() -> None:
    if not on_asyncio():
        pytest.skip("there is a task for each client")
    async with desk(max_frames=1) as d:
        d.put("a", "b", "c")
        assert await d.read(3) == ["a", "b", "c"]
        await wait_idle()
        calls = 0
        while d.outbox.parked is not AT_REST:
            calls += 1
            d.put("one")
            assert await d.read(1) == ["one"]
            await wait_idle()
        assert 1 < calls <= 32


@pytest.mark.usefixtures("plain")
async def test_who_has_to_wait_each_time_keeps_its_task() -> None:
    async with desk(max_frames=1) as d:
        for _ in range(50):
            d.put("a", "b")
            await wait_idle()
            assert d.outbox.pending == 1
            assert await d.read(2) == ["a", "b"]
            await wait_idle()
        assert d.outbox.parked not in (AT_REST, None)


@pytest.mark.usefixtures("plain")
async def test_what_is_in_hand_is_dropped_with_the_rest() -> None:
    if not on_asyncio():
        pytest.skip("there is a task for each client")
    async with desk() as d:
        d.put("a", "b")
        d.writer.finish(4000, "bye", drop=True)
        assert d.outbox.pending == 0
        assert [frame for frame, _ in d.buried()] == ["a", "b"]
        assert await d.close_code() == 4000


@pytest.mark.usefixtures("plain")
async def test_no_more_is_in_hand_than_may_wait() -> None:
    if not on_asyncio():
        pytest.skip("there is a task for each client")
    async with desk(outbox_messages=2) as d:
        batch = Batch(Outgoing(frame) for frame in "abc")
        assert d.outbox.put_through(batch) == 2
        d.put("c")
        assert d.outbox.pending == 3
        assert await d.read(3) == ["a", "b", "c"]


@pytest.mark.usefixtures("plain")
async def test_nobody_comes_any_more_when_all_tasks_end() -> None:
    async with desk() as d:
        d.system.runtime.closing = True
        d.put("a")
        d.system.runtime.closing = False
        assert d.writer.ended.opened
        assert d.buried() == [("a", Undelivered.STOPPED)]


@pytest.mark.usefixtures("plain")
async def test_one_goes_on_who_has_lost_a_client() -> None:
    if not on_asyncio():
        pytest.skip("there is a task for each client")
    async with desk() as d:
        await wait_idle()
        before = asyncio.all_tasks()
        d.peer.close(4000, "gone")
        d.put("a")
        await d.writer.ended.wait()
        await wait_idle()
        assert d.reports == [(4000, "gone")]
        assert asyncio.all_tasks() == before
