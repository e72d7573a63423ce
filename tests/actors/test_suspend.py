"""Suspended, an actor takes only what is in its system lane; and can be looked at."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    ActorRef,
    AskCycle,
    AskTimeout,
    Down,
    Shutdown,
)
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Puppet, Stage, takes

pytestmark = pytest.mark.anyio


async def test_suspended_it_takes_no_messages_until_it_is_resumed(stage: Stage) -> None:
    puppet = Puppet()
    ref = (await stage.spawn(puppet)).ref
    ref.suspend()
    ref.tell(1)
    await wait_idle()
    assert (puppet.seen, ref.statistics().pending) == ([], 1)
    ref.resume()
    await wait_idle()
    assert puppet.seen == [1]


async def test_the_message_in_flight_comes_to_its_end(stage: Stage) -> None:
    puppet = Puppet()
    ref = (await stage.spawn(puppet)).ref
    ref.tell(takes(2))
    ref.tell(1)
    await wait_idle()
    ref.suspend()
    await anyio.sleep(3)
    assert ref.statistics().handled == 1
    assert puppet.seen == []


async def test_suspended_it_hears_of_ends_and_stops(stage: Stage) -> None:
    puppet, other = Puppet(), await stage.spawn()
    cell = await stage.spawn(puppet)
    await cell.ref.ask(lambda _: other.ref.monitor())
    cell.ref.suspend()
    cell.ref.suspend()
    cell.ref.tell("waits")
    await other.ref.stop()
    await wait_idle()
    assert puppet.seen == [Down(other.ref, Shutdown())]
    assert await cell.ref.stop() == Shutdown()


async def test_it_stays_suspended_over_a_restart(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.suspend()
    cell.ref.tell(1)
    cell.ref.kill()
    await cell.ref.wait_stopped()
    await wait_idle()
    assert cell.incarnation == 2
    assert cell.ref.statistics().pending == 1
    cell.ref.resume()
    await wait_idle()
    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == [1]


async def test_resumed_before_it_noticed_nothing_has_happened(stage: Stage) -> None:
    puppet = Puppet()
    ref = (await stage.spawn(puppet)).ref
    ref.suspend()
    ref.resume()
    assert await ref.ask(1) == 1


async def test_state_can_be_read_while_messages_wait(stage: Stage) -> None:
    """Behaviour 116: get_state, replace_state."""
    puppet = Puppet()
    ref = (await stage.spawn(puppet)).ref
    assert await ref.inspect(seen) == []
    ref.suspend()
    ref.tell(1)
    assert await ref.inspect(seen) == []
    await ref.inspect(replace)
    ref.resume()
    await wait_idle()
    assert puppet.seen == ["replaced", 1]


async def test_a_failing_replacement_changes_nothing(stage: Stage) -> None:
    """Behaviour 116: get_state, replace_state."""
    cell = await stage.spawn(Puppet())

    def fail(_: Any) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cell.ref.inspect(fail)
    assert await cell.ref.ask(1) == 1
    assert await cell.ref.inspect(seen) == [1]
    assert cell.incarnation == 1


def seen(puppet: Puppet) -> list[object]:
    return list(puppet.seen)


def replace(puppet: Puppet) -> None:
    puppet.seen = ["replaced"]


async def test_a_look_waits_for_the_message_in_flight_and_its_patience_ends(
    stage: Stage,
) -> None:
    ref = (await stage.spawn()).ref
    ref.tell(takes(3))
    await wait_idle()
    with pytest.raises(AskTimeout):
        await ref.inspect(seen, timeout=1)
    looked: list[Any] = []
    await ref.inspect(looked.append)
    assert len(looked) == 1


async def test_a_look_at_what_has_ended_fails_at_once(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.stop()
    with pytest.raises(ActorNotAlive):
        await cell.ref.inspect(seen)


@pytest.mark.parametrize("crashes", [True, False])
async def test_a_look_fails_with_what_it_looked_at(stage: Stage, crashes: bool) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    errors: list[Exception] = []

    async def fail(_: object) -> None:
        await anyio.sleep(1)
        raise ValueError

    async def look() -> None:
        with pytest.raises((ActorCrashed, ActorNotAlive)) as caught:
            await cell.ref.inspect(seen)
        errors.append(caught.value)

    cell.ref.tell(fail if crashes else takes(1))
    await wait_idle()
    stage.runtime.start_task(look)
    await wait_idle()
    if not crashes:
        cell.ref.kill()
    await anyio.sleep(2)
    assert [type(error) for error in errors] == [
        ActorCrashed if crashes else ActorNotAlive
    ]


async def test_a_look_at_one_that_is_down_ends_with_it(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    cell.ref.kill()
    await cell.ref.wait_stopped()
    errors: list[Exception] = []

    async def look() -> None:
        with pytest.raises(ActorNotAlive) as caught:
            await cell.ref.inspect(seen)
        errors.append(caught.value)

    stage.runtime.start_task(look)
    await wait_idle()
    assert errors == []
    cell.end(Shutdown())
    await wait_idle()
    assert len(errors) == 1


async def test_looking_at_oneself_or_at_who_waits_for_one_is_a_cycle(
    stage: Stage,
) -> None:
    class Onlooker(Actor[ActorRef[Any]]):
        async def receive(self, message: ActorRef[Any]) -> None:
            await message.inspect(seen)

    cell = await stage.spawn(Onlooker())
    with pytest.raises(ActorCrashed) as caught:
        await cell.ref.ask(cell.ref)
    assert isinstance(caught.value.__cause__, AskCycle)


async def test_an_actor_may_look_at_another(stage: Stage) -> None:
    other = await stage.spawn()

    class Onlooker(Actor[ActorRef[Any]]):
        async def receive(self, message: ActorRef[Any]) -> object:
            return await message.inspect(seen)

    cell = await stage.spawn(Onlooker())
    assert await other.ref.ask(1) == 1
    assert await cell.ref.ask(other.ref) == [1]
