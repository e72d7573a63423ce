"""Routers: routees that end, and what comes by way of the router's own ref."""

from __future__ import annotations

import anyio
import pytest

from greenroom import (
    ActorCrashed,
    ActorNotAlive,
    ActorSystem,
    AskCycle,
    AskTimeout,
    ChildSpec,
    Intensity,
    MailboxFull,
    Normal,
    Restart,
    Router,
    Routing,
    SendTimeout,
    Shutdown,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    decline,
    elapse,
    family,
    lasting,
    now,
    running,
    worker,
)
from .pool import (
    Got,
    Routee,
    Who,
    fill,
    heard,
    pool,
    routee,
    who_got,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("routing", Routing)
async def test_it_keeps_routing_to_the_rest_of_the_routees_if_some_stop(
    routing: Routing,
) -> None:
    """Behaviour 159: keep routing to the rest of the children if some stop."""
    got: Got = []
    router = pool(got, routing, restart=Restart.TEMPORARY)
    async with running(router) as top:
        routee(router, "a").tell(Boom())
        routee(router, "c").tell(Normal())
        await wait_idle()
        assert [ref.name for ref in router.routees] == ["b"]
        for number in range(10):
            router.tell(number)
            await router.send(number)
        await wait_idle()
        assert heard(got) == "b" * 20
        if routing is not Routing.BROADCAST:
            assert await router.ask("x") == "b"
        assert top.alive


@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.TRANSIENT])
@pytest.mark.parametrize("routing", Routing)
async def test_it_stops_if_all_routees_stop(routing: Routing, restart: Restart) -> None:
    """Behaviour 159: stops if all children stop."""
    router = pool([], routing, restart=restart)
    async with running(router) as top:
        for ref in router.routees:
            assert top.alive
            await ref.stop(Normal())
        assert await top.wait_stopped() == Shutdown("no routee is left")
        assert router.routees == ()
        with pytest.raises(ActorNotAlive, match=r"^/top is not alive: no routee"):
            router.tell("x")
        assert not router.try_tell("x")
        for order in (router.send, router.ask, router.ask_all):
            with pytest.raises((ActorNotAlive, ValueError)):
                await order("x")


async def test_it_does_not_stop_over_those_that_are_still_to_start() -> None:
    router = Router(
        [
            worker("a", Journal(), on_start=decline),
            worker("b", Journal()),
            worker("c", Journal(), on_start=decline),
        ]
    )
    async with running(router) as top:
        await wait_idle()
        assert top.alive
        assert [ref.name for ref in router.routees] == ["b"]
    router = Router([worker("a", Journal(), on_start=decline)])
    async with running(router) as top:
        assert await top.wait_stopped() == Shutdown("no routee is left")


async def test_a_router_gives_up_over_too_many_failures_and_comes_back() -> None:
    router = pool([], intensity=Intensity(1, 5.0))
    async with running(family([ChildSpec("pool", lambda: router)])):
        for _ in range(2):
            router.tell(Boom())
            await wait_idle()
        assert router.context.incarnation == 2
        assert [await router.ask("x") for _ in range(3)] == ["a", "b", "c"]


async def test_what_waits_for_a_routee_at_its_end_is_a_dead_letter() -> None:
    router = pool([], number=2, restart=Restart.TEMPORARY)
    async with running(router):
        letters = router.context.runtime.dead_letters
        routee(router, "a").tell(Normal())
        router.tell("to a")
        await wait_idle()
        assert [(each.message, each.recipient) for each in letters.latest] == [
            ("to a", "/top/a")
        ]


async def test_a_send_goes_to_another_if_the_routee_ends_meanwhile() -> None:
    got: Got = []
    router = pool(got, number=2, capacity=1, restart=Restart.TEMPORARY)
    async with running(router):
        gate = await fill(router, "ab")
        async with anyio.create_task_group() as group:
            group.start_soon(router.send, "sent")
            await wait_idle()
            routee(router, "a").kill()
            await wait_idle()
            gate.set()
        await wait_idle()
        assert who_got(got, "sent") == "b"


async def test_the_time_of_a_send_does_not_begin_anew_with_another_routee() -> None:
    router = pool([], number=2, capacity=1, restart=Restart.TEMPORARY)
    async with running(router), anyio.create_task_group() as group:
        await fill(router, "ab")
        began = now()

        async def send() -> None:
            with pytest.raises(SendTimeout):
                await router.send("sent", timeout=3)
            assert now() - began == pytest.approx(3)

        group.start_soon(send)
        await elapse(2)
        routee(router, "a").kill()


async def test_an_ask_fails_with_its_routee_and_is_not_tried_elsewhere() -> None:
    got: Got = []
    router = pool(got, number=2, restart=Restart.TEMPORARY)
    async with running(router):
        with pytest.raises(ActorCrashed) as crashed:
            await router.ask(Boom())
        assert crashed.value.path == "/top/a"
        assert [ref.name for ref in router.routees] == ["b"]
        assert got == []


# -- who waits for whom ----------------------------------------------------


async def test_a_routee_that_asks_itself_through_the_router_is_told_so() -> None:
    router = pool([], number=1)

    async def ask(_: Routee) -> object:
        try:
            return await router.ask("me?")
        except AskCycle as error:
            return error.cycle

    async with running(router):
        assert await router.ask(ask) == ("/top/a", "/top/a")


async def test_a_routee_that_is_full_is_not_told_its_own_broadcast() -> None:
    got: Got = []
    router = pool(got, Routing.BROADCAST, number=2, capacity=1)

    gate = anyio.Event()

    async def shout(_: Routee) -> None:
        await gate.wait()
        await router.send("hello")

    async with running(router):
        routee(router, "a").tell(shout)
        await wait_idle()
        routee(router, "a").tell("fills")
        gate.set()
        await wait_idle()
        (letter,) = router.context.runtime.dead_letters.latest
        assert (letter.recipient, letter.message) == ("/top/a", "hello")
        assert isinstance(letter.error, AskCycle)
        assert who_got(got, "hello") == "b"


# -- by way of its own ref -------------------------------------------------


@pytest.mark.parametrize(
    ("routing", "expected"),
    [(Routing.ROUND_ROBIN, "a"), (Routing.BROADCAST, "abc")],
)
async def test_what_is_told_to_its_ref_is_passed_on(
    routing: Routing, expected: str
) -> None:
    got: Got = []
    router = pool(got, routing)
    async with running(router) as ref:
        ref.tell("told")
        await wait_idle()
        assert who_got(got, "told") == expected
        # As any actor's: it is found by name, and gets what is published.
        async with ActorSystem() as system:
            other = await system.spawn(pool(got, routing), name="other")
            await system.registry.join("all", other)
            await system.registry.publish(["all"], "published")
            await wait_idle()
            assert who_got(got, "published") == expected
        seen = ref.statistics()
        assert (seen.accepted, seen.handled) == (1, 1)


async def test_what_is_asked_of_its_ref_is_answered_by_a_routee() -> None:
    got: Got = []
    router = pool(got)
    async with running(router) as ref:
        assert [await ref.ask(Who()) for _ in range(4)] == ["a", "b", "c", "a"]
        # The router waits for nobody.
        async with anyio.create_task_group() as group:

            async def slow() -> None:
                assert await ref.ask(gate) == "b"

            gate = anyio.Event()
            group.start_soon(slow)
            await wait_idle()
            assert [await ref.ask(Who()) for _ in range(2)] == ["c", "a"]
            gate.set()
        with pytest.raises(ActorCrashed) as crashed:
            await ref.ask(Boom())
        assert crashed.value.path.startswith("/top/")


async def test_an_ask_of_its_ref_that_nobody_waits_for_is_skipped() -> None:
    got: Got = []
    router = pool(got, number=1)
    async with running(router) as ref:
        gate = anyio.Event()
        router.tell(gate)
        with pytest.raises(AskTimeout):
            await ref.ask("late", timeout=1)
        gate.set()
        await wait_idle()
        assert got == []
        (letter,) = router.context.runtime.dead_letters.latest
        assert (letter.message, letter.recipient) == ("late", "/top/a")
        assert letter.why is Undelivered.EXPIRED


async def test_what_no_routee_takes_of_what_came_to_its_ref_is_not_lost() -> None:
    router = pool([], number=1, capacity=1)
    async with running(router) as ref:
        gate = await fill(router, "a")
        ref.tell("told")
        with pytest.raises(MailboxFull) as full:
            await ref.ask("asked")
        assert (full.value.path, full.value.message) == ("/top/a", "asked")
        letters = router.context.runtime.dead_letters.latest
        assert [(each.message, each.recipient, each.why) for each in letters] == [
            ("told", "/top", Undelivered.OVERFLOW),
            ("asked", "/top", Undelivered.OVERFLOW),
        ]
        gate.set()


async def test_what_comes_to_its_ref_when_the_last_routee_stops_is_not_lost() -> None:
    spec = worker("a", Journal(), Restart.TEMPORARY, on_stop=lasting(1))
    router = Router([spec])
    async with running(router) as ref:
        router.routees[0].stop_nowait()
        await wait_idle()
        assert router.routees == ()
        ref.tell("told")
        with pytest.raises(ActorNotAlive, match="no routee is left"):
            await ref.ask("asked")
        letters = router.context.runtime.dead_letters.latest
        assert [(each.message, each.why) for each in letters] == [
            ("told", Undelivered.NO_RECIPIENT),
            ("asked", Undelivered.NO_RECIPIENT),
        ]
        assert await ref.wait_stopped() == Shutdown("no routee is left")
