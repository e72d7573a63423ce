"""How long a child that fails again and again waits."""

from __future__ import annotations

import random

import pytest

from greenroom import (
    Backoff,
    Restart,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    elapse,
    fails_again,
    family,
    incarnation,
    now,
    patient,
    restarting,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio

P, T, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY


async def test_a_child_that_fails_in_a_row_waits_longer_and_longer() -> None:
    journal = Journal()
    options = patient() | {"backoff": Backoff(1.0, 5.0)}
    spec = worker("a", journal, on_start=fails_again(5))
    supervisor = family([spec], **options)
    async with running(supervisor):
        ref = supervisor.child("a")
        assert ref is not None
        began = now()
        ref.tell(Boom())
        # At once, then 1, 2, 4, 5 and 5 seconds.
        for at, starts in ((0.5, 2), (1.5, 3), (3.5, 4), (7.5, 5), (12.5, 6)):
            await elapse(began + at - now())
            assert len(journal.of("start")) == starts
            assert statuses(supervisor) == {"a": "restarting"}
        await elapse(5)
        assert statuses(supervisor) == {"a": "running"}


async def test_a_child_that_lasted_begins_its_backoff_anew() -> None:
    supervisor = family(
        [worker("a", Journal())],
        **patient() | {"backoff": Backoff(1.0, 5.0)},
    )
    async with running(supervisor):
        ref = supervisor.child("a")
        assert ref is not None
        for count in range(1, 4):
            await elapse(3)  # the mean of both bounds
            ref.tell(Boom())
            await wait_idle()
            assert await incarnation(ref) == 1 + count
        ref.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "restarting"}


async def test_the_jitter_comes_from_the_injected_generator() -> None:
    waits: list[float] = []
    for seed in (1, 1, 2):
        supervisor = family(
            [worker("a", Journal(), on_start=fails_again())],
            backoff=Backoff(1.0, 5.0),
            rng=random.Random(seed),
        )
        async with running(supervisor):
            ref = supervisor.child("a")
            assert ref is not None
            ref.tell(Boom())
            began = now()
            await ref.ask("which?")
            waits.append(round(now() - began, 6))
    assert waits[0] == waits[1] != waits[2]
    assert 0 < min(waits) <= max(waits) < 1


async def test_a_waiting_child_does_not_hold_up_the_others() -> None:
    journal = Journal()
    supervisor = family(
        [worker("a", journal, on_start=fails_again()), worker("b", journal)],
        **patient(),
    )
    async with running(supervisor):
        await restarting(supervisor.child("a"))
        b = supervisor.child("b")
        assert b is not None
        b.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "restarting", "b": "running"}
        await elapse(11)
        assert statuses(supervisor) == {"a": "running", "b": "running"}
