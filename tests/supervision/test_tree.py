"""The tree of what is there: who, in what state, at what, and since when."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from greenroom import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    ChildStatus,
    MailboxOptions,
    NodeFlag,
    TreeNode,
    TreeOptions,
    WaitsFor,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Plain,
    Worker,
    crowd,
    elapse,
    family,
    forever,
    lasting,
    worker,
)

pytestmark = pytest.mark.anyio

SLOW = frozenset([NodeFlag.SLOW])
STUCK = frozenset([NodeFlag.STUCK])


def node(system: ActorSystem, path: str, **options: Any) -> TreeNode:
    """What the tree says of one actor."""
    found = system.tree(TreeOptions(**options)).find(path)
    assert found is not None
    return found


class Asker(Actor[ActorRef[Any]]):
    """Waits for whom it is told of."""

    async def receive(self, message: ActorRef[Any]) -> None:
        await message.ask(forever, timeout=60)


async def test_every_actor_is_in_the_tree_below_its_supervisor() -> None:
    crew = crowd()
    fixed = family([worker("a", Journal()), ChildSpec("crew", lambda: crew)])
    async with ActorSystem() as system:
        await system.spawn(fixed, name="top")
        for name in ("one", "two"):
            await crew.start_child(ChildSpec(name, Plain))
        tree = system.tree()
    assert [(each.path, each.actor, each.is_supervisor) for each in tree] == [
        ("/", "Supervisor", True),
        ("/_registry", "Registry", False),
        ("/top", "Supervisor", True),
        ("/top/a", "Worker", False),
        ("/top/crew", "DynamicSupervisor", True),
        ("/top/crew/one", "Plain", False),
        ("/top/crew/two", "Plain", False),
    ]
    assert {each.state for each in tree} == {ChildStatus.RUNNING}
    assert [each.name for each in tree][:4] == ["/", "_registry", "top", "a"]
    assert tree.flagged() == ()
    assert tree.counts == {}
    assert tree.find("/nobody") is None
    assert "children" not in repr(tree.root)


async def test_what_an_idle_actor_has_done_is_in_the_tree() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Plain(), name="plain")
        await ref.ask("which?")
        await elapse(6)
        plain = node(system, "/plain")
        assert plain.mailbox == ref.statistics()
        assert ref.statistics().handled == 1
    assert plain.busy is None
    assert plain.lag == 0.0
    assert plain.incarnation == 1
    assert plain.restarts == 0
    assert plain.flags == frozenset()


async def test_looking_waits_for_nobody_and_says_since_when_an_actor_is_busy() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Worker("busy", Journal()), name="busy")
        await elapse(10)
        ref.tell(lasting(20.0))
        for _ in range(2):
            ref.tell("later")
        await elapse(0.5)
        busy = node(system, "/busy")
        assert busy.busy == pytest.approx(0.5)
        assert busy.waiting == 2
        assert busy.lag == pytest.approx(0.5)
        assert (busy.flags, busy.where) == (frozenset(), None)
        await elapse(1.0)
        busy = node(system, "/busy", lag_seconds=math.inf)
        assert busy.busy == pytest.approx(1.5)
        assert busy.flags == SLOW
        assert busy.where is not None
        assert busy.where.startswith("kit.py:")
        # What was called with the actor first counts as its own.
        assert busy.where.endswith(" in lasting.<locals>.step")
        assert node(system, "/busy", slow_seconds=2).flags == SLOW
        options: dict[str, Any] = {"slow_seconds": 2, "lag_seconds": 2}
        assert node(system, "/busy", **options).flags == frozenset()
        await elapse(30)
        assert node(system, "/busy").busy is None


async def test_an_actor_that_has_just_been_woken_is_not_slow() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Plain(), name="plain")
        await elapse(10)
        ref.tell("hello")
        woken = node(system, "/plain")
        assert (woken.busy, woken.lag, woken.waiting) == (0.0, 0.0, 1)
        assert woken.flags == frozenset()
        await elapse(10)
        ref.stop_nowait()
        stopping = node(system, "/plain")
        assert stopping.state is ChildStatus.STOPPING
        assert (stopping.busy, stopping.flags) == (0.0, frozenset())


async def test_an_actor_with_a_backlog_is_slow_though_each_message_is_quick() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Worker("busy", Journal()), name="busy")
        for _ in range(100):
            ref.tell(lasting(0.1))
        await elapse(2.05)
        slow = node(system, "/busy")
        assert slow.busy is not None
        assert slow.busy < 0.1
        assert slow.lag > 1.0
        assert slow.flags == SLOW


async def test_a_message_that_does_not_end_makes_an_actor_stuck() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Worker("stuck", Journal()), name="stuck")
        ref.tell(forever)
        await elapse(30.5)
        assert node(system, "/stuck").flags == STUCK
        assert node(system, "/stuck", stuck_seconds=31).flags == SLOW
        ref.kill()


async def test_a_slow_actor_whose_mailbox_fills_up_is_stuck() -> None:
    async with ActorSystem() as system:
        small = MailboxOptions(capacity=10)
        actor = Worker("stuck", Journal())
        ref = await system.spawn(actor, name="stuck", mailbox=small)
        ref.tell(forever)
        await wait_idle()
        for _ in range(9):
            ref.tell("later")
        near_full = frozenset([NodeFlag.NEAR_FULL])
        assert node(system, "/stuck").flags == near_full
        await elapse(1.5)
        tree = system.tree()
        assert [each.path for each in tree.flagged()] == ["/stuck"]
        assert tree.flagged()[0].flags == near_full | STUCK
        assert tree.counts == {NodeFlag.STUCK: 1, NodeFlag.NEAR_FULL: 1}
        ref.kill()


async def test_an_actor_that_takes_long_to_start_or_stop_is_slow() -> None:
    journal = Journal()
    slow = worker("slow", journal, on_start=lasting(5), on_stop=lasting(4))
    top = family()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        await system.spawn(top, name="top")
        await elapse(10)
        tasks.start_soon(top.start_child, slow)
        await elapse(4.5)
        starting = node(system, "/top/slow")
        assert starting.state is ChildStatus.STARTING
        assert starting.busy == pytest.approx(4.5)
        assert starting.flags == SLOW
        assert starting.where is not None
        assert starting.where.endswith(" in lasting.<locals>.step")
        await elapse(6)
        tasks.start_soon(top.stop_child, "slow")
        await elapse(3.5)
        stopping = node(system, "/top/slow")
        assert stopping.state is ChildStatus.STOPPING
        assert stopping.busy == pytest.approx(3.5)
        assert stopping.where is not None
        assert stopping.where.endswith(" in lasting.<locals>.step")


async def test_a_new_incarnation_is_not_as_old_as_the_last_turn() -> None:
    async with ActorSystem() as system:
        top = family([worker("a", Journal())])
        await system.spawn(top, name="top")
        a = top.child("a")
        assert a is not None
        await elapse(10)
        a.tell(Boom())
        while node(system, "/top/a").incarnation == 1:
            await anyio.lowlevel.checkpoint()
        assert node(system, "/top/a").busy in (None, 0.0)


async def test_what_a_handler_waits_for_of_others_is_in_the_tree() -> None:
    journal = Journal()
    full = MailboxOptions(capacity=1)

    async def send(to: ActorRef[object], _: object) -> None:
        await to.send("hello", timeout=7.0)

    async def wait_for(other: ActorRef[object], _: object) -> None:
        await other.wait_stopped()

    async with ActorSystem() as system:
        busy = await system.spawn(Worker("busy", journal), name="busy", mailbox=full)
        busy.tell(forever)
        await wait_idle()
        asker = await system.spawn(Asker(), name="asker")
        asker.tell(busy)
        await wait_idle()
        sender = await system.spawn(Worker("sender", journal), name="sender")
        sender.tell(partial(send, busy))
        stopper = await system.spawn(Worker("stopper", journal), name="stopper")
        stopper.tell(partial(wait_for, busy))
        await elapse(2.0)
        tree = system.tree()
        waits = {each.path: each.waits for each in tree if each.waits}
        assert waits == {
            "/asker": (WaitsFor("answer", "/busy", 58.0),),
            "/sender": (WaitsFor("room", "/busy", 5.0),),
            "/stopper": (WaitsFor("end", "/busy", math.inf),),
        }
        text = str(tree)
        assert "waits for an answer of /busy, 58 s left" in text
        assert "waits for room at /busy, 5.0 s left" in text
        assert "waits for the end of /busy" in text.splitlines()[-1]
        busy.kill()


async def test_what_is_there_already_is_not_waited_for() -> None:
    seen: list[TreeNode] = []

    class Answerer(Actor[object]):
        def receive(self, message: object) -> object:
            reply = self.context.defer_reply()
            reply.send("done")
            # The asker has not had its turn yet.
            seen.append(node(system, "/asker"))
            return None

    class Asks(Actor[ActorRef[Any]]):
        async def receive(self, message: ActorRef[Any]) -> None:
            await message.ask("hello")

    async with ActorSystem() as system:
        answerer = await system.spawn(Answerer(), name="answerer")
        (await system.spawn(Asks(), name="asker")).tell(answerer)
        await wait_idle()
    assert [(each.waits, each.busy) for each in seen] == [((), 0.0)]


async def test_an_actor_that_was_suspended_says_so() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Plain(), name="plain")
        ref.suspend()
        ref.tell("hello")
        await elapse(6)
        plain = node(system, "/plain")
        assert (plain.suspended, plain.busy, plain.waiting) == (True, None, 1)
        assert "suspended" in str(system.tree())
        ref.resume()
        await wait_idle()
        assert not node(system, "/plain").suspended


async def test_what_is_handled_beside_the_others_or_stashed_is_counted() -> None:
    class Stasher(Actor[str]):
        def receive(self, message: str) -> None:
            self.context.stash()

    async with ActorSystem() as system:
        ref = await system.spawn(Stasher(), name="stasher")
        for _ in range(3):
            ref.tell("later")
        await wait_idle()
        stasher = node(system, "/stasher")
        assert (stasher.aside, stasher.waiting) == (3, 0)
        assert "0 +3" in str(system.tree())


async def test_the_tree_is_there_from_the_start_of_the_block_and_after_it() -> None:
    system = ActorSystem()
    with pytest.raises(RuntimeError, match="has not been entered"):
        system.tree()
    async with system:
        await system.spawn(Plain(), name="plain")
    after = system.tree()
    assert after.root.state is ChildStatus.STOPPED
    assert after.root.busy is None
    assert after.root.flags == frozenset()


@pytest.mark.parametrize("name", ["slow_seconds", "lag_seconds", "stuck_seconds"])
@pytest.mark.parametrize("value", [0, -1, math.nan, None, "1", True])
async def test_thresholds_are_seconds(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be seconds above 0, got"):
        TreeOptions(**{name: value})


async def test_nobody_is_stuck_before_it_is_slow() -> None:
    with pytest.raises(ValueError, match="stuck_seconds must be at least slow_sec"):
        TreeOptions(slow_seconds=31)
    assert TreeOptions(slow_seconds=30).stuck_seconds == 30
