"""What is a dynamic supervisor's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from greenroom import (
    ActorSystem,
    ChildDeclined,
    ChildExists,
    ChildSpec,
    Decline,
    DynamicSupervisor,
    Intensity,
    Restart,
    StartError,
    TooManyChildren,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Worker,
    crowd,
    elapse,
    fails_again,
    family,
    forever,
    in_turn,
    incarnation,
    patient,
    restarting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_it_can_be_a_child_itself() -> None:
    """Behaviour 82: can be supervised directly."""
    dynamic = DynamicSupervisor()
    supervisor = family([ChildSpec("crowd", lambda: dynamic)])
    async with running(supervisor):
        ref = await dynamic.start_child(worker("a", Journal()))
        assert ref.path == "/top/crowd/a"


async def test_several_of_them_are_told_apart_by_their_names() -> None:
    """Behaviour 83: multiple supervisors can be identified."""
    async with ActorSystem() as system:
        refs = [await system.spawn(DynamicSupervisor()) for _ in range(2)]
        assert [ref.name for ref in refs] == [
            "DynamicSupervisor-1",
            "DynamicSupervisor-2",
        ]


async def test_a_name_that_is_taken_is_refused_with_its_holder() -> None:
    """Behaviour 86: with registered process."""
    async with ActorSystem() as system:
        ref = await system.spawn(DynamicSupervisor(), name="crowd")
        with pytest.raises(ChildExists) as exists:
            await system.spawn(DynamicSupervisor(), name="crowd")
        assert exists.value.ref is ref


async def test_arguments_bound_to_the_factory_come_back_at_each_restart() -> None:
    """Behaviour 87: supports extra arguments."""
    journal = Journal()
    with_journal = partial(Worker, journal=journal)
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(ChildSpec("a", partial(with_journal, "a")))
        ref.tell(Boom())
        await wait_idle()
        assert journal.of("start") == ["a", "a"]


async def test_an_invalid_spec_is_refused_at_the_caller() -> None:
    """Behaviour 88: with invalid child spec."""
    wrong: Any
    for supervisor in (crowd(), family()):
        # It does not even run.
        for wrong in (None, "a", {"id": "a"}, Worker):
            with pytest.raises(ValueError, match="spec must be ChildSpec"):
                await supervisor.start_child(wrong)


async def test_each_way_in_which_a_start_can_end() -> None:
    """Behaviour 89: with different returns."""
    journal = Journal()
    supervisor = crowd()

    def unknown() -> Any:
        return "neither"

    def declines() -> Any:
        raise Decline

    async with running(supervisor):
        assert (await supervisor.start_child(worker("ok", journal))).alive
        with pytest.raises(ChildDeclined):
            await supervisor.start_child(ChildSpec("ignore", declines))
        with pytest.raises(StartError, match="must return an Actor, got 'neither'"):
            await supervisor.start_child(ChildSpec("unknown", unknown))
        assert statuses(supervisor) == {"ok": "running"}


@pytest.mark.parametrize("error", [Boom(), ValueError("x"), KeyError("y")])
async def test_whatever_a_start_raises_is_the_cause_with_its_traceback(
    error: Exception,
) -> None:
    """Behaviour 90: with throw/error/exit."""

    def throws() -> Any:
        raise error

    supervisor = crowd()
    async with running(supervisor):
        with pytest.raises(StartError) as failed:
            await supervisor.start_child(ChildSpec("a", throws))
    assert failed.value.__cause__ is error
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_name == "throws"


async def test_no_more_children_than_it_may_have() -> None:
    """Behaviour 91: with max_children."""
    supervisor = crowd(max_children=2)
    async with running(supervisor):
        ref = await supervisor.start_child(worker("a", Journal()))
        await supervisor.start_child(worker("b", Journal()))
        with pytest.raises(TooManyChildren, match="there are 2 children") as too_many:
            await supervisor.start_child(worker("c", Journal()))
        assert too_many.value.max_children == 2
        await supervisor.stop_child(ref)
        await supervisor.start_child(worker("c", Journal()))


async def test_a_child_that_restarts_in_its_start_counts() -> None:
    """Behaviour 96: restarting on init children counted in max_children."""
    supervisor = crowd(max_children=1, **patient())
    async with running(supervisor):
        ref = await supervisor.start_child(
            worker("a", Journal(), on_start=fails_again(5))
        )
        await restarting(ref)
        with pytest.raises(TooManyChildren):
            await supervisor.start_child(worker("b", Journal()))
        assert statuses(supervisor) == {"a": "restarting"}


async def test_a_child_that_restarts_after_its_exit_counts() -> None:
    """Behaviour 97: restarting on exit children counted in max_children."""
    supervisor = crowd(max_children=1)
    async with running(supervisor):
        ref = await supervisor.start_child(
            worker("a", Journal(), on_start=in_turn(None, forever))
        )
        ref.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "starting"}
        with pytest.raises(TooManyChildren):
            await supervisor.start_child(worker("b", Journal()))


async def test_ids_are_made_that_were_not_made_before() -> None:
    supervisor = crowd()
    assert [supervisor.next_id(), supervisor.next_id("c"), supervisor.next_id()] == [
        "1",
        "c2",
        "3",
    ]


async def test_a_dynamic_supervisor_that_is_restarted_begins_anew() -> None:
    journal = Journal()
    supervisor = crowd(intensity=Intensity(1, 5.0))
    async with ActorSystem() as system:
        top = await system.spawn(lambda: supervisor, restart=Restart.PERMANENT)
        for count in (1, 2):
            ref = await supervisor.start_child(worker("a", journal))
            # Its budget is as new, too.
            for _ in range(2):
                ref.tell(Boom())
                await wait_idle()
            assert not ref.alive
            assert top.alive
            await elapse(1)
            assert statuses(supervisor) == {}
            assert supervisor.context.incarnation == count + 1
        assert (
            await incarnation(await supervisor.start_child(worker("a", journal))) == 1
        )
