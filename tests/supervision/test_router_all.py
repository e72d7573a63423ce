"""Routers: messages for all."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    ActorCrashed,
    AskTimeout,
    MailboxFull,
    Restart,
    Router,
    Routing,
    SendTimeout,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    now,
    running,
)
from .pool import (
    Asked,
    Got,
    Routee,
    Who,
    fill,
    pool,
    routee,
    who_got,
)

pytestmark = pytest.mark.anyio


async def test_a_broadcast_goes_to_all() -> None:
    got: Got = []
    router = pool(got, Routing.BROADCAST)
    async with running(router):
        router.tell(1)
        assert router.try_tell(2)
        await router.send(3)
        await wait_idle()
        assert [who_got(got, each) for each in (1, 2, 3)] == ["abc"] * 3


async def test_a_broadcast_that_some_refuse_is_a_dead_letter_for_those() -> None:
    got: Got = []
    router = pool(got, Routing.BROADCAST, capacity=1)
    async with running(router):
        gate = await fill(router, "ac")
        letters = router.context.runtime.dead_letters
        router.tell("told")
        assert [
            (letter.recipient, letter.message, letter.why) for letter in letters.latest
        ] == [
            ("/top/a", "told", Undelivered.OVERFLOW),
            ("/top/c", "told", Undelivered.OVERFLOW),
        ]
        await wait_idle()
        assert who_got(got, "told") == "b"
        await fill_rest(router, "b")
        with pytest.raises(MailboxFull):
            router.tell("refused")
        assert not router.try_tell("refused")
        assert letters.total == 2
        gate.set()


async def fill_rest(router: Router[Any], names: str) -> None:
    for name in names:
        # It is never waited for: its stop cancels it.
        routee(router, name).tell(anyio.Event())
        await wait_idle()
        routee(router, name).tell("fills")


async def test_a_broadcast_waits_for_the_full_after_it_has_gone_to_the_others() -> None:
    got: Got = []
    router = pool(got, Routing.BROADCAST, capacity=1)
    async with running(router):
        gate = await fill(router, "ab")
        async with anyio.create_task_group() as group:
            group.start_soon(router.send, "sent")
            await wait_idle()
            assert who_got(got, "sent") == "c"
            gate.set()
        await wait_idle()
        assert who_got(got, "sent") == "abc"


async def test_a_broadcast_that_some_have_no_room_for_in_time() -> None:
    got: Got = []
    router = pool(got, Routing.BROADCAST, capacity=1)
    async with running(router):
        await fill(router, "ab")
        letters = router.context.runtime.dead_letters
        began = now()
        await router.send("sent", timeout=2)
        assert now() - began == pytest.approx(2)
        assert [letter.recipient for letter in letters.latest] == ["/top/a", "/top/b"]
        await wait_idle()
        assert who_got(got, "sent") == "c"
        await fill_rest(router, "c")
        with pytest.raises(SendTimeout):
            await router.send("late", timeout=1)
        assert letters.total == 2


async def test_a_broadcast_has_no_one_answer() -> None:
    router = pool([], Routing.BROADCAST)
    async with running(router) as ref:
        with pytest.raises(ValueError, match="use ask_all"):
            await router.ask("x")
        with pytest.raises(ValueError, match="use ask_all"):
            await ref.ask("x")
        assert await router.ask_all(Who()) == ("a", "b", "c")


@pytest.mark.parametrize("routing", Routing)
async def test_all_can_be_asked(routing: Routing) -> None:
    router = pool([], routing, capacity=1, restart=Restart.TRANSIENT)
    async with running(router):
        assert await router.ask_all("x") == ("a", "b", "c")
        with pytest.raises(ActorCrashed) as crashed:
            await router.ask_all(crash_if("b"))
        assert crashed.value.path == "/top/b"
        await wait_idle()
        gate = await fill(router, "c")
        with pytest.raises(MailboxFull):
            await router.ask_all("y")
        began = now()
        gate.set()
        await wait_idle()
        with pytest.raises(AskTimeout):
            await router.ask_all(anyio.Event(), timeout=1)
        assert now() - began == pytest.approx(1)


async def test_who_was_asked_with_one_that_fails_need_not_answer() -> None:
    got: Got = []
    router = pool(got, restart=Restart.TRANSIENT)
    async with running(router):
        gate = anyio.Event()
        routee(router, "c").tell(gate)
        with pytest.raises(ActorCrashed):
            await router.ask_all(crash_if("b"))
        gate.set()
        await wait_idle()
        (crashed, skipped) = router.context.runtime.dead_letters.latest
        assert (crashed.recipient, crashed.why) == ("/top/b", Undelivered.CRASHED)
        assert (skipped.recipient, skipped.why) == ("/top/c", Undelivered.EXPIRED)


def crash_if(name: str) -> Asked:
    async def step(routee: Routee) -> None:
        if routee.name == name:
            raise Boom

    return step
