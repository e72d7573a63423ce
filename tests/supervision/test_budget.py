"""How often a child may fail that is counted by itself."""

from __future__ import annotations

import pytest

from greenroom import (
    ChildSpec,
    GaveUp,
    Intensity,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    acting,
    child,
    elapse,
    family,
    forever,
    in_turn,
    incarnation,
    now,
    patient,
    running,
    spec,
)

pytestmark = pytest.mark.anyio


async def test_a_child_with_a_limit_of_its_own_has_that_many_restarts() -> None:
    """Behaviour 143: stop after restart retries limit."""
    supervisor = family(
        [spec(intensity=Intensity(2, 5.0)), spec("b")], intensity=Intensity(0, 5.0)
    )
    async with running(supervisor) as top:
        monitor = top.monitor()
        ref = child(supervisor, "a")
        for count in (2, 3):
            ref.tell(Boom())
            await wait_idle()
            assert await incarnation(ref) == count
        error = Boom()
        ref.tell(error)
        assert (await monitor.wait()).reason == GaveUp("/top/a", error)


async def test_a_child_has_all_its_restarts_again_after_its_period() -> None:
    """Behaviour 143: reset retry limit after withinTimeRange."""
    supervisor = family([spec(intensity=Intensity(1, 0.5))])
    async with running(supervisor) as top:
        ref = child(supervisor, "a")
        for count in range(2, 6):
            ref.tell(Boom())
            await elapse(0.6)
            assert await incarnation(ref) == count
        ref.tell(Boom())
        await wait_idle()
        ref.tell(Boom())
        await wait_idle()
        assert not top.alive


async def test_a_child_with_no_restarts_fails_once() -> None:
    """Behaviour 143: stop at first exception when limit is 0."""
    supervisor = family([spec(intensity=Intensity(0, 5.0))])
    async with running(supervisor) as top:
        child(supervisor, "a").tell(Boom())
        assert isinstance(await top.wait_stopped(), GaveUp)


async def test_a_limit_of_ones_own_is_not_spent_by_siblings_and_spends_none() -> None:
    supervisor = family(
        [spec(intensity=Intensity(2, 5.0)), spec("b"), spec("c")],
        intensity=Intensity(2, 5.0),
    )
    async with running(supervisor) as top:
        for name in "aabc":
            child(supervisor, name).tell(Boom())
            await wait_idle()
        assert top.alive
        child(supervisor, "b").tell(Boom())
        await wait_idle()
        assert not top.alive


async def test_a_limit_of_ones_own_lasts_over_orders_and_not_over_generations() -> None:
    inner = family([spec(intensity=Intensity(1, 5.0))])
    async with running(family([ChildSpec("inner", lambda: inner)])):
        child(inner, "a").tell(Boom())
        await wait_idle()
        await inner.stop_child("a")
        await inner.restart_child("a")
        child(inner, "a").tell(Boom())
        await wait_idle()
        # That was one too many: it is another now.
        assert inner.context.incarnation == 2
        child(inner, "a").tell(Boom())
        await wait_idle()
        assert inner.context.incarnation == 2
        assert await incarnation(child(inner, "a")) == 2


async def test_a_start_that_fails_late_has_not_lasted() -> None:
    late = in_turn(None, forever, forever)
    supervisor = family([acting(late, start_timeout=6)], **patient(5.0))
    async with running(supervisor):
        child(supervisor, "a").tell(Boom())
        began = now()
        await child(supervisor, "a").ask("which?", timeout=40)
        # The first restart comes at once, and each other after a wait, though
        # each attempt took longer than it takes a child to recover.
        assert now() - began == pytest.approx(6 + 5 + 6 + 5)
