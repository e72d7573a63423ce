"""Routers: who gets a message."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from greenroom import (
    ActorNotAlive,
    AskTimeout,
    ChildSpec,
    MailboxFull,
    Normal,
    Overflow,
    Restart,
    Router,
    Routing,
    SendTimeout,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    fails_again,
    now,
    patient,
    running,
    statuses,
    worker,
)
from .pool import (
    Got,
    Routee,
    fill,
    first,
    heard,
    pool,
    routee,
    who_got,
)

pytestmark = pytest.mark.anyio


# -- round robin -----------------------------------------------------------


async def test_routees_take_turns() -> None:
    got: Got = []
    router = pool(got)
    async with running(router):
        for number in range(7):
            router.tell(number)
            await wait_idle()
        assert heard(got) == "abcabca"
        assert [await router.ask("ask") for _ in range(3)] == ["b", "c", "a"]
        assert router.try_tell(7)
        await wait_idle()
        await router.send(8)
        await wait_idle()
        assert heard(got[-2:]) == "bc"


async def test_a_full_routee_is_passed_over() -> None:
    got: Got = []
    router = pool(got, capacity=1)
    async with running(router):
        gate = await fill(router, "b")
        for number in range(4):
            router.tell(number)
            await wait_idle()
        assert heard(got) == "acac"
        assert await router.ask("ask") == "a"
        await router.send("sent")
        await wait_idle()
        assert who_got(got, "sent") == "c"
        gate.set()


async def test_what_nobody_has_room_for_is_refused_or_waits() -> None:
    got: Got = []
    router = pool(got, capacity=1)
    async with running(router):
        gates = [await fill(router, name) for name in "abc"]
        with pytest.raises(MailboxFull) as full:
            router.tell("told")
        assert full.value.message == "told"
        assert not router.try_tell("tried")
        began = now()
        with pytest.raises(SendTimeout):
            await router.send("sent", timeout=2)
        with pytest.raises(AskTimeout):
            await router.ask("asked", timeout=3)
        assert now() - began == pytest.approx(5)
        assert router.context.runtime.dead_letters.total == 0
        async with anyio.create_task_group() as group:
            group.start_soon(router.send, "waits")
            await wait_idle()
            for gate in gates:
                gate.set()
        await wait_idle()
        assert len(who_got(got, "waits")) == 1
        for lost in ("told", "tried", "sent", "asked"):
            assert who_got(got, lost) == ""


async def test_a_full_mailbox_does_what_its_policy_says() -> None:
    got: Got = []
    router = pool(got, number=1, capacity=1, overflow=Overflow.DROP_OLD)
    async with running(router):
        gate = anyio.Event()
        router.tell(gate)
        await wait_idle()
        router.tell("old")
        router.tell("new")
        gate.set()
        await wait_idle()
        assert who_got(got, "new") == "a"
        assert router.context.runtime.dead_letters.counts == {Undelivered.OVERFLOW: 1}


async def test_a_routee_that_waits_for_its_restart_is_passed_over() -> None:
    router = Router(
        [
            worker("a", Journal(), on_start=fails_again()),
            worker("b", Journal()),
        ],
        **patient(),
    )
    async with running(router):
        router.routees[0].tell(Boom())
        await wait_idle()
        assert statuses(router) == {"a": "restarting", "b": "running"}
        for _ in range(4):
            router.tell("which?")
        a, b = router.routees
        assert (a.statistics().accepted, b.statistics().accepted) == (1, 4)


async def test_if_only_those_that_restart_are_there_it_waits_for_them() -> None:
    router = Router([worker("a", Journal(), on_start=fails_again())], **patient())
    async with running(router):
        router.tell(Boom())
        await wait_idle()
        assert statuses(router) == {"a": "restarting"}
        assert await router.ask("which?", timeout=20) == 3


# -- by hash ---------------------------------------------------------------


async def test_the_same_key_goes_to_the_same_routee() -> None:
    got: Got = []
    router = pool(got, Routing.HASH)
    async with running(router):
        for round_ in range(3):
            for key in range(30):
                router.tell(f"key-{key} {round_}")
        await wait_idle()
        owners: dict[str, set[str]] = {}
        for name, message in got:
            owners.setdefault(first(message), set()).add(name)
        assert {len(each) for each in owners.values()} == {1}
        assert set(heard(got)) == {"a", "b", "c"}
        assert await router.ask("key-1") in owners["key-1"]


async def test_keys_are_shared_evenly_and_only_those_of_the_dead_move() -> None:
    async def owners(router: Router[Any]) -> list[object]:
        return [await router.ask(str(key)) for key in range(600)]

    router = pool([], Routing.HASH, number=6, restart=Restart.TRANSIENT)
    async with running(router):
        before = await owners(router)
        assert all(60 < count < 140 for count in Counter(before).values())
        routee(router, "c").tell(Normal())
        await wait_idle()
        after = await owners(router)
        moved = [new for old, new in zip(before, after, strict=True) if old != new]
        assert len(moved) == before.count("c")
        # To all the others, and not to a neighbour alone.
        assert set(moved) == {"a", "b", "d", "e", "f"}
        assert "c" not in after


async def test_a_full_routee_keeps_its_keys() -> None:
    router = pool([], Routing.HASH, capacity=1)
    async with running(router):
        name = await router.ask("key")
        gate = await fill(router, str(name))
        with pytest.raises(MailboxFull):
            router.tell("key")
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                assert await router.ask("key") == name

            group.start_soon(ask)
            await wait_idle()
            gate.set()


async def test_a_key_without_a_stable_hash_is_the_sender_s_error() -> None:
    router = pool([], Routing.HASH, key=lambda message: frozenset({message}))
    async with running(router) as ref:
        for order in (router.tell, router.try_tell):
            with pytest.raises(TypeError, match="key must be a str"):
                order("x")
        with pytest.raises(TypeError):
            await router.ask("x")
        with pytest.raises(TypeError):
            await router.send("x")
        # Also of one who goes by way of the router's mailbox.
        with pytest.raises(TypeError):
            await ref.ask("x")
        assert ref.alive


def test_whatever_is_wrong_is_refused_by_name() -> None:
    make: Any = Router
    spec = ChildSpec("a", lambda: Routee("a", []))
    with pytest.raises(ValueError, match=r"^routees must be at least one ChildSpec"):
        make([])
    with pytest.raises(ValueError, match=r"^a child must be ChildSpec"):
        make([Routee])
    with pytest.raises(ValueError, match=r"^children must be of unique ids"):
        make([spec, spec])
    with pytest.raises(ValueError, match=r"^routing must be Routing"):
        make([spec], routing="hash")
    for options in (
        {"routing": Routing.HASH},
        {"routing": Routing.HASH, "key": "name"},
        {"key": first},
        {"routing": Routing.BROADCAST, "key": first},
    ):
        with pytest.raises(ValueError, match=r"^key must be a callable with Routing"):
            make([spec], **options)


async def test_a_router_that_was_never_started_has_no_routees() -> None:
    router = pool([])
    assert router.routees == ()
    with pytest.raises(ActorNotAlive, match=r"^supervisor is not alive"):
        router.tell("x")
