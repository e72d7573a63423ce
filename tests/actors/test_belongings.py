"""What an actor has besides its mailbox ends with the incarnation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenroom.actors import ActorNotAlive, Context, State

from .stage import Nanny, Puppet, Stage, fail, hang

pytestmark = pytest.mark.anyio


async def test_a_context_knows_where_its_actor_stands(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny(), path="/chat/room-7")
    cell.ref.tell(fail)
    context: Any = await cell.ref.ask(lambda puppet: puppet.context)
    assert context.__class__ is Context
    assert context.ref is cell.ref
    assert context.path == "/chat/room-7"
    assert context.mailbox is cell.mailbox
    assert context.runtime is stage.runtime
    assert context.incarnation == 2


async def test_a_context_outlives_its_incarnation_to_no_effect(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    other = await stage.spawn()
    stale: Any = await cell.ref.ask(lambda puppet: puppet.context)
    cell.ref.tell(fail)
    assert await cell.ref.ask("again") == "again"
    stale.stop()
    attempts: list[Callable[[], object]] = [
        lambda: stale.start_soon(hang),
        lambda: stale.send_after(1, "no"),
        lambda: stale.send_every(1, "no"),
        lambda: stale.bind_to(other.ref),
    ]
    for attempt in attempts:
        with pytest.raises(ActorNotAlive, match="Crashed"):
            attempt()
    await other.ref.stop()
    assert cell.state is State.RUNNING
    assert not stale.defer_reply().wanted
