"""How supervisors stop, and their children with them."""

from __future__ import annotations

import logging
import math
from typing import Literal

import anyio
import pytest

from greenroom import (
    BRUTAL_KILL,
    ActorCrashed,
    ChildSpec,
    Crashed,
    ExitReason,
    Killed,
    Normal,
    Restart,
    Shutdown,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Step,
    crowd,
    elapse,
    fail,
    fails_again,
    family,
    forever,
    lasting,
    now,
    patient,
    restarting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_an_infinite_deadline_waits_for_workers_and_supervisors() -> None:
    """Behaviour 21: sup_stop_infinity."""
    journal = Journal()
    slow = worker("slow", journal, on_stop=lasting(15), shutdown=math.inf)
    supervisor = family(
        [
            worker("a", journal, on_stop=lasting(15), shutdown=math.inf),
            # A supervisor's deadline is infinite by default.
            ChildSpec("inner", lambda: family([slow])),
        ]
    )
    async with running(supervisor) as ref:
        began = now()
        assert await ref.stop() == Shutdown()
        assert now() - began == pytest.approx(30)
    assert journal.of("gone") == ["slow", "a"]


async def test_a_hung_child_is_killed_at_its_deadline() -> None:
    """Behaviour 22: sup_stop_timeout."""
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal),
            worker("hung", journal, on_stop=forever, shutdown=2),
            worker("b", journal),
        ]
    )
    async with running(supervisor) as ref:
        refs = {info.id: info.ref for info in supervisor.children()}
        monitors = {id: child.monitor() for id, child in refs.items() if child}
        began = now()
        assert await ref.stop() == Shutdown()
        assert now() - began == pytest.approx(2)
        reasons = {id: (await m.wait()).reason for id, m in monitors.items()}
    assert reasons == {"a": Shutdown(), "hung": Killed(), "b": Shutdown()}
    assert journal.of("gone") == ["b", "a"]


async def test_a_hung_dynamic_child_is_killed_at_its_deadline() -> None:
    """Behaviour 23: sup_stop_timeout_dynamic."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor) as ref:
        monitors = {
            spec.id: (await supervisor.start_child(spec)).monitor()
            for spec in (
                worker("a", journal),
                worker("hung", journal, on_stop=forever, shutdown=2),
                worker("b", journal),
            )
        }
        began = now()
        await ref.stop()
        assert now() - began == pytest.approx(2)
        reasons = {id: (await m.wait()).reason for id, m in monitors.items()}
    assert reasons == {"a": Shutdown(), "hung": Killed(), "b": Shutdown()}


async def test_a_brutal_kill_runs_no_stop_hook() -> None:
    """Behaviour 24: sup_stop_brutal_kill."""
    journal = Journal()
    supervisor = family(
        [worker("a", journal), worker("b", journal, shutdown=BRUTAL_KILL)]
    )
    async with running(supervisor) as ref:
        assert await ref.stop() == Shutdown()
    assert journal.of("stop") == ["a"]


async def test_a_brutal_kill_of_ten_dynamic_children_runs_no_stop_hook() -> None:
    """Behaviour 25: sup_stop_brutal_kill_dynamic."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor) as ref:
        for number in range(10):
            await supervisor.start_child(
                worker(str(number), journal, shutdown=BRUTAL_KILL)
            )
        began = now()
        await ref.stop()
        assert now() == began
    assert journal.of("stop") == []


ENDS: dict[str, object] = {
    "normal": Normal(),
    "shutdown": Shutdown(),
    "info": Shutdown("x"),
    "other": Boom(),
}


def _reason(told: object, found: ExitReason) -> bool:
    if isinstance(told, Boom):
        return isinstance(found, Crashed) and found.error is told
    return found == told


async def test_children_that_exit_by_themselves_during_the_stop_keep_their_reason() -> (
    None
):
    """Behaviour 26: sup_stop_race."""
    journal = Journal()
    supervisor = family(
        [worker(name, journal) for name in ENDS]
        # Stopped first, and meanwhile the others go by themselves.
        + [worker("last", journal, on_stop=lasting(3))]
    )
    async with running(supervisor) as ref:
        refs = {name: supervisor.child(name) for name in ENDS}
        monitors = {name: each.monitor() for name, each in refs.items() if each}
        ref.stop_nowait()
        await elapse(1)
        for name, told in ENDS.items():
            child = refs[name]
            assert child is not None
            child.tell(told)
        assert await ref.wait_stopped() == Shutdown()
        for name, told in ENDS.items():
            assert _reason(told, (await monitors[name].wait()).reason)
    assert len(journal.of("start")) == 5


@pytest.mark.parametrize("restart", Restart)
async def test_dynamic_children_that_exit_by_themselves_during_the_stop(
    restart: Restart,
) -> None:
    """Behaviour 27: sup_stop_non_shutdown_exit_dynamic."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor) as ref:
        monitors = {
            name: (
                await supervisor.start_child(
                    worker(
                        name,
                        journal,
                        restart,
                        on_stop=fail if name == "other" else lasting(1),
                    )
                )
            ).monitor()
            for name in ENDS
        }
        ref.stop_nowait()
        assert await ref.wait_stopped() == Shutdown()
        reasons = {name: (await m.wait()).reason for name, m in monitors.items()}
    assert isinstance(reasons.pop("other"), Crashed)
    assert set(reasons.values()) == {Shutdown()}
    assert len(journal.of("start")) == 4


async def test_dynamic_children_stop_in_parallel() -> None:
    """Behaviour 28: simple_one_for_one_shutdown."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor) as ref:
        for seconds in (1, 2, 3):
            await supervisor.start_child(
                worker(str(seconds), journal, on_stop=lasting(seconds))
            )
        began = now()
        await ref.stop()
        assert now() - began == pytest.approx(3)
    assert journal.of("gone") == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("shutdown", "end", "seconds", "reported"),
    [
        pytest.param(BRUTAL_KILL, None, 0, False, id="brutal kill"),
        pytest.param(math.inf, lasting(9), 9, False, id="infinity"),
        pytest.param(math.inf, fail, 0, True, id="infinity, abnormal"),
        pytest.param(2, lasting(1), 1, False, id="integer"),
        pytest.param(2, fail, 0, True, id="integer, abnormal"),
        pytest.param(2, forever, 2, True, id="expired integer"),
        pytest.param(2, None, 0, False, id="permanent, normal"),
    ],
)
async def test_what_is_reported_of_a_stop(
    shutdown: float | Literal["brutal_kill"],
    end: Step | None,
    seconds: float,
    reported: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 101: terminates children with ..."""
    supervisor = crowd()
    async with running(supervisor) as ref:
        await supervisor.start_child(
            worker("a", Journal(), on_stop=end, shutdown=shutdown)
        )
        began = now()
        await ref.stop()
        assert now() - began == pytest.approx(seconds)
    errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert bool(errors) is reported


async def test_a_mixed_crowd_ends_within_the_longest_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 101: terminates children with mixed."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor) as ref:
        for spec in (
            worker("brutal", journal, on_stop=forever, shutdown=BRUTAL_KILL),
            worker("hung", journal, on_stop=forever, shutdown=1),
            worker("slow", journal, on_stop=lasting(4), shutdown=math.inf),
            worker("crash", journal, on_stop=fail),
        ):
            await supervisor.start_child(spec)
        began = now()
        await ref.stop()
        assert now() - began == pytest.approx(4)
    reported = [record.getMessage().split(" ")[0] for record in caplog.records]
    assert sorted(reported) == ["/top/crash", "/top/hung"]


@pytest.mark.parametrize(
    ("shutdown", "stops"), [(BRUTAL_KILL, []), (5, ["a"])], ids=["kill", "integer"]
)
async def test_a_dynamic_child_is_stopped_as_its_spec_says(
    shutdown: float | Literal["brutal_kill"], stops: list[str]
) -> None:
    """Behaviour 102: terminate_child with brutal kill / integer."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(worker("a", journal, shutdown=shutdown))
        await supervisor.stop_child(ref)
        assert not ref.alive
        assert supervisor.children() == ()
    assert journal.of("stop") == stops


async def test_those_that_are_down_end_before_the_others_are_waited_for() -> None:
    journal = Journal()
    supervisor = family(
        [
            worker("down", journal, on_start=fails_again()),
            worker("slow", journal, on_stop=lasting(4)),
        ],
        **patient(),
    )
    async with running(supervisor) as ref:
        down = supervisor.child("down")
        assert down is not None
        await restarting(down)
        assert statuses(supervisor)["down"] == "restarting"
        began = now()
        async with anyio.create_task_group() as group:

            async def asks() -> None:
                with pytest.raises(ActorCrashed):
                    await down.ask("waits for the next incarnation", timeout=None)
                assert now() - began < 0.1

            group.start_soon(asks)
            await wait_idle()
            await ref.stop()
        assert now() - began == pytest.approx(4, abs=0.1)
