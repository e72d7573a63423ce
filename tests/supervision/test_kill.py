"""What a kill takes along, and what becomes of those it does not end."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest

from greenroom import (
    BRUTAL_KILL,
    ActorRef,
    ChildSpec,
    Killed,
    Restart,
    Shutdown,
    StartError,
    Strategy,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Stubborn,
    child,
    elapse,
    family,
    forever,
    in_turn,
    incarnation,
    incarnations,
    lasting,
    now,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio

ALL = Strategy.ONE_FOR_ALL


async def test_a_child_that_swallows_its_cancellation_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 29: child_unlink."""
    journal = Journal()
    stubborn = Stubborn()
    supervisor = family(
        [
            worker("a", journal),
            worker("stubborn", journal, on_stop=stubborn, shutdown=2),
        ]
    )
    async with running(supervisor) as ref:
        child = supervisor.child("stubborn")
        assert child is not None
        monitor = child.monitor()
        began = now()
        await supervisor.stop_child("stubborn")
        assert now() - began == pytest.approx(2.5)
        assert (await monitor.wait()).reason == Killed()
        assert statuses(supervisor) == {"a": "running", "stubborn": "stopped"}
        assert "/top/stubborn cannot be killed" in caplog.text
        # It may be started again, under another ref, while the old task goes on.
        assert await supervisor.restart_child("stubborn") is not child
        stubborn.release.set()
        await stubborn.over.wait()
        await wait_idle()
        assert await ref.stop() == Shutdown()


async def test_an_actor_that_cannot_be_killed_as_it_starts_is_given_up() -> None:
    stubborn = Stubborn()
    supervisor = family()
    async with running(supervisor), anyio.create_task_group() as group:

        async def start() -> None:
            with pytest.raises(StartError, match="it ended as it started: Killed"):
                await supervisor.start_child(
                    worker("a", Journal(), on_start=stubborn, shutdown=1)
                )

        group.start_soon(start)
        await wait_idle()
        began = now()
        await supervisor.stop_child("a")
        assert now() - began == pytest.approx(1.5)
        assert statuses(supervisor) == {}
        stubborn.release.set()


async def test_a_supervisor_killed_at_its_deadline_takes_its_children_along() -> None:
    journal = Journal()
    inner = family(
        [
            worker("a", journal, on_stop=forever, shutdown=math.inf),
            worker("b", journal, on_stop=forever, shutdown=math.inf),
            ChildSpec(
                "deep", lambda: family([worker("c", journal, shutdown=math.inf)])
            ),
        ]
    )
    supervisor = family([ChildSpec("inner", lambda: inner, shutdown=3)])
    async with running(supervisor):
        monitors = [
            info.ref.monitor() for info in inner.children() if info.ref is not None
        ]
        began = now()
        await supervisor.stop_child("inner")
        # Nothing of it is left when it has ended.
        assert now() - began == pytest.approx(3)
        reasons = [monitor.down for monitor in monitors]
    assert [down and down.reason for down in reasons] == [
        Killed(),
        Killed(),
        Shutdown(),
    ]
    assert journal.of("gone") == ["c"]


async def test_a_supervisor_with_a_brutal_end_kills_its_children() -> None:
    journal = Journal()
    inner = family([worker("a", journal), worker("b", journal)])
    supervisor = family([ChildSpec("inner", lambda: inner, shutdown=BRUTAL_KILL)])
    async with running(supervisor):
        await supervisor.stop_child("inner")
        assert statuses(supervisor) == {"inner": "stopped"}
        assert statuses(inner) == {"a": "stopped", "b": "stopped"}
    assert journal.of("stop") == []


async def test_a_supervisor_killed_from_outside_kills_its_children() -> None:
    journal = Journal()
    inner = family([worker("a", journal), worker("slow", journal, on_start=forever)])
    supervisor = family()
    async with running(supervisor), anyio.create_task_group() as group:
        outer = await supervisor.start_child(
            ChildSpec("b", lambda: family([worker("c", journal)]), Restart.TEMPORARY)
        )

        async def start() -> None:
            with pytest.raises(StartError, match="it ended as it started: Killed"):
                await supervisor.start_child(ChildSpec("inner", lambda: inner))

        group.start_soon(start)
        await wait_idle()
        refs: list[ActorRef[Any] | None] = [outer, supervisor.child("inner")]
        for ref in refs:
            assert ref is not None
            ref.kill()
        await elapse(1)
        assert journal.of("stop") == []
        assert statuses(inner) == {"a": "stopped", "slow": "stopped"}
        assert statuses(supervisor) == {}


async def test_a_supervisor_killed_while_it_stops_kills_those_who_are_left() -> None:
    journal = Journal()
    supervisor = family(
        [worker("a", journal), worker("slow", journal, on_stop=lasting(4))]
    )
    async with running(supervisor) as ref:
        ref.stop_nowait()
        await elapse(1)
        began = now()
        ref.kill()
        await ref.wait_stopped()
        await wait_idle()
        assert now() - began < 0.1
        assert statuses(supervisor) == {"a": "stopped", "slow": "stopped"}
    assert journal.of("gone") == []


async def test_a_bystander_that_hangs_is_killed_at_its_deadline_and_comes_back() -> (
    None
):
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal),
            worker("hung", journal, on_stop=in_turn(forever), shutdown=2),
            worker("brutal", journal, shutdown=BRUTAL_KILL),
        ],
        strategy=ALL,
    )
    async with running(supervisor):
        refs = [child(supervisor, id) for id in ("a", "hung", "brutal")]
        journal.clear()
        refs[0].tell(Boom())
        await elapse(3)
        assert [await incarnation(ref) for ref in refs] == [2, 2, 2]
        assert journal.of("stop") == ["a", "hung"]


async def test_a_bystander_that_cannot_be_killed_is_replaced() -> None:
    journal = Journal()
    stubborn = Stubborn()
    supervisor = family(
        [
            worker("a", journal),
            worker("stubborn", journal, on_stop=in_turn(stubborn), shutdown=2),
        ],
        strategy=ALL,
    )
    async with running(supervisor):
        old = child(supervisor, "stubborn")
        child(supervisor, "a").tell(Boom())
        await elapse(3)
        new = child(supervisor, "stubborn")
        assert new is not old
        assert not old.alive
        assert await incarnations(supervisor) == [2, 1]
        stubborn.release.set()
