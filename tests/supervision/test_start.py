"""How supervisors and their children start."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    ActorSystem,
    AutoShutdown,
    ChildDeclined,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Normal,
    Restart,
    Shutdown,
    StartError,
    Strategy,
    Supervisor,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Worker,
    crowd,
    decline,
    elapse,
    fail,
    family,
    forever,
    in_turn,
    lasting,
    now,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_an_empty_supervisor_starts_and_stops_cleanly() -> None:
    """Behaviour 1: sup_start_normal."""
    for supervisor in (Supervisor(), DynamicSupervisor()):
        async with running(supervisor) as ref:
            assert supervisor.children() == ()
            assert await ref.stop() == Shutdown()


async def test_an_actor_that_declines_leaves_nothing_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 2: sup_start_ignore_init."""
    async with ActorSystem() as system:
        before = system.children()
        with pytest.raises(ChildDeclined, match="/shy declined to start") as declined:
            await system.start_child(
                worker("shy", Journal(), Restart.TEMPORARY, on_start=decline)
            )
        assert declined.value.path == "/shy"
        assert system.children() == before
    assert not caplog.records


async def test_a_declining_child_is_kept_as_a_spec() -> None:
    """Behaviour 3: sup_start_ignore_child."""
    journal = Journal()
    supervisor = family(
        [worker("a", journal, on_start=decline), worker("b", journal)],
    )
    async with running(supervisor):
        counts = supervisor.count_children()
        assert (counts.specs, counts.active) == (2, 1)
        assert statuses(supervisor) == {"a": "stopped", "b": "running"}
        with pytest.raises(ChildDeclined):
            await supervisor.restart_child("a")
        with pytest.raises(ChildDeclined):
            await supervisor.start_child(worker("c", journal, on_start=decline))
        assert statuses(supervisor)["c"] == "stopped"


async def test_a_declining_temporary_child_is_not_kept() -> None:
    """Behaviour 4: sup_start_ignore_temporary_child."""
    journal = Journal()
    shy = worker("a", journal, Restart.TEMPORARY, on_start=decline)
    supervisor = family([shy, worker("b", journal)])
    async with running(supervisor):
        assert statuses(supervisor) == {"b": "running"}


async def test_a_declining_temporary_child_is_not_added() -> None:
    """Behaviour 5: sup_start_ignore_temporary_child_start_child."""
    supervisor = family()
    async with running(supervisor):
        shy = worker("a", Journal(), Restart.TEMPORARY, on_start=decline)
        with pytest.raises(ChildDeclined):
            await supervisor.start_child(shy)
        assert statuses(supervisor) == {}


async def test_a_declining_temporary_dynamic_child_is_not_added() -> None:
    """Behaviour 6: sup_start_ignore_temporary_child_start_child_simple."""
    supervisor = crowd()
    async with running(supervisor):
        shy = worker("a", Journal(), Restart.TEMPORARY, on_start=decline)
        with pytest.raises(ChildDeclined):
            await supervisor.start_child(shy)
        assert statuses(supervisor) == {}


async def test_a_declining_permanent_dynamic_child_is_not_stored() -> None:
    """Behaviour 7: sup_start_ignore_permanent_child_start_child_simple."""
    supervisor = crowd()
    async with running(supervisor) as ref:
        with pytest.raises(ChildDeclined):
            await supervisor.start_child(worker("a", Journal(), on_start=decline))
        assert statuses(supervisor) == {}
        assert await ref.stop() == Shutdown()


async def test_a_factory_that_makes_no_actor_fails_the_start() -> None:
    """Behaviour 8: sup_start_error_return."""
    wrong: Any = lambda: "no actor"  # noqa: E731 - typed
    supervisor = family([ChildSpec("a", wrong)])
    async with ActorSystem() as system:
        with pytest.raises(StartError) as failed:
            await system.spawn(supervisor, name="top")
    inner = failed.value.__cause__
    assert isinstance(inner, StartError)
    assert inner.path == "/top/a"
    assert isinstance(inner.__cause__, TypeError)


async def test_an_exception_in_a_start_reaches_the_starter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 9: sup_start_fail."""
    async with ActorSystem() as system:
        with pytest.raises(StartError) as failed:
            await system.start_child(worker("a", Journal(), on_start=fail))
    assert isinstance(failed.value.__cause__, Boom)
    assert failed.value.__cause__.__traceback__ is not None
    assert not caplog.records


async def test_a_child_that_fails_to_start_is_not_stored() -> None:
    """Behaviour 10: sup_start_child_returns_error."""
    supervisor = family()
    async with running(supervisor):
        with pytest.raises(StartError):
            await supervisor.start_child(worker("a", Journal(), on_start=fail))
        assert statuses(supervisor) == {}


async def test_a_manual_restart_that_fails_keeps_the_spec() -> None:
    """Behaviour 11: sup_start_restart_child_returns_error."""
    journal = Journal()
    supervisor = family([worker("a", journal, on_start=in_turn(None, fail))])
    async with running(supervisor):
        await supervisor.stop_child("a")
        with pytest.raises(StartError):
            await supervisor.restart_child("a")
        assert statuses(supervisor) == {"a": "stopped"}
        assert (await supervisor.restart_child("a")).alive


async def test_a_dynamic_child_that_fails_to_start_is_not_stored() -> None:
    """Behaviour 12: sup_start_child_returns_error_simple."""
    supervisor = crowd()
    async with running(supervisor):
        with pytest.raises(StartError):
            await supervisor.start_child(worker("a", Journal(), on_start=fail))
        assert statuses(supervisor) == {}


async def test_a_spec_is_readable_by_its_id() -> None:
    """Behaviour 13: sup_start_map."""
    spec = worker("a", Journal())
    supervisor = family([spec])
    async with running(supervisor):
        assert supervisor.spec("a") is spec
        assert supervisor.spec("a").restart is Restart.PERMANENT
        with pytest.raises(ChildNotFound, match="no such child: 'b'"):
            supervisor.spec("b")


async def test_the_spec_of_a_dynamic_child_is_readable_by_its_ref() -> None:
    """Behaviour 14: sup_start_map_simple."""
    spec = worker("a", Journal(), Restart.TRANSIENT)
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(spec)
        assert supervisor.spec(ref) is spec
        await supervisor.stop_child(ref)
        with pytest.raises(ChildNotFound):
            supervisor.spec(ref)


async def test_a_failing_start_surfaces_at_the_root_with_path_and_cause() -> None:
    """Behaviour 16: faulty_application_shutdown."""
    faulty = worker("faulty", Journal(), on_start=fail)
    inner = ChildSpec("inner", lambda: family([faulty]))
    async with ActorSystem() as system:
        with pytest.raises(StartError) as failed:
            await system.spawn(family([inner]), name="app")
    assert failed.value.path == "/app"
    error: BaseException | None = failed.value
    chain: list[str] = []
    while isinstance(error, StartError):
        chain.append(error.path)
        error = error.__cause__
    assert chain == ["/app", "/app/inner", "/app/inner/faulty"]
    assert isinstance(error, Boom)


async def test_children_before_one_that_fails_to_start_are_stopped_in_reverse() -> None:
    """Behaviour 17: init failure rollback."""
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal),
            worker("b", journal),
            worker("c", journal, on_start=fail),
            worker("d", journal),
        ]
    )
    async with ActorSystem() as system:
        with pytest.raises(StartError):
            await system.spawn(supervisor)
    assert journal == (
        ["start a", "start b", "start c", "stop b", "gone b", "stop a", "gone a"]
    )


@pytest.mark.parametrize("names", ["abcd", "dcba", "cadb"])
async def test_children_start_in_list_order_and_stop_in_reverse(names: str) -> None:
    """Behaviour 18: order_of_children."""
    journal = Journal()
    # The stop of the first lasts longest: in parallel it would be the last.
    supervisor = family(
        [
            worker(name, journal, on_stop=lasting(4 - place))
            for place, name in enumerate(names)
        ],
        strategy=Strategy.ONE_FOR_ALL,
    )
    async with running(supervisor) as ref:
        assert journal.of("start") == list(names)
        journal.clear()
        first = supervisor.child(names[0])
        assert first is not None
        first.tell(Boom())
        await elapse(11)
        assert journal.of("gone") == [names[0], *reversed(names[1:])]
        assert journal.of("start") == list(names)
        journal.clear()
        await ref.stop()
        assert journal.of("gone") == list(reversed(names))


async def test_a_start_that_takes_too_long_is_a_failed_start() -> None:
    journal = Journal()
    async with ActorSystem() as system:
        began = now()
        with pytest.raises(StartError) as failed:
            await system.start_child(
                worker("slow", journal, on_start=forever, start_timeout=7)
            )
        assert now() - began == pytest.approx(7)
    assert isinstance(failed.value.__cause__, TimeoutError)


async def test_children_are_listed_while_one_takes_long_to_start() -> None:
    """Behaviour 39: which_children during slow init."""
    journal = Journal()
    supervisor = family([worker("a", journal)])
    async with running(supervisor) as ref:
        async with anyio.create_task_group() as group:
            slow = worker("slow", journal, on_start=lasting(20))
            group.start_soon(supervisor.start_child, slow)
            await wait_idle()
            began = now()
            assert statuses(supervisor) == {"a": "running", "slow": "starting"}
            assert supervisor.count_children().active == 2
            await supervisor.stop_child("a")
            await supervisor.start_child(worker("b", journal))
            assert now() - began < 0.1
            group.cancel_scope.cancel()
        assert ref.alive


async def test_a_supervisor_may_be_told_to_stop_while_it_starts() -> None:
    journal = Journal()
    supervisor = family(
        [worker("a", journal), worker("slow", journal, on_start=forever)]
    )
    outer = family()
    async with running(outer), anyio.create_task_group() as group:

        async def start() -> None:
            with pytest.raises(StartError, match="it ended as it started"):
                await outer.start_child(ChildSpec("inner", lambda: supervisor))

        group.start_soon(start)
        await wait_idle()
        assert statuses(outer) == {"inner": "starting"}
        assert outer.count_children().supervisors == 1
        await outer.stop_child("inner")
    assert journal == ["start a", "start slow", "stop a", "gone a"]


async def test_significant_children_may_end_while_others_start() -> None:
    journal = Journal()

    async def leave(worker: Worker) -> None:
        worker.context.ref.tell(Normal())

    supervisor = family(
        [
            worker(
                "quick", journal, Restart.TEMPORARY, on_start=leave, significant=True
            ),
            worker("slow", journal, on_start=lasting(3)),
        ],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    async with running(supervisor) as ref:
        assert await ref.wait_stopped() == Shutdown("auto_shutdown")
    assert journal.of("start") == ["quick", "slow"]
    assert journal.of("gone") == ["quick", "slow"]


async def test_a_child_stopped_before_its_turn_is_not_started() -> None:
    journal = Journal()
    supervisor = family(
        [
            worker("a", journal, on_start=lasting(3)),
            worker("b", journal),
            worker("c", journal),
            worker("d", journal),
        ]
    )
    outer = family()
    async with running(outer), anyio.create_task_group() as group:
        inner = ChildSpec("inner", lambda: supervisor)
        group.start_soon(outer.start_child, inner)
        await elapse(1)
        await supervisor.stop_child("b")
        supervisor.delete_child("c")
        assert (await supervisor.restart_child("d")).alive
        await elapse(3)
        assert statuses(supervisor) == {"a": "running", "b": "stopped", "d": "running"}
    assert journal.of("start") == ["a", "d"]


async def test_a_child_stopped_in_its_turn_does_not_fail_the_start() -> None:
    journal = Journal()
    supervisor = family(
        [worker("a", journal, on_start=lasting(3)), worker("b", journal)]
    )
    outer = family()
    async with running(outer), anyio.create_task_group() as group:
        inner = ChildSpec("inner", lambda: supervisor)
        group.start_soon(outer.start_child, inner)
        await elapse(1)
        await supervisor.stop_child("a")
        await wait_idle()
        assert statuses(outer) == {"inner": "running"}
        assert statuses(supervisor) == {"a": "stopped", "b": "running"}
