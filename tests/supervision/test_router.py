"""Routers: one address for several actors of a kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, cast

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    ActorRef,
    ActorSystem,
    AskCycle,
    AskTimeout,
    ChildSpec,
    Intensity,
    MailboxFull,
    MailboxOptions,
    Normal,
    Overflow,
    Request,
    Restart,
    Router,
    Routing,
    SendTimeout,
    Shutdown,
    Undelivered,
)
from greenroom.testing import wait_idle

from .kit import (
    MANY,
    Boom,
    Journal,
    decline,
    elapse,
    fails_again,
    family,
    lasting,
    now,
    patient,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


class Who(Request[str]):
    """Asks a routee for its name."""


Got = list[tuple[str, object]]
Asked = Callable[["Routee"], Awaitable[object]]


class Routee(Actor[Any]):
    """Writes down what it gets, and answers with its name.

    It fails with an exception, ends with a reason, waits for an event and calls a
    function with itself.
    """

    def __init__(self, name: str, got: list[tuple[str, object]]) -> None:
        self.name = name
        self.got = got

    async def receive(self, message: Any) -> object:
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, Normal):
            self.context.stop(message)
        elif isinstance(message, anyio.Event):
            await message.wait()
        elif callable(message):
            return await cast("Asked", message)(self)
        elif not isinstance(message, Who):
            self.got.append((self.name, message))
        return self.name


def pool(
    got: Got,
    routing: Routing = Routing.ROUND_ROBIN,
    *,
    number: int = 3,
    key: Callable[[Any], Hashable] | None = None,
    capacity: int = 1024,
    overflow: Overflow = Overflow.REJECT,
    restart: Restart = Restart.PERMANENT,
    **options: Any,
) -> Router[Any]:
    """A router to a, b and c, without backoff."""
    if routing is Routing.HASH and key is None:
        key = first
    settings: dict[str, Any] = {"intensity": MANY, "backoff": None, **options}
    return Router(
        [
            ChildSpec(
                name,
                partial(Routee, name, got),
                restart,
                mailbox=MailboxOptions(capacity=capacity, overflow=overflow),
            )
            for name in "abcdefgh"[:number]
        ],
        routing=routing,
        key=key,
        **settings,
    )


def first(message: object) -> str:
    """The key of a message: the first word of it."""
    return str(message).split()[0]


def routee(router: Router[Any], name: str) -> ActorRef[Any]:
    """The ref of a routee."""
    (ref,) = [ref for ref in router.routees if ref.name == name]
    return ref


async def fill(router: Router[Any], names: str) -> anyio.Event:
    """Make those routees busy and full; they go on when the event is set."""
    gate = anyio.Event()
    for name in names:
        routee(router, name).tell(gate)
    await wait_idle()
    for name in names:
        while routee(router, name).try_tell("fills"):
            pass
    return gate


def heard(got: Got) -> str:
    """Who got something, in order."""
    return "".join(name for name, _ in got)


def who_got(got: Got, message: object) -> str:
    """Who got that message, in alphabetical order."""
    return "".join(sorted(name for name, each in got if each == message))


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


# -- to all ----------------------------------------------------------------


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


def crash_if(name: str) -> Asked:
    async def step(routee: Routee) -> None:
        if routee.name == name:
            raise Boom

    return step


# -- ends ------------------------------------------------------------------


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
