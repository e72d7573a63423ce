"""It stops after the message in flight, with its hook; the first reason counts."""

from __future__ import annotations

import anyio
import pytest

from greenroom.actors import Crashed, Normal, Shutdown, State, Undelivered
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, fail, hang, takes

pytestmark = pytest.mark.anyio


async def test_it_stops_after_the_message_in_flight(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)

    async def handle(puppet: Puppet) -> None:
        await anyio.sleep(2)
        puppet.seen.append("handled")

    cell.ref.tell(handle)
    cell.ref.tell("never")
    await wait_idle()
    cell.ref.stop_nowait(Normal())
    assert cell.state is State.STOPPING
    assert not cell.ref.alive
    assert await cell.wait_stopped() == Normal()
    assert puppet.seen == ["handled"]
    assert puppet.reasons == [Normal()]
    assert stage.lost == [("never", Undelivered.STOPPED)]


async def test_an_actor_can_stop_itself(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(lambda puppet: puppet.context.stop())
    assert await cell.wait_stopped() == Normal()
    assert puppet.reasons == [Normal()]


async def test_the_first_reason_counts(stage: Stage) -> None:
    cell = await stage.spawn()
    cell.ref.stop_nowait(Shutdown(1))
    cell.ref.stop_nowait(Shutdown(2))
    assert await cell.wait_stopped() == Shutdown(1)
    cell.ref.stop_nowait(Shutdown(3))
    assert cell.reason == Shutdown(1)


@pytest.mark.parametrize("grace", [0.0, 1.0])
async def test_the_message_in_flight_has_only_its_grace(
    stage: Stage, grace: float
) -> None:
    puppet = Puppet(stop_grace=grace)
    cell = await stage.spawn(puppet)
    cell.ref.tell(hang)
    await wait_idle()
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(grace)
    assert puppet.reasons == [Shutdown()]
    assert stage.lost == [(hang, Undelivered.CANCELLED)]


@pytest.mark.parametrize("grace", [0.0, 1.0])
async def test_without_a_message_in_flight_grace_costs_nothing(
    stage: Stage, grace: float
) -> None:
    cell = await stage.spawn(Puppet(stop_grace=grace))
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() == began
    await anyio.sleep(2)


async def test_the_grace_is_not_for_the_hook(stage: Stage) -> None:
    puppet = Puppet(stop_grace=1, stopped=takes(3))
    cell = await stage.spawn(puppet)
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(3)


async def test_a_message_of_the_system_lane_has_its_grace_too(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stop_grace=1))
    cell.mailbox.put_system(hang)
    await wait_idle()
    began = stage.runtime.now()
    assert await cell.ref.stop() == Shutdown()
    assert stage.runtime.now() - began == pytest.approx(1)


async def test_a_hook_that_fails_is_the_reason(stage: Stage) -> None:
    cell = await stage.spawn(Puppet(stopped=fail))
    assert await cell.ref.stop() == Crashed(ERROR)


async def test_a_hook_that_fails_after_a_crash_is_not(stage: Stage) -> None:
    first = KeyError("first")

    def crash(_: Puppet) -> None:
        raise first

    cell = await stage.spawn(Puppet(stopped=fail))
    cell.ref.tell(crash)
    assert await cell.wait_stopped() == Crashed(first)


async def test_a_crash_while_stopping_is_the_reason(stage: Stage) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(handle)
    await wait_idle()
    assert await cell.ref.stop() == Crashed(ERROR)
    assert puppet.reasons == [Crashed(ERROR)]


async def test_one_that_crashes_as_it_stops_may_be_started_again(stage: Stage) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(handle)
    await wait_idle()
    assert await cell.ref.stop() == Crashed(ERROR)
    assert cell.incarnation == 2
    # Its mailbox had been closed, because a shutdown would have been the end.
    assert await cell.ref.ask("again") == "again"
