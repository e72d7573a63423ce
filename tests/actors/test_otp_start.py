"""How an actor starts and stops, as OTP's gen_server tests have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorNotAlive,
    ActorRef,
    ActorSystem,
    ChildDeclined,
    ChildExists,
    ChildSpec,
    Crashed,
    Decline,
    Down,
    ExitReason,
    NameTaken,
    Normal,
    Restart,
    Shutdown,
    StartError,
)
from greenroom.testing import wait_idle

from .stage import Puppet, Stage, takes

pytestmark = pytest.mark.anyio


class Boom(Exception):
    """What the actors here fail with."""


async def decline(_: object = None) -> None:
    raise Decline


async def fail(_: object = None) -> None:
    raise Boom


def spec(name: str, started: Callable[[Puppet], object] | None) -> ChildSpec[Any]:
    return ChildSpec(
        name, lambda: Puppet(started=started), Restart.TEMPORARY, start_timeout=2.0
    )


# -- 104: start --------------------------------------------------------------


async def anonymous(system: ActorSystem, hook: Any) -> ActorRef[Any]:
    return await system.spawn(Puppet(started=hook))


async def named(system: ActorSystem, hook: Any) -> ActorRef[Any]:
    return await system.spawn(Puppet(started=hook), name="server")


async def supervised(system: ActorSystem, hook: Any) -> ActorRef[Any]:
    return await system.start_child(spec("server", hook))


async def via(system: ActorSystem, hook: Any) -> ActorRef[Any]:
    async def spawn() -> ActorRef[Any]:
        return await anonymous(system, hook)

    return await system.registry.get_or_spawn("server", spawn)


Start = Callable[[ActorSystem, Any], Awaitable[ActorRef[Any]]]
WAYS = anonymous, named, supervised, via


@pytest.mark.parametrize("start", WAYS)
async def test_a_start_returns_when_the_actor_runs(start: Start) -> None:
    """Behaviour 104: start."""
    ready: list[str] = []

    async def hook(puppet: Puppet) -> None:
        await anyio.sleep(1)
        ready.append(puppet.context.path)

    async with ActorSystem() as system:
        ref = await start(system, hook)
        assert ready == [ref.path]
        assert await ref.ask("hello") == "hello"


@pytest.mark.parametrize("start", WAYS)
async def test_a_start_that_is_declined_or_fails_says_so_and_leaves_nothing(
    start: Start,
) -> None:
    """Behaviour 104: start."""
    async with ActorSystem() as system:
        before = system.children()
        with pytest.raises(ChildDeclined):
            await start(system, decline)
        with pytest.raises(StartError) as caught:
            await start(system, fail)
        assert isinstance(caught.value.__cause__, Boom)
        assert system.children() == before
        assert system.registry.whereis("server") is None


async def test_a_start_that_takes_too_long_fails() -> None:
    """Behaviour 104: start."""
    async with ActorSystem() as system:
        began = anyio.current_time()
        with pytest.raises(StartError) as caught:
            await system.start_child(spec("slow", takes(100)))
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert anyio.current_time() - began == pytest.approx(2)
        assert [info.id for info in system.children()] == ["_registry"]


async def test_a_second_start_under_a_taken_name_returns_the_holder() -> None:
    """Behaviour 104: start."""
    async with ActorSystem() as system:
        holder = await system.spawn(Puppet(), name="server")
        with pytest.raises(ChildExists) as child:
            await system.spawn(Puppet(), name="server")
        assert child.value.ref is holder

        await system.registry.register("server", holder)
        other = await system.spawn(Puppet())
        with pytest.raises(NameTaken) as taken:
            await system.registry.register("server", other)
        assert taken.value.holder is holder
        assert await via(system, fail) is holder


async def test_a_linked_start_shares_the_fate_of_the_one_it_started() -> None:
    """Behaviour 104: start."""
    async with ActorSystem() as system:
        started: list[ActorRef[Any]] = []

        async def link(puppet: Puppet) -> None:
            started.append(await system.spawn(Puppet()))
            puppet.context.bind_to(started[0])

        starter = await system.spawn(Puppet(started=link))
        await started[0].stop(Shutdown("done"))
        assert await starter.wait_stopped() == Shutdown("done")


async def test_a_monitored_start_is_told_of_the_end_once() -> None:
    """Behaviour 104: start."""
    async with ActorSystem() as system:
        started: list[ActorRef[Any]] = []

        async def watch(puppet: Puppet) -> None:
            started.append(await system.spawn(Puppet()))
            started[0].monitor()

        starter = Puppet(started=watch)
        await system.spawn(starter)
        await started[0].stop()
        await wait_idle()
        assert starter.seen == [Down(started[0], Shutdown())]


# -- 105: the name of one that did not start ---------------------------------


@pytest.mark.parametrize("hook", [fail, decline])
async def test_the_name_of_one_that_did_not_start_is_free_at_once(hook: Any) -> None:
    """Behaviour 105: otp_7669."""
    async with ActorSystem() as system:

        async def take_and(puppet: Puppet) -> None:
            await system.registry.register("server", puppet.context.ref)
            await hook()

        for _ in range(100):
            with pytest.raises((StartError, ChildDeclined)):
                await system.spawn(Puppet(started=take_and), name="server")
            # No ChildExists and no NameTaken, now or in the next round.
            assert system.registry.whereis("server") is None
            assert "server" not in [info.id for info in system.children()]
        ref = await system.spawn(Puppet(), name="server")
        await system.registry.register("server", ref)


# -- 106: stop ---------------------------------------------------------------


async def test_a_stop_returns_when_the_actor_has_ended(stage: Stage) -> None:
    """Behaviour 106: stop1."""
    puppet = Puppet(stopped=takes(3))
    cell = await stage.spawn(puppet)
    began = anyio.current_time()
    assert await cell.ref.stop() == Shutdown()

    assert anyio.current_time() - began == pytest.approx(3)
    assert puppet.reasons == [Shutdown()]
    assert not cell.ref.alive


async def test_a_stop_may_give_its_own_reason(stage: Stage) -> None:
    """Behaviour 106: stop2, stop3."""
    reason = Crashed(Boom())
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    monitor = cell.ref.monitor()

    assert await cell.ref.stop(reason) == reason
    assert puppet.reasons == [reason]
    assert await monitor.wait() == Down(cell.ref, reason)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
async def test_a_stop_with_an_invalid_timeout_stops_nothing(
    stage: Stage, timeout: float
) -> None:
    """Behaviour 106: stop4."""
    cell = await stage.spawn()
    with pytest.raises(ValueError, match="timeout must be at least 0"):
        await cell.ref.stop(timeout=timeout)

    assert await cell.ref.ask("still there?") == "still there?"


async def test_a_stop_that_times_out_goes_on(stage: Stage) -> None:
    """Behaviour 106: stop5."""
    cell = await stage.spawn(Puppet(stopped=takes(3)))
    with pytest.raises(TimeoutError):
        await cell.ref.stop(timeout=1)

    assert await cell.ref.wait_stopped() == Shutdown()


async def test_an_actor_can_be_stopped_by_name() -> None:
    """Behaviour 106: stop6."""
    async with ActorSystem() as system:
        ref = await system.spawn(Puppet())
        await system.registry.register("server", ref)
        assert await system.registry.via("server").stop(Normal()) == Normal()
        assert system.registry.whereis("server") is None


async def test_a_second_stop_finds_it_not_alive(stage: Stage) -> None:
    """Behaviour 106: stop7."""
    cell = await stage.spawn()
    assert await cell.ref.stop(Shutdown("first")) == Shutdown("first")
    assert await cell.ref.stop(Shutdown("second")) == Shutdown("first")

    assert not cell.ref.alive
    with pytest.raises(ActorNotAlive):
        cell.ref.tell("anybody?")


# -- 115: the stop hook ------------------------------------------------------


class Bare(Actor[object]):
    """An actor without a stop hook."""

    def receive(self, message: object) -> object:
        return message


async def test_an_actor_needs_no_stop_hook(stage: Stage) -> None:
    """Behaviour 115: undef_terminate1/2, undef_in_terminate."""
    for reason in (Normal(), Shutdown("why"), Crashed(Boom())):
        cell = await stage.spawn(Bare())
        assert await cell.ref.stop(reason) == reason


async def test_an_exception_in_the_stop_hook_is_the_reason_of_the_end(
    stage: Stage,
) -> None:
    """Behaviour 115: undef_terminate1/2, undef_in_terminate."""

    def fall(_: Puppet, __: ExitReason) -> None:
        raise Boom

    cell = await stage.spawn(Puppet(stopped=fall))
    reason = await cell.ref.stop(Shutdown())

    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, Boom)
    assert cell.report is not None
    assert cell.report.reason is reason
