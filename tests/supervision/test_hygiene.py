"""What is left behind, and what many children cost."""

from __future__ import annotations

import gc
import time
import weakref
from functools import partial

import pytest

from greenroom import ActorRef, ChildSpec, Restart
from greenroom.testing import wait_idle

from .kit import Boom, Plain, crowd, family, incarnation, running, statuses

pytestmark = pytest.mark.anyio


class Baggage:
    """Something large that a start needs and nobody else."""


def make(_: Baggage) -> Plain:
    return Plain()


@pytest.mark.parametrize("dynamic", [False, True])
async def test_what_a_temporary_child_was_made_from_is_released(dynamic: bool) -> None:
    """Behaviour 69: do_not_save_start_parameters_for_temporary_children."""
    supervisor = crowd() if dynamic else family()
    async with running(supervisor):
        kept: dict[Restart, list[bool]] = {}
        for restart in Restart:
            baggage = Baggage()
            trace = weakref.ref(baggage)
            ref = await supervisor.start_child(
                ChildSpec(restart.value, partial(make, baggage), restart)
            )
            del baggage
            gc.collect()
            kept[restart] = [trace() is not None]
            ref.tell(Boom())
            await wait_idle()
            kept[restart].append(trace() is not None)
        assert kept == {
            Restart.PERMANENT: [True, True],
            Restart.TRANSIENT: [True, True],
            # While it runs already: it will not be made again.
            Restart.TEMPORARY: [False, False],
        }


async def test_the_spec_of_a_temporary_child_cannot_make_another() -> None:
    supervisor = family([ChildSpec("a", Plain, Restart.TEMPORARY, shutdown=7)])
    async with running(supervisor):
        spec = supervisor.spec("a")
        assert (spec.id, spec.shutdown) == ("a", 7)
        with pytest.raises(RuntimeError, match="a temporary child is not kept"):
            spec.start()


@pytest.mark.parametrize("dynamic", [False, True])
async def test_the_id_of_a_temporary_child_is_free_after_any_end(dynamic: bool) -> None:
    """Behaviour 70: do_not_save_child_specs_for_temporary_children."""
    supervisor = crowd() if dynamic else family()
    async with running(supervisor):
        for end in ("crash", "stop", "kill", "bind"):
            ref = await supervisor.start_child(ChildSpec("a", Plain, Restart.TEMPORARY))
            if end == "crash":
                ref.tell(Boom())
            elif end == "stop":
                ref.stop_nowait()
            else:
                ref.kill()
            await ref.wait_stopped()
            assert statuses(supervisor) == {}


async def test_a_restarted_supervisor_forgets_its_former_children() -> None:
    inner = family([ChildSpec("a", Plain)])
    outer = family([ChildSpec("inner", lambda: inner)])
    async with running(outer):
        former = await inner.start_child(ChildSpec("b", Plain))
        ref = outer.child("inner")
        assert ref is not None
        for end in (ref.stop_nowait, ref.kill):
            end()
            await wait_idle()
            assert statuses(inner) == {"a": "running"}
            assert await incarnation(inner.child("a")) == 1
            assert not former.alive
            former = await inner.start_child(ChildSpec("b", Plain))


async def _lives(supervisor_is_dynamic: bool, number: int) -> tuple[float, float]:
    """Seconds to start and to stop so many children."""
    supervisor = crowd() if supervisor_is_dynamic else family()
    async with running(supervisor) as top:
        gc.collect()
        gc.disable()
        try:
            begun = time.process_time()
            for count in range(number):
                await supervisor.start_child(
                    ChildSpec(str(count), Plain, Restart.TEMPORARY)
                )
            started = time.process_time()
            await top.stop()
            ended = time.process_time()
        finally:
            gc.enable()
    return started - begun, ended - started


async def test_ten_times_the_dynamic_children_take_ten_times_as_long_to_stop() -> None:
    """Behaviour 72: simple_one_for_one_scale_many_temporary_children."""
    few = min([(await _lives(True, 500))[1] for _ in range(3)])
    _, many = await _lives(True, 5_000)
    # A quadratic cost would be a hundred times.
    assert many < 30 * few


async def test_many_static_children_start_and_stop_in_linear_time() -> None:
    """Behaviour 73: scale_start_stop_many_children."""
    few = min([await _lives(False, 500) for _ in range(3)], key=sum)
    many = await _lives(False, 5_000)
    assert sum(many) < 30 * sum(few)


async def test_a_restart_costs_the_same_however_many_siblings_there_are() -> None:
    async def cost(siblings: int) -> float:
        supervisor = family([ChildSpec(str(n), Plain) for n in range(siblings)])
        async with running(supervisor):
            ref: ActorRef[object] | None = supervisor.child("0")
            assert ref is not None
            begun = time.process_time()
            for _ in range(50):
                ref.tell(Boom())
                await wait_idle()
            return time.process_time() - begun

    few = min([await cost(1) for _ in range(3)])
    many = min([await cost(1_000) for _ in range(2)])
    assert many < 5 * few
