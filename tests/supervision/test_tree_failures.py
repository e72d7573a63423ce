"""How an actor last failed, as the tree remembers it."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from greenroom import (
    BRUTAL_KILL,
    Actor,
    ActorSystem,
    ChildSpec,
    ChildStatus,
    Failure,
    Intensity,
    MailboxOptions,
    NodeFlag,
    Overflow,
    Restart,
    StartError,
    Supervisor,
    TreeNode,
    TreeOptions,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Plain,
    child,
    crowd,
    elapse,
    family,
    patient,
    worker,
)

pytestmark = pytest.mark.anyio


def node(system: ActorSystem, path: str, **options: Any) -> TreeNode:
    """What the tree says of one actor."""
    found = system.tree(TreeOptions(**options)).find(path)
    assert found is not None
    return found


async def test_a_child_that_waits_for_its_restart_says_how_long() -> None:
    top = family([worker("a", Journal())], **patient(10.0))
    async with ActorSystem() as system:
        await system.spawn(top, name="top")
        a = top.child("a")
        assert a is not None
        a.tell(Boom("a secret"))
        await wait_idle()
        a.tell(Boom("another"))
        await elapse(4.0)
        down = node(system, "/top/a")
        assert down.state is ChildStatus.RESTARTING
        assert down.flags == frozenset([NodeFlag.RESTARTING])
        assert down.starts_in == pytest.approx(6.0)
        assert down.busy is None
        assert down.where is None
        assert down.failure is not None
        assert down.failure.at == pytest.approx(system.tree().at - 4.0)
        await elapse(6.5)
        up = node(system, "/top/a")
        assert (up.state, up.incarnation, up.restarts) == (ChildStatus.RUNNING, 3, 2)
        assert up.flags == frozenset()
        assert up.failure == down.failure


async def test_a_failure_is_remembered_by_names_and_places_only() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Plain, name="a", restart=Restart.PERMANENT)
        ref.tell(Boom("a secret"))
        await wait_idle()
        failure = node(system, "/a").failure
    assert failure is not None
    assert failure.where is not None
    assert failure.where.startswith("kit.py:")
    assert failure.where.endswith(" in Plain.receive")
    assert str(failure) == f"Crashed, Boom at {failure.where}"
    assert "secret" not in repr(system.tree()) + str(system.tree())


async def test_a_failure_is_placed_where_the_program_has_last_been() -> None:
    async def read(_: object) -> None:
        json.loads("not JSON")

    top = family()
    async with ActorSystem() as system:
        await system.spawn(top, name="top")
        await top.start_child(worker("a", Journal()))
        child(top, "a").tell(read)
        await wait_idle()
        failure = node(system, "/top/a").failure
        assert failure is not None
        assert failure.error == "JSONDecodeError"
        assert failure.where is not None
        assert failure.where.startswith("test_tree_failures.py:")
        assert failure.where.endswith(".<locals>.read")
        # Nowhere in the program: then it is where it was raised.
        bad: ChildSpec[Any] = ChildSpec("b", partial(json.loads, ""))
        with pytest.raises(StartError):
            await top.start_child(bad)
        failed = node(system, "/top").failed_child
        assert failed is not None
        assert failed.where is not None
        assert failed.where.startswith("decoder.py:")


async def test_a_kill_is_a_failure_without_an_error_unless_it_was_ordered() -> None:
    top = family([worker(name, Journal(), shutdown=BRUTAL_KILL) for name in "ab"])
    async with ActorSystem() as system:
        await system.spawn(top, name="top")
        a = top.child("a")
        assert a is not None
        a.kill()
        await wait_idle()
        killed = node(system, "/top/a").failure
        at = system.tree().at
        assert killed == Failure("/top/a", "Killed", None, None, None, at)
        assert str(killed) == "Killed"
        await top.stop_child("b")
        stopped = node(system, "/top/b")
        assert (stopped.state, stopped.failure) == (ChildStatus.STOPPED, None)
        assert stopped.mailbox is None


async def test_an_error_that_nobody_raised_has_no_place() -> None:
    stop = MailboxOptions(capacity=1, overflow=Overflow.STOP)
    async with ActorSystem() as system:
        ref = await system.spawn(
            Plain, name="a", restart=Restart.PERMANENT, mailbox=stop
        )
        for _ in range(2):
            ref.tell("hello")
        await wait_idle()
        assert str(node(system, "/a").failure) == "Crashed, MailboxFull"


async def test_a_supervisor_remembers_who_failed_and_is_gone() -> None:
    crew = crowd()
    async with ActorSystem() as system:
        await system.spawn(crew, name="crew")
        spec: ChildSpec[object] = ChildSpec("a", Plain, Restart.TEMPORARY)
        (await crew.start_child(spec)).tell(Boom())
        await wait_idle()
        top = node(system, "/crew")
        assert top.children == ()
        assert top.failed_child is not None
        assert top.failed_child.path == "/crew/a"
        assert top.failure is None
        assert f"/crew/a failed 0.0 s ago: {top.failed_child}" in str(system.tree())


async def test_a_supervisor_that_gave_up_says_over_whom() -> None:
    made: list[Supervisor] = []

    def make() -> Supervisor:
        never = Intensity(max_restarts=0, period=1)
        made.append(family([worker("a", Journal())], intensity=never))
        return made[-1]

    async with ActorSystem() as system:
        await system.start_child(ChildSpec("top", make))
        a = made[0].child("a")
        assert a is not None
        a.tell(Boom())
        await wait_idle()
        failure = node(system, "/top").failure
        assert failure is not None
        assert (failure.reason, failure.child, failure.error) == (
            "GaveUp",
            "/top/a",
            "Boom",
        )
        assert str(failure) == f"GaveUp over /top/a, Boom at {failure.where}"


async def test_a_child_that_was_never_made_has_no_class() -> None:
    async with ActorSystem() as system:
        top = family([worker("a", Journal(), on_start=None)])
        await system.spawn(top, name="top")

        def broken() -> Actor[object]:
            raise Boom

        with pytest.raises(Exception, match="did not start"):
            await top.start_child(ChildSpec("b", broken))
        failed = node(system, "/top").failed_child
        assert failed is not None
        assert (failed.path, failed.reason, failed.error) == (
            "/top/b",
            "StartFailed",
            "Boom",
        )
