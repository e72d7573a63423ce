"""Which children of a dynamic supervisor are started again."""

from __future__ import annotations

import pytest

from greenroom import (
    Crashed,
    GaveUp,
    Intensity,
    Normal,
    Restart,
    Shutdown,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    crowd,
    decline,
    fail,
    fails_again,
    in_turn,
    incarnation,
    patient,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio

P, T, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY


@pytest.mark.parametrize("message", [Normal(), Shutdown(), Shutdown("x"), Boom()])
async def test_a_temporary_dynamic_child_is_never_restarted(message: object) -> None:
    """Behaviour 92: temporary child is not restarted regardless of reason."""
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(worker("a", Journal(), TEMPORARY))
        ref.tell(message)
        await ref.wait_stopped()
        assert supervisor.children() == ()


@pytest.mark.parametrize(
    ("message", "restarted"),
    [(Normal(), False), (Shutdown(), False), (Shutdown("x"), False), (Boom(), True)],
)
async def test_a_transient_dynamic_child_is_restarted_after_a_failure(
    message: object, restarted: bool
) -> None:
    """Behaviour 93: transient child is restarted unless normal/shutdown."""
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(worker("a", Journal(), T))
        ref.tell(message)
        await wait_idle()
        assert statuses(supervisor) == ({"a": "running"} if restarted else {})


@pytest.mark.parametrize("message", [Normal(), Shutdown(), Shutdown("x"), Boom()])
async def test_a_permanent_dynamic_child_is_always_restarted(message: object) -> None:
    """Behaviour 94: permanent child is restarted regardless of reason."""
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(worker("a", Journal()))
        ref.tell(message)
        await wait_idle()
        assert await incarnation(ref) == 2


async def test_a_restart_that_declines_drops_the_child_and_a_failed_one_does_not() -> (
    None
):
    """Behaviour 95: child is restarted with different values."""
    supervisor = crowd(**patient())
    async with running(supervisor):
        declining = await supervisor.start_child(
            worker("a", Journal(), on_start=in_turn(None, decline))
        )
        failing = await supervisor.start_child(
            worker("b", Journal(), on_start=in_turn(None, fail))
        )
        declining.tell(Boom())
        failing.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"b": "restarting"}
        assert not declining.alive
        assert failing.alive


async def test_a_child_comes_back_when_its_second_start_succeeds() -> None:
    """Behaviour 98: child is restarted when trying again."""
    supervisor = crowd(intensity=Intensity(2, 5.0))
    async with running(supervisor):
        ref = await supervisor.start_child(
            worker("a", Journal(), on_start=in_turn(None, fail))
        )
        ref.tell(Boom())
        await wait_idle()
        assert await incarnation(ref) == 3


async def test_a_dynamic_supervisor_gives_up_over_too_many_failures() -> None:
    """Behaviour 99: child triggers maximum restarts."""
    supervisor = crowd(intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        ref = await supervisor.start_child(worker("a", Journal()))
        ref.tell(Boom())
        await wait_idle()
        error = Boom()
        ref.tell(error)
        assert await top.wait_stopped() == GaveUp("/top/a", error)
        assert not ref.alive


async def test_a_dynamic_supervisor_gives_up_over_failed_starts() -> None:
    """Behaviour 99: child triggers maximum restarts when trying again."""
    supervisor = crowd(intensity=Intensity(1, 5.0))
    async with running(supervisor) as top:
        ref = await supervisor.start_child(
            worker("a", Journal(), on_start=in_turn(None, fail, fail))
        )
        ref.tell(Boom())
        reason = await top.wait_stopped()
        assert isinstance(reason, GaveUp)
        assert isinstance(reason.error, Boom)


async def test_only_the_dynamic_child_that_crashed_is_restarted() -> None:
    """Behaviour 58: simple_one_for_one."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor):
        refs = {
            name: await supervisor.start_child(worker(name, journal)) for name in "abc"
        }
        journal.clear()
        refs["b"].tell(Boom())
        await wait_idle()
        # With the start arguments of its own.
        assert journal == ["stop b", "gone b", "start b"]
        assert await incarnation(refs["a"]) == 1
        assert await incarnation(refs["b"]) == 2


async def test_a_dynamic_child_that_cannot_restart_ends_all() -> None:
    """Behaviour 59: simple_one_for_one_escalation."""
    journal = Journal()
    supervisor = crowd(intensity=Intensity(4, 5.0))
    async with running(supervisor) as top:
        bystander = await supervisor.start_child(worker("a", journal))
        ref = await supervisor.start_child(
            worker("b", journal, on_start=fails_again(100))
        )
        ref.tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)
        assert not bystander.alive
    assert journal.of("gone") == ["b", "a"]


async def test_a_dynamic_supervisor_lives_on_after_its_first_child() -> None:
    """Behaviour 71: simple_one_for_one_corruption."""
    supervisor = crowd()
    async with running(supervisor):
        first = await supervisor.start_child(worker("a", Journal(), TEMPORARY))
        first.tell(Boom())
        assert isinstance(await first.wait_stopped(), Crashed)
        assert (await supervisor.start_child(worker("a", Journal(), TEMPORARY))).alive
        assert statuses(supervisor) == {"a": "running"}
