"""A name stands for whoever holds it, as Elixir's Registry tests have it."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import (
    ActorNotAlive,
    Down,
    Entry,
    NamedRef,
    Registry,
    Shutdown,
    UnknownName,
)
from greenroom.testing import wait_idle

from .members import refs
from .stage import Nanny, Puppet, Stage

pytestmark = pytest.mark.anyio


async def test_a_name_is_usable_wherever_a_ref_is(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 131: via callbacks."""
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    lobby: NamedRef[Any] = registry.via("lobby")
    await registry.register("lobby", cell.ref)

    assert lobby.ref is cell.ref
    lobby.tell("told")
    assert lobby.try_tell("tried")
    await lobby.send("sent")
    assert await lobby.ask("asked") == "asked"
    assert await lobby.request("requested").wait() == "requested"
    assert puppet.seen == ["told", "tried", "sent", "asked", "requested"]
    assert lobby.alive
    monitor = lobby.monitor()
    assert await lobby.stop(Shutdown("done")) == Shutdown("done")
    assert await monitor.wait() == Down(cell.ref, Shutdown("done"))
    assert not lobby.alive
    assert repr(lobby) == "<NamedRef 'lobby'>"


async def test_a_name_is_looked_up_at_each_use(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 131: uses value provided in via."""
    one, two = await refs(stage, 2)
    lobby = registry.via("lobby")
    await registry.register("lobby", one, "first")
    assert (lobby.ref, registry.entry("lobby")) == (one, Entry(one, "first"))
    await one.stop()
    await registry.register("lobby", two, "second")

    assert (lobby.ref, registry.entry("lobby")) == (two, Entry(two, "second"))

    def path(puppet: Puppet) -> str:
        return puppet.context.path

    assert await lobby.ask(path) == two.path


async def test_a_name_stays_while_its_actor_restarts(
    stage: Stage, registry: Registry
) -> None:
    """Behaviour 131: via callbacks."""
    cell = await stage.spawn(Puppet, Nanny(later=True))
    await registry.register("lobby", cell.ref)
    lobby = registry.via("lobby")
    cell.ref.kill()
    await cell.ref.wait_stopped()
    lobby.tell("while it is down")
    assert lobby.alive
    cell.start()
    await wait_idle()

    assert isinstance(cell.actor, Puppet)
    assert cell.actor.seen == ["while it is down"]


async def test_a_name_that_nobody_holds_is_an_error_of_its_own(
    registry: Registry,
) -> None:
    """Behaviour 135: raises on unknown registry name."""
    nobody: NamedRef[str] = registry.via("nobody")
    with pytest.raises(UnknownName, match="nobody holds the name 'nobody'") as caught:
        nobody.tell("hello")
    assert (caught.value.name, caught.value.message) == ("nobody", "hello")
    for use in (nobody.send, nobody.ask):
        with pytest.raises(UnknownName):
            await use("hello")
    with pytest.raises(UnknownName):
        nobody.request("hello")
    with pytest.raises(UnknownName):
        await nobody.stop()
    with pytest.raises(UnknownName):
        nobody.monitor()
    with pytest.raises(UnknownName):
        _ = nobody.ref

    assert not nobody.try_tell("hello")
    assert not nobody.alive


async def test_a_registry_that_does_not_run_is_an_error_of_its_own(
    stage: Stage,
) -> None:
    """Behaviour 135: raises on unknown registry name."""
    (ref,) = await refs(stage, 1)
    registry = Registry()
    with pytest.raises(ActorNotAlive, match="registry is not alive"):
        await registry.register("lobby", ref)
    with pytest.raises(ActorNotAlive):
        await registry.publish(["room"], "hello")
    with pytest.raises(ActorNotAlive):
        registry.lock("lobby")

    cell = await stage.spawn(registry)
    await registry.register("lobby", ref)
    await cell.ref.stop()
    with pytest.raises(ActorNotAlive):
        await registry.register("hall", ref)
