"""Which exceptions a restart is for."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from greenroom import (
    ActorCrashed,
    ActorRef,
    ActorSystem,
    AutoShutdown,
    ChildSpec,
    Crashed,
    ExitReason,
    GaveUp,
    Intensity,
    Killed,
    Normal,
    Restart,
    Shutdown,
    StartError,
    StartFailed,
    Strategy,
    SupervisionFailed,
)
from greenroom.supervision._strategy import escalates_on, restarts_on
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    acting,
    child,
    crowd,
    elapse,
    fail,
    family,
    forever,
    in_turn,
    incarnation,
    running,
    spec,
    statuses,
)

pytestmark = pytest.mark.anyio


class Transient(Exception):
    """What a restart helps against."""


class Worse(Transient):
    """One of them."""


class Poison(Exception):
    """What no restart helps against."""


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    """As a task group raises them."""
    return ExceptionGroup("several", errors)


# -- the pure part ---------------------------------------------------------

V, K = ValueError(), KeyError()


@pytest.mark.parametrize(
    ("kinds", "error", "all_of_it", "some_of_it"),
    [
        ((ValueError,), V, True, True),
        ((ValueError,), K, False, False),
        ((LookupError,), K, True, True),
        ((ValueError, KeyError), K, True, True),
        ((), V, False, False),
        ((ValueError,), group(V), True, True),
        ((ValueError,), group(V, K), False, True),
        ((ValueError, KeyError), group(V, K), True, True),
        ((ValueError,), group(group(V, V), group(V, K)), False, True),
        ((OSError,), group(V, K), False, False),
        ((), group(V, K), False, False),
        ((Exception,), group(V, group(K)), True, True),
        # A kill is no exception: the restart type alone decides.
        ((ValueError,), None, True, False),
    ],
)
def test_a_group_is_judged_by_its_leaves_as_except_star_does(
    kinds: tuple[type[Exception], ...],
    error: Exception | None,
    all_of_it: bool,
    some_of_it: bool,
) -> None:
    reasons: list[ExitReason] = [Killed()]
    if error is not None:
        reasons = [Crashed(error), StartFailed(error)]
    for reason in [*reasons, GaveUp("/a", error)]:
        assert restarts_on(kinds, reason) is all_of_it
        assert escalates_on(kinds, reason) is some_of_it


@pytest.mark.parametrize("field", ["restart_on", "escalate_on"])
@pytest.mark.parametrize(
    "kinds",
    [
        ValueError,
        [ValueError],
        (ValueError(),),
        ("ValueError",),
        (int,),
        (KeyboardInterrupt,),
        (BaseException,),
        (ExceptionGroup,),
        None,
    ],
)
def test_only_exception_types_are_a_policy(field: str, kinds: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} must be a tuple of Exception"):
        spec(**{field: kinds})


@pytest.mark.parametrize("intensity", [3, (3, 5.0), "often"])
def test_an_intensity_of_ones_own_is_an_intensity(intensity: Any) -> None:
    with pytest.raises(ValueError, match=r"^intensity must be .*Intensity"):
        spec(intensity=intensity)


# -- by type ---------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [Transient(), Worse(), group(Worse()), group(Worse(), Transient())]
)
async def test_an_actor_is_restarted_over_an_exception_that_a_restart_is_for(
    error: Exception,
) -> None:
    """Behaviour 141: restart when handled exception."""
    supervisor = family([spec(restart_on=(Transient,))])
    async with running(supervisor):
        ref = child(supervisor, "a")
        ref.tell(error)
        await wait_idle()
        assert await incarnation(ref) == 2


@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TRANSIENT])
@pytest.mark.parametrize(
    "error", [Poison(), group(Poison()), group(Transient(), Poison())]
)
async def test_an_actor_has_ended_over_an_exception_that_a_restart_is_not_for(
    restart: Restart, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Behaviour 141: stop when unhandled exception."""
    supervisor = family([spec(restart=restart, restart_on=(Transient,)), spec("b")])
    async with running(supervisor) as top:
        ref = child(supervisor, "a")
        monitor = ref.monitor()
        ref.tell("waits")
        with pytest.raises(ActorCrashed):
            await ref.ask(error)
        assert isinstance((await monitor.wait()).reason, Crashed)
        assert not ref.alive
        assert statuses(supervisor) == {"a": "stopped", "b": "running"}
        assert top.alive
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        # It is no budget of anybody's, and an order starts it again.
        assert await incarnation(await supervisor.restart_child("a")) == 1


async def test_a_kill_and_a_normal_end_are_no_exceptions() -> None:
    supervisor = family([spec(restart_on=())])
    async with running(supervisor):
        ref = child(supervisor, "a")
        ref.kill()
        await wait_idle()
        ref.stop_nowait(Normal())
        await wait_idle()
        assert await incarnation(ref) == 3
        ref.tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"a": "stopped"}


@pytest.mark.parametrize(
    ("kinds", "status"),
    [((Transient, Boom), "running"), ((Transient,), "stopped")],
)
async def test_a_restart_that_fails_is_judged_as_well(
    kinds: tuple[type[Exception], ...], status: str
) -> None:
    supervisor = family([acting(in_turn(None, fail), restart_on=kinds)])
    async with running(supervisor):
        child(supervisor, "a").tell(Transient())
        await wait_idle()
        assert statuses(supervisor) == {"a": status}


@pytest.mark.parametrize(
    ("kinds", "status"), [((TimeoutError,), "running"), ((Transient,), "stopped")]
)
async def test_a_start_that_took_too_long_is_a_timeout(
    kinds: tuple[type[Exception], ...], status: str
) -> None:
    step = in_turn(None, forever)
    supervisor = family([acting(step, start_timeout=1, restart_on=kinds)])
    async with running(supervisor):
        child(supervisor, "a").kill()
        await elapse(2)
        assert statuses(supervisor) == {"a": status}


async def test_a_dynamic_child_that_no_restart_is_for_is_forgotten() -> None:
    supervisor = crowd()
    async with running(supervisor):
        ref = await supervisor.start_child(spec(restart_on=(Transient,)))
        ref.tell(Poison())
        await wait_idle()
        assert statuses(supervisor) == {}


async def test_a_significant_child_that_no_restart_is_for_has_ended() -> None:
    supervisor = family(
        [spec(restart=Restart.TRANSIENT, significant=True, restart_on=(Transient,))],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    async with running(supervisor) as top:
        child(supervisor, "a").tell(Transient())
        await wait_idle()
        assert top.alive
        child(supervisor, "a").tell(Poison())
        assert await top.wait_stopped() == Shutdown("auto_shutdown")


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_an_end_for_good_takes_nobody_along(strategy: Strategy) -> None:
    supervisor = family([spec(restart_on=(Transient,)), spec("b")], strategy=strategy)
    async with running(supervisor):
        b = child(supervisor, "b")
        child(supervisor, "a").tell(Poison())
        await wait_idle()
        assert statuses(supervisor) == {"a": "stopped", "b": "running"}
        assert await incarnation(b) == 1


@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize("restart_on", [(), (Transient,), (Exception,)])
@pytest.mark.parametrize("escalate_on", [(), (Poison,), (Exception,)])
async def test_the_spec_alone_decides_what_an_exception_means(
    restart: Restart,
    restart_on: tuple[type[Exception], ...],
    escalate_on: tuple[type[Exception], ...],
) -> None:
    for error in (Transient(), Poison(), group(Transient(), Poison())):
        supervisor = family(
            [spec(restart=restart, restart_on=restart_on, escalate_on=escalate_on)]
        )
        async with running(supervisor) as top:
            ref = child(supervisor, "a")
            ref.tell(error)
            await wait_idle()
            if Exception in escalate_on or (
                Poison in escalate_on and not isinstance(error, Transient)
            ):
                assert not top.alive
            elif restart is not Restart.TEMPORARY and (
                Exception in restart_on
                or (Transient in restart_on and isinstance(error, Transient))
            ):
                assert await incarnation(ref) == 2
            else:
                assert not ref.alive
                assert top.alive


# -- nested ----------------------------------------------------------------


class Nest:
    """An inner supervisor in an outer one; a policy at each level."""

    def __init__(self, *, inner: dict[str, Any], outer: dict[str, Any]) -> None:
        self.inner = family([spec(**inner), spec("b")])
        self.outer = family([ChildSpec("inner", lambda: self.inner, **outer)])

    @property
    def ref(self) -> ActorRef[object]:
        return child(self.inner, "a")


@pytest.mark.parametrize("wrapped", [False, True])
async def test_each_level_deals_with_its_exceptions_and_leaves_the_rest_to_the_next(
    wrapped: bool,
) -> None:
    """Behaviour 142: support nesting exceptions with different strategies."""
    nest = Nest(
        inner={"restart_on": (Transient,), "escalate_on": (LookupError,)},
        outer={"restart_on": (IndexError,)},
    )

    def raised(error: Exception) -> Exception:
        return group(group(error)) if wrapped else error

    async with running(nest.outer):
        # Here: the actor comes back, and nobody else notices.
        nest.ref.tell(raised(Transient()))
        await wait_idle()
        assert await incarnation(nest.ref) == 2
        assert nest.inner.context.incarnation == 1
        # One above: both supervisor and siblings come back.
        before = child(nest.inner, "b")
        nest.ref.tell(raised(IndexError()))
        await wait_idle()
        assert not before.alive
        assert await incarnation(nest.ref) == 1
        assert nest.inner.context.incarnation == 2
        # Nowhere: what it brought down stays down.
        nest.ref.tell(raised(KeyError()))
        await wait_idle()
        assert statuses(nest.outer) == {"inner": "stopped"}
        (info,) = nest.outer.children()
        assert isinstance(info.reason, GaveUp)
        assert isinstance(info.reason.error, KeyError)


async def test_what_was_one_failure_too_many_is_judged_by_its_exception() -> None:
    """Behaviour 142: flattening exceptions with different strategies."""
    for error, status in ((Transient(), "running"), (Poison(), "stopped")):
        nest = Nest(
            inner={"intensity": Intensity(1, 5.0)}, outer={"restart_on": (Transient,)}
        )
        async with running(nest.outer):
            for _ in range(2):
                nest.ref.tell(error)
                await wait_idle()
            assert statuses(nest.outer) == {"inner": status}


async def test_what_is_escalated_need_not_be_worth_a_restart() -> None:
    for restart in Restart:
        nest = Nest(inner={"restart": restart, "escalate_on": (Poison,)}, outer={})
        async with running(nest.outer):
            monitor = nest.ref.monitor()
            # One leaf of many is enough.
            nest.ref.tell(group(Boom(), Poison()))
            assert isinstance((await monitor.wait()).reason, Crashed)
            await wait_idle()
            assert nest.inner.context.incarnation == 2
            assert await incarnation(nest.ref) == 1


async def test_what_is_escalated_by_all_ends_the_block() -> None:
    error = Poison()

    async def run() -> None:
        inner = family([spec(escalate_on=(Poison,))])
        async with ActorSystem() as system:
            await system.start_child(
                ChildSpec("inner", lambda: inner, escalate_on=(Poison,))
            )
            child(inner, "a").tell(error)
            await forever()

    with pytest.raises(SupervisionFailed) as failed:
        await run()
    assert failed.value.path == "/inner/a"
    assert failed.value.__cause__ is error


async def test_a_failure_that_is_news_to_somebody_is_not_escalated() -> None:
    supervisor = family([spec("b")])
    async with running(supervisor) as top:
        with pytest.raises(StartError):
            await supervisor.start_child(acting(fail, escalate_on=(Boom,)))
        # Nor is one on the way to its end.
        ref = await supervisor.start_child(acting(None, fail, escalate_on=(Boom,)))
        await supervisor.stop_child("a")
        assert isinstance(await ref.wait_stopped(), Crashed)
        await wait_idle()
        assert top.alive
