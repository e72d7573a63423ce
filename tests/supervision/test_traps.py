"""Six traps of OTP's own, reversed."""

from __future__ import annotations

from inspect import signature

import anyio
import pytest

from greenroom import (
    ActorSystem,
    Backoff,
    ChildSpec,
    Intensity,
    MailboxFull,
    MailboxOptions,
    Restart,
    StartError,
    Strategy,
    Supervisor,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Longest,
    crowd,
    elapse,
    fails_again,
    family,
    forever,
    incarnation,
    now,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_an_inner_supervisor_that_gave_up_is_never_silently_dead() -> None:
    """Trap 1: escalation with shutdown."""
    inner = family([worker("a", Journal())], intensity=Intensity(0, 5.0))
    for restart, after in (
        (Restart.PERMANENT, {"inner": "running"}),
        (Restart.TRANSIENT, {"inner": "running"}),
    ):
        supervisor = family([ChildSpec("inner", lambda: inner, restart)])
        async with running(supervisor):
            ref = inner.child("a")
            assert ref is not None
            ref.tell(Boom())
            await wait_idle()
            assert statuses(supervisor) == after
            assert await incarnation(inner.child("a")) == 1


async def test_a_failing_child_does_not_burn_the_budget_in_no_time() -> None:
    """Trap 2: no backoff."""
    journal = Journal()
    spec = worker("a", journal, on_start=fails_again(99))
    # The defaults, with the longest jitter: 0, 0.1 and 0.2 seconds.
    supervisor = Supervisor([spec], rng=Longest())
    assert signature(Supervisor).parameters["backoff"].default == Backoff(0.1, 10.0)
    async with running(supervisor) as top:
        began = now()
        ref = supervisor.child("a")
        assert ref is not None
        ref.tell(Boom())
        await top.wait_stopped()
        assert now() - began == pytest.approx(0.3)
    # Spread wider than its budget, it goes on for ever.
    spec = worker("a", journal, on_start=fails_again(99))
    supervisor = Supervisor([spec], rng=Longest(), backoff=Backoff(3.0, 3.0))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        ref.tell(Boom())
        await elapse(40)
        assert top.alive


async def test_a_start_blocks_nobody_and_has_a_deadline() -> None:
    """Trap 3: the control plane blocks during init, which has no timeout."""
    journal = Journal()
    supervisor = crowd()
    async with running(supervisor), anyio.create_task_group() as group:
        began = now()

        async def start() -> None:
            with pytest.raises(StartError, match="started took over 30 s"):
                await supervisor.start_child(worker("slow", journal, on_start=forever))
            assert now() - began == pytest.approx(30)

        group.start_soon(start)
        await wait_idle()
        assert statuses(supervisor) == {"slow": "starting"}
        ref = await supervisor.start_child(worker("a", journal))
        ref.tell(Boom())
        await wait_idle()
        assert await incarnation(ref) == 2
        await supervisor.stop_child(ref)
        assert now() - began < 0.1


async def test_a_mailbox_is_bounded_and_a_stop_overtakes_what_waits() -> None:
    """Trap 4: unbounded mailbox, no priority lane."""
    journal = Journal()
    supervisor = family(
        [worker("a", journal, mailbox=MailboxOptions(capacity=100))],
    )
    async with running(supervisor):
        ref = supervisor.child("a")
        assert ref is not None
        for _ in range(100):
            ref.tell("which?")
        with pytest.raises(MailboxFull):
            ref.tell("which?")
        await supervisor.stop_child("a")
        assert ref.statistics().handled == 0
        assert ref.statistics().dead_lettered == 100


async def test_the_window_of_restarts_is_not_of_whole_seconds() -> None:
    """Trap 5: integer-second window."""
    supervisor = family([worker("a", Journal())], intensity=Intensity(1, 0.25))
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        for _ in range(5):
            ref.tell(Boom())
            await elapse(0.26)
        assert top.alive
        for _ in range(2):
            ref.tell(Boom())
            await elapse(0.2)
        assert not top.alive


async def test_deadlines_that_add_up_are_capped_by_that_of_the_system() -> None:
    """Trap 6: sequential shutdown sums the deadlines."""
    journal = Journal()
    began = 0.0
    async with ActorSystem(shutdown_timeout=7.0) as system:
        await system.spawn(
            family(
                [worker(str(n), journal, on_stop=forever, shutdown=5) for n in range(9)]
            )
        )
        began = now()
    assert now() - began == pytest.approx(7.0)
    # Each in its turn, as far as time allows.
    assert journal.of("stop") == ["8", "7"]


async def test_a_group_restart_of_one_strategy_is_not_a_group_of_restarts() -> None:
    journal = Journal()
    supervisor = family(
        [worker(name, journal) for name in "abcdefgh"],
        strategy=Strategy.ONE_FOR_ALL,
        intensity=Intensity(1, 5.0),
    )
    async with running(supervisor) as top:
        ref = supervisor.child("a")
        assert ref is not None
        ref.tell(Boom())
        await wait_idle()
        assert top.alive
