"""When the end of significant children ends their supervisor."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import (
    ActorRef,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisor,
    Killed,
    Normal,
    Restart,
    Shutdown,
    Strategy,
    Supervisor,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    crowd,
    decline,
    elapse,
    family,
    in_turn,
    incarnation,
    lasting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio

ANY, EACH = AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT
T, TEMPORARY = Restart.TRANSIENT, Restart.TEMPORARY
OVER = Shutdown("auto_shutdown")
ENDS: list[Any] = [Normal(), Shutdown(), Shutdown("x"), Boom(), Killed]


def end(ref: ActorRef[object] | None, message: object) -> None:
    """Make the actor end with *message*."""
    assert ref is not None
    if message is Killed:
        ref.kill()
    else:
        ref.tell(message)


@pytest.mark.parametrize("message", ENDS, ids=repr)
@pytest.mark.parametrize("mode", AutoShutdown)
async def test_an_insignificant_temporary_child_ends_for_itself(
    mode: AutoShutdown, message: object
) -> None:
    """Behaviour 74: nonsignificant_temporary."""
    supervisor = family([worker("a", Journal(), TEMPORARY)], auto_shutdown=mode)
    async with running(supervisor) as top:
        end(supervisor.child("a"), message)
        await wait_idle()
        assert top.alive
        assert statuses(supervisor) == {}


@pytest.mark.parametrize("message", ENDS, ids=repr)
@pytest.mark.parametrize("mode", AutoShutdown)
async def test_an_insignificant_transient_child_ends_for_itself(
    mode: AutoShutdown, message: object
) -> None:
    """Behaviour 75: nonsignificant_transient."""
    supervisor = family([worker("a", Journal(), T)], auto_shutdown=mode)
    async with running(supervisor) as top:
        end(supervisor.child("a"), message)
        await wait_idle()
        assert top.alive


@pytest.mark.parametrize("message", ENDS, ids=repr)
async def test_the_end_of_any_significant_temporary_child_is_the_end(
    message: object,
) -> None:
    """Behaviour 76: significant_temporary."""
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal, TEMPORARY, significant=True),
            worker("b", journal, TEMPORARY, significant=True),
            worker("c", journal),
        ],
        auto_shutdown=ANY,
    )
    async with running(supervisor) as top:
        # By order, it does not count.
        await supervisor.stop_child("b")
        await wait_idle()
        assert top.alive
        end(supervisor.child("a"), message)
        assert await top.wait_stopped() == OVER
    assert journal.of("gone")[-1] == "c"


@pytest.mark.parametrize("message", ENDS, ids=repr)
async def test_the_end_of_the_last_significant_temporary_child_is_the_end(
    message: object,
) -> None:
    """Behaviour 76: significant_temporary."""
    journal = Journal()
    supervisor = family(
        [
            worker(name, journal, TEMPORARY, significant=name != "d")
            for name in ("a", "b", "c", "d")
        ],
        auto_shutdown=EACH,
    )
    async with running(supervisor) as top:
        end(supervisor.child("a"), message)
        await wait_idle()
        assert top.alive
        await supervisor.stop_child("b")
        await wait_idle()
        assert top.alive
        end(supervisor.child("c"), message)
        assert await top.wait_stopped() == OVER


@pytest.mark.parametrize("mode", [ANY, EACH])
async def test_only_the_normal_end_of_a_significant_transient_child_is_the_end(
    mode: AutoShutdown,
) -> None:
    """Behaviour 77: significant_transient."""
    journal = Journal()
    supervisor = family(
        [worker("a", journal, T, significant=True), worker("b", journal)],
        auto_shutdown=mode,
    )
    async with running(supervisor) as top:
        for message in (Boom(), Killed):
            end(supervisor.child("a"), message)
            await wait_idle()
            assert statuses(supervisor) == {"a": "running", "b": "running"}
        assert await incarnation(supervisor.child("a")) == 3
        await supervisor.stop_child("a")
        await wait_idle()
        assert top.alive
        end(await supervisor.restart_child("a"), Normal())
        assert await top.wait_stopped() == OVER


@pytest.mark.parametrize("mode", [ANY, EACH])
async def test_significant_children_of_a_dynamic_supervisor(mode: AutoShutdown) -> None:
    """Behaviour 78: significant_simple."""
    journal = Journal()
    supervisor = crowd(auto_shutdown=mode)
    async with running(supervisor) as top:
        a = await supervisor.start_child(worker("a", journal, T, significant=True))
        b = await supervisor.start_child(worker("b", journal, T, significant=True))
        c = await supervisor.start_child(worker("c", journal, T))
        for message in (Boom(), Killed):
            end(a, message)
            await wait_idle()
        end(c, Normal())
        await supervisor.stop_child(b)
        await wait_idle()
        assert statuses(supervisor) == {"a": "running"}
        end(a, Normal())
        assert await top.wait_stopped() == OVER


@pytest.mark.parametrize("restart", [T, TEMPORARY])
async def test_being_stopped_because_of_a_sibling_is_no_end(restart: Restart) -> None:
    """Behaviour 79: significant_bystander."""
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal),
            worker("b", journal, restart, significant=True),
            worker("slow", journal, on_stop=lasting(3)),
        ],
        strategy=Strategy.ONE_FOR_ALL,
        auto_shutdown=ANY,
    )
    async with running(supervisor) as top:
        end(supervisor.child("a"), Boom())
        await elapse(1)
        # Also if it goes by itself before its turn has come.
        end(supervisor.child("b"), Normal())
        await elapse(3)
        assert top.alive
        assert ("b" in statuses(supervisor)) is (restart is T)


def _nested(inner: Supervisor, journal: Journal, *, significant: bool) -> Supervisor:
    return family(
        [
            ChildSpec("inner", lambda: inner, T, significant=significant),
            worker("other", journal),
        ],
        auto_shutdown=ANY,
    )


@pytest.mark.parametrize("significant", [False, True])
async def test_it_goes_upward_only_through_significant_supervisors(
    significant: bool,
) -> None:
    """Behaviour 80: significant_escalation."""
    journal = Journal()
    inner = family(
        [worker("a", journal, TEMPORARY, significant=True)], auto_shutdown=ANY
    )
    outer = _nested(inner, journal, significant=significant)
    async with running(outer) as top:
        end(inner.child("a"), Normal())
        await wait_idle()
        assert top.alive is not significant
        if significant:
            assert await top.wait_stopped() == OVER
        else:
            assert statuses(outer) == {"inner": "stopped", "other": "running"}


async def test_a_significant_child_that_declines_its_restart_has_ended() -> None:
    supervisor = family(
        [
            worker(
                "a", Journal(), T, significant=True, on_start=in_turn(None, decline)
            ),
        ],
        auto_shutdown=EACH,
    )
    async with running(supervisor) as top:
        end(supervisor.child("a"), Boom())
        assert await top.wait_stopped() == OVER


async def test_a_stop_that_comes_first_keeps_its_reason() -> None:
    supervisors: list[Supervisor | DynamicSupervisor] = [
        family(auto_shutdown=ANY),
        crowd(auto_shutdown=ANY),
    ]
    for supervisor in supervisors:
        async with running(supervisor) as top:
            ref = await supervisor.start_child(
                worker("a", Journal(), TEMPORARY, significant=True, on_stop=lasting(1))
            )
            ref.tell(Normal())
            await wait_idle()
            top.stop_nowait(Shutdown("mine"))
            assert await top.wait_stopped() == Shutdown("mine")
