"""Members of a registry, and what is told to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from greenroom import ActorRef, MailboxOptions, Registry
from greenroom.actors import Cell, Mailbox
from greenroom.actors._parking import running_parker
from greenroom.testing import wait_idle

from .kit import Owner
from .stage import Puppet, Stage


async def members_of(stage: Stage, count: int, **options: Any) -> list[Cell[Any]]:
    return [await stage.spawn(**options) for _ in range(count)]


async def group_a(
    stage: Stage, registry: Registry, count: int, **options: Any
) -> list[Cell[Any]]:
    """Members of the group a."""
    cells = await members_of(stage, count, **options)
    for cell in cells:
        await registry.join("a", cell.ref)
    return cells


async def refs(stage: Stage, count: int) -> list[ActorRef[Any]]:
    return [cell.ref for cell in await members_of(stage, count)]


async def hold(cell: Cell[Any]) -> anyio.Event:
    """Keep the actor busy until the event is set."""
    go = anyio.Event()
    begun = anyio.Event()

    async def wait(_: Puppet) -> None:
        begun.set()
        await go.wait()

    cell.ref.tell(wait)
    await begun.wait()
    return go


def outbox(**options: Any) -> tuple[Mailbox[Any], Owner]:
    """A mailbox that is not an actor's own, like that of a writer."""
    owner = Owner()
    return Mailbox(MailboxOptions(**options), owner, running_parker()), owner


@asynccontextmanager
async def delivering(
    registry: Registry, mailbox: Mailbox[Any], message: object
) -> AsyncGenerator[list[bool]]:
    """Deliver beside the block, which begins while that waits for room.

    After the block, which waits for it: what it returned.
    """
    results: list[bool] = []

    async def deliver() -> None:
        results.append(await registry.deliver(mailbox, message))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deliver)
        await wait_idle()
        assert results == []
        yield results
