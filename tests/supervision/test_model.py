"""A supervisor, held against a model of what it promises."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom import ActorRef, Normal, Restart, Strategy, Supervisor
from greenroom.testing import virtual_backend, wait_idle

from .kit import Boom, Journal, family, running, statuses, worker

MAX_CHILDREN = 5
Operation = tuple[str, int]


@dataclass
class Entry:
    """One child, as the model sees it."""

    id: str
    restart: Restart
    running: bool = True
    # Stopped by order: only an order brings it back.
    dismissed: bool = False
    starts: int = 1
    # How many refs it has had.
    refs: int = 1

    def start(self) -> None:
        self.starts += 1
        self.refs += not self.running
        self.running, self.dismissed = True, False


class Model:
    """What a supervisor does, in a few lines."""

    def __init__(self, strategy: Strategy, restarts: list[Restart]) -> None:
        self.strategy = strategy
        self.children = [Entry(str(n), each) for n, each in enumerate(restarts)]
        self.made = len(restarts)

    def exits(self, child: Entry, *, abnormal: bool) -> None:
        if child.restart is Restart.TEMPORARY:
            self.children.remove(child)
        elif child.restart is Restart.TRANSIENT and not abnormal:
            child.running = False
        else:
            for other in self.group(child):
                if other is not child and other.restart is Restart.TEMPORARY:
                    self.children.remove(other)
                elif not other.dismissed:
                    other.start()

    def group(self, child: Entry) -> list[Entry]:
        if self.strategy is Strategy.ONE_FOR_ONE:
            return [child]
        if self.strategy is Strategy.ONE_FOR_ALL:
            return list(self.children)
        return self.children[self.children.index(child) :]

    def stop(self, child: Entry) -> None:
        child.running, child.dismissed = False, True
        if child.restart is Restart.TEMPORARY:
            self.children.remove(child)


@dataclass
class World:
    """A supervisor and its model, in step."""

    supervisor: Supervisor
    model: Model
    journal: Journal
    refs: dict[str, list[ActorRef[object]]]

    async def apply(self, operation: Operation) -> None:
        name, number = operation
        supervisor, model = self.supervisor, self.model
        if name == "start":
            restart = list(Restart)[number % 3]
            id = str(model.made)
            model.made += 1
            model.children.append(Entry(id, restart))
            await supervisor.start_child(worker(id, self.journal, restart))
        elif model.children:
            child = model.children[number % len(model.children)]
            ref = supervisor.child(child.id)
            if name == "stop":
                model.stop(child)
                await supervisor.stop_child(child.id)
            elif not child.running and name == "restart":
                child.start()
                await supervisor.restart_child(child.id)
            elif not child.running and name == "delete":
                model.children.remove(child)
                supervisor.delete_child(child.id)
            elif ref is not None and name == "crash":
                model.exits(child, abnormal=True)
                ref.tell(Boom())
            elif ref is not None and name == "exit":
                model.exits(child, abnormal=False)
                ref.tell(Normal())
        await wait_idle()

    def check(self) -> None:
        model = self.model
        assert statuses(self.supervisor) == {
            child.id: "running" if child.running else "stopped"
            for child in model.children
        }
        started = self.journal.of("start")
        for child in model.children:
            assert started.count(child.id) == child.starts
            refs = self.refs.setdefault(child.id, [])
            ref = self.supervisor.child(child.id)
            if ref is not None and ref not in refs:
                refs.append(ref)
            assert len(refs) == child.refs
            assert [each.alive for each in refs[:-1]] == [False] * (len(refs) - 1)
        # What has ended has gone in order: nobody runs who is not there.
        assert len(started) - len(self.journal.of("gone")) == sum(
            child.running for child in model.children
        )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=60)
@given(
    strategy=st.sampled_from(Strategy),
    restarts=st.lists(st.sampled_from(Restart), max_size=MAX_CHILDREN),
    operations=st.lists(
        st.tuples(
            st.sampled_from(["start", "stop", "restart", "delete", "crash", "exit"]),
            st.integers(0, 5),
        ),
        max_size=12,
    ),
)
def test_a_supervisor_does_what_its_model_does(
    backend: str,
    strategy: Strategy,
    restarts: list[Restart],
    operations: list[Operation],
) -> None:
    async def run() -> None:
        journal = Journal()
        supervisor = family(
            [worker(str(n), journal, each) for n, each in enumerate(restarts)],
            strategy=strategy,
        )
        world = World(supervisor, Model(strategy, restarts), journal, {})
        async with running(supervisor):
            world.check()
            for operation in operations:
                await world.apply(operation)
                world.check()
            journal.clear()
        # The end is the reverse of the children's order, whatever happened.
        alive = [child.id for child in world.model.children if child.running]
        assert journal.of("gone") == alive[::-1]

    name, options = virtual_backend(backend)
    anyio.run(run, backend=name, backend_options=options)
