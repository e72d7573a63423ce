"""What asks and tells do, as OTP's gen_server tests have it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    ActorSystem,
    AskCycle,
    AskTimeout,
    Reply,
    Undelivered,
)
from greenroom.testing import wait_idle

from .stage import Nanny, Puppet, Stage, takes

pytestmark = pytest.mark.anyio


class Boom(Exception):
    """What the actors here fail with."""


def fall(_: Puppet) -> None:
    raise Boom


# -- 108: call ---------------------------------------------------------------


async def test_a_call_returns_what_the_handler_returns(stage: Stage) -> None:
    """Behaviour 108: call."""
    cell = await stage.spawn()

    assert await cell.ref.ask("hello") == "hello"
    assert await cell.ref.ask(None) is None


async def test_a_reply_may_come_later_while_the_server_takes_other_messages(
    stage: Stage,
) -> None:
    """Behaviour 108: call."""
    replies: list[Reply] = []
    cell = await stage.spawn()

    def put_off(puppet: Puppet) -> None:
        replies.append(puppet.context.defer_reply())
        puppet.context.send_after(2, lambda _: replies[0].send("late"))

    answers: list[object] = []

    async def ask() -> None:
        answers.append(await cell.ref.ask(put_off))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_idle()
        assert await cell.ref.ask("meanwhile") == "meanwhile"
        assert answers == []

    assert answers == ["late"]


async def test_a_reply_may_come_from_another_actor(stage: Stage) -> None:
    """Behaviour 108: call."""
    server, helper = await stage.spawn(), await stage.spawn()

    def hand_over(puppet: Puppet) -> None:
        reply = puppet.context.defer_reply()
        helper.ref.tell(lambda _: reply.send("from elsewhere"))

    assert await server.ref.ask(hand_over) == "from elsewhere"


async def test_a_call_without_a_reply_in_time_fails(stage: Stage) -> None:
    """Behaviour 108: call."""
    cell = await stage.spawn()
    began = anyio.current_time()
    with pytest.raises(AskTimeout, match=r"no reply from .* within 2 s"):
        await cell.ref.ask(lambda puppet: puppet.context.defer_reply(), timeout=2)

    assert anyio.current_time() - began == pytest.approx(2)
    assert await cell.ref.ask("hello") == "hello"


class NoHandler(Actor[str]):
    """An actor that does not define `receive`."""


async def test_a_bad_handler_ends_the_server_and_fails_the_caller(
    stage: Stage,
) -> None:
    """Behaviour 108: call."""
    cell = await stage.spawn(NoHandler())
    with pytest.raises(ActorCrashed) as caught:
        await cell.ref.ask("hello")

    assert isinstance(caught.value.__cause__, NotImplementedError)
    assert not cell.ref.alive


# -- 110: cast, info, continue -----------------------------------------------


async def test_a_cast_may_go_on_stop_or_fail(stage: Stage) -> None:
    """Behaviour 110: cast, info, continue."""
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell("one")
    cell.ref.tell(lambda puppet: puppet.context.stop())
    cell.ref.tell("two")
    await cell.ref.wait_stopped()
    assert puppet.seen == ["one"]
    assert stage.lost == [("two", Undelivered.STOPPED)]

    failing = await stage.spawn()
    failing.ref.tell(fall)
    await failing.ref.wait_stopped()
    assert stage.lost[1:] == [(fall, Undelivered.CRASHED)]


async def test_a_timer_and_an_end_come_to_the_same_handler(stage: Stage) -> None:
    """Behaviour 110: cast, info, continue."""
    puppet, other = Puppet(), await stage.spawn()

    def prepare(puppet: Puppet) -> None:
        puppet.context.send_after(1, "tick")
        other.ref.monitor()

    cell = await stage.spawn(puppet)
    await cell.ref.ask(prepare)
    await anyio.sleep(2)
    await other.ref.stop()
    await wait_idle()

    assert puppet.seen[0] == "tick"
    assert getattr(puppet.seen[1], "ref", None) is other.ref


class Continues(Actor[str]):
    """Does the rest of its start, and of a message, before what waits."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def started(self) -> None:
        self.context.ref.tell("told as it started")
        await self.go_on("after the start")

    async def receive(self, message: str) -> None:
        self.seen.append(message)
        await self.go_on(f"after {message!r}")

    async def go_on(self, what: str) -> None:
        await anyio.sleep(1)
        self.seen.append(what)


async def test_what_continues_a_start_or_a_message_runs_before_what_waits(
    stage: Stage,
) -> None:
    """Behaviour 110: cast, info, continue."""
    actor = Continues()
    cell = stage.cell(actor)
    cell.ref.tell("told before")
    cell.start()
    await cell.wait_started()
    cell.ref.tell("told after")
    await cell.ref.ask("asked", timeout=10)

    # There is no other continue: a handler calls a method, `started` is one.
    assert actor.seen[0] == "after the start"
    told = ["told before", "told as it started", "told after", "asked"]
    assert actor.seen[1::2] == told
    assert actor.seen[2::2] == [f"after {each!r}" for each in told]


# -- 111: calling oneself ----------------------------------------------------


async def test_calling_oneself_is_refused_at_once(stage: Stage) -> None:
    """Behaviour 111: calling_self."""
    cell = await stage.spawn()

    async def call_self(puppet: Puppet) -> object:
        with pytest.raises(AskCycle) as caught:
            await puppet.context.ref.ask("me")
        return caught.value.cycle

    began = anyio.current_time()
    assert await cell.ref.ask(call_self) == (cell.path, cell.path)
    assert anyio.current_time() == began


# -- 112: a backlog of the caller's ------------------------------------------


@contextmanager
def counting(steps: list[int]) -> Generator[None]:
    """Count the functions of ours that are called, generators resumed included."""
    count = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        if event == "call" and "actors" in frame.f_code.co_filename:
            count += 1

    gc.disable()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        gc.enable()
    steps.append(count)


async def test_an_ask_costs_the_same_whatever_waits_for_the_caller(
    stage: Stage,
) -> None:
    """Behaviour 112: call_with_huge_message_queue."""
    server = await stage.spawn()
    steps: list[int] = []

    async def call(_: Puppet) -> None:
        with counting(steps):
            assert await server.ref.ask("hello", timeout=None) == "hello"

    for backlog in (0, 500_000):
        caller = await stage.spawn(Puppet(), capacity=1_000_000)
        caller.ref.tell(call)
        for _ in range(backlog):
            caller.ref.tell("in the way")
        await wait_idle()
        assert caller.ref.statistics().handled == 1 + backlog

    assert steps[0] > 0
    assert steps[1] == steps[0]


# -- 113, 114: crashes and late replies --------------------------------------


async def test_who_waits_in_line_at_a_crash_is_told_at_once(stage: Stage) -> None:
    """Behaviour 113: queued callers of a crashing server."""
    cell = await stage.spawn()
    began, go = anyio.current_time(), anyio.Event()
    outcomes: list[BaseException | None] = []

    async def crash_later(_: Puppet) -> None:
        await go.wait()
        raise Boom

    async def ask(message: Callable[[Puppet], object] | str) -> None:
        with pytest.raises(ActorCrashed) as caught:
            await cell.ref.ask(message)
        outcomes.append(caught.value.__cause__)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, crash_later)
        await wait_idle()
        for _ in range(10):
            tasks.start_soon(ask, "queued")
        await wait_idle()
        go.set()

    assert anyio.current_time() == began
    assert [type(each) for each in outcomes] == [Boom] * 11


async def test_who_waits_in_line_at_a_crash_before_a_restart_is_answered(
    stage: Stage,
) -> None:
    """Behaviour 113: queued callers of a crashing server."""
    cell = await stage.spawn(Puppet, Nanny())
    cell.ref.tell(fall)

    # Not as in OTP: the mailbox outlives the crash.
    assert await cell.ref.ask("queued") == "queued"
    assert cell.incarnation == 2


async def test_a_late_reply_is_never_seen_by_the_caller(stage: Stage) -> None:
    """Behaviour 114: late reply."""
    replies: list[Reply] = []
    server, puppet = await stage.spawn(), Puppet()
    caller = await stage.spawn(puppet)

    async def call(_: Puppet) -> object:
        with pytest.raises(AskTimeout):
            await server.ref.ask(
                lambda server: replies.append(server.context.defer_reply()), timeout=1
            )
        replies[0].send("late")
        return await server.ref.ask("the next one")

    assert await caller.ref.ask(call) == "the next one"
    await wait_idle()
    assert puppet.seen == []


# -- 116: looking in ---------------------------------------------------------


async def test_the_state_can_be_read_while_the_actor_waits_for_messages(
    stage: Stage,
) -> None:
    """Behaviour 116: get_state, replace_state."""
    cell = await stage.spawn()
    cell.ref.tell("one")
    await wait_idle()
    cell.ref.suspend()
    cell.ref.tell("two")
    await wait_idle()

    def seen(puppet: Puppet) -> list[object]:
        return list(puppet.seen)

    assert await cell.ref.inspect(seen) == ["one"]
    cell.ref.resume()
    await wait_idle()
    assert await cell.ref.inspect(seen) == ["one", "two"]


async def test_a_replacement_that_fails_changes_nothing(stage: Stage) -> None:
    """Behaviour 116: get_state, replace_state."""
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell("one")
    await wait_idle()

    def replace(puppet: Puppet) -> None:
        puppet.seen = ["replaced"]

    def replace_badly(puppet: Puppet) -> None:
        puppet.seen = [*puppet.seen, 1 // 0]

    await cell.ref.inspect(replace)
    assert puppet.seen == ["replaced"]
    with pytest.raises(ZeroDivisionError):
        await cell.ref.inspect(replace_badly)
    assert puppet.seen == ["replaced"]
    assert await cell.ref.ask("hello") == "hello"


# -- 118: hibernate ----------------------------------------------------------


async def test_an_idle_actor_holds_no_buffer(stage: Stage) -> None:
    """Behaviour 118: hibernate, auto_hibernate."""
    idle, other = await stage.spawn(), await stage.spawn()
    for _ in range(100):
        idle.ref.tell("hello")
    busy = idle.mailbox.queue
    assert len(busy) == 100
    await wait_idle()
    await other.ref.ask("hello")

    # All that are idle share one queue, in which nothing ever is.
    assert idle.mailbox.queue is not busy
    assert idle.mailbox.queue is other.mailbox.queue
    assert idle.mailbox.queue.maxlen == 0
    assert await idle.ref.ask("awake?") == "awake?"


# -- by name -----------------------------------------------------------------


async def test_a_call_to_one_that_has_ended_fails_at_once() -> None:
    """Behaviour 108: call."""
    async with ActorSystem() as system:
        ref = await system.spawn(Puppet())
        await ref.stop()
        began = anyio.current_time()
        with pytest.raises(ActorNotAlive):
            await ref.ask("hello")
        assert anyio.current_time() == began


async def test_a_call_to_a_busy_server_waits_for_its_turn(stage: Stage) -> None:
    """Behaviour 108: call."""
    cell = await stage.spawn()
    cell.ref.tell(takes(3))
    began = anyio.current_time()

    assert await cell.ref.ask("hello") == "hello"
    assert anyio.current_time() - began == pytest.approx(3)
