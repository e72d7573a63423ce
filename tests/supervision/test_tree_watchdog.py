"""The thread that sees an event loop that does not turn; in real time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from greenroom import Actor, ActorNotAlive, ActorSystem, Tree
from greenroom.supervision._watchdog import Watchdog

pytestmark = pytest.mark.anyio

SECONDS = 0.02
LONG = 30.0


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run the test on asyncio, then on Trio, both in real time."""
    return request.param, {"debug": False} if request.param == "asyncio" else {}


class Heard(list[str]):
    """What was said, from another thread."""

    def __init__(self) -> None:
        self.first = threading.Event()
        self.second = threading.Event()

    def __call__(self, text: str) -> None:
        self.append(text)
        (self.second if self.first.is_set() else self.first).set()


class Computes(Actor[threading.Event]):
    """Keeps the event loop to itself."""

    def receive(self, message: threading.Event) -> bool:
        return compute(message)


def compute(until: threading.Event) -> bool:
    """Keep the thread until somebody else says that it is enough."""
    return until.wait(LONG)


def watchdogs() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "greenroom-watchdog"]


async def ended(thread: threading.Thread) -> None:
    """Wait until *thread* has come to its end."""
    await anyio.to_thread.run_sync(thread.join, LONG)
    assert not thread.is_alive()


async def said(event: threading.Event) -> None:
    """Wait for what happens in another thread; the loop turns meanwhile."""
    assert await anyio.to_thread.run_sync(event.wait, LONG)


async def test_who_keeps_the_loop_from_turning_is_said_with_its_stack() -> None:
    heard = Heard()
    async with ActorSystem() as system:
        system.watch_loop(SECONDS, to=heard)
        (thread,) = watchdogs()
        ref = await system.spawn(Computes(), name="computes")
        assert await ref.ask(heard.first, timeout=None) is True
        await said(heard.second)
    lines = heard[0].splitlines()
    assert lines[0] == "the event loop has not turned for 0.0 s, in /computes:"
    assert any("return compute(message)" in line for line in lines)
    assert any("└── computes   Computes" in line for line in lines)
    assert heard[1] == "the event loop turns again"
    await ended(thread)


async def test_the_task_of_an_actor_is_the_actor() -> None:
    heard = Heard()

    class Starts(Actor[object]):
        def receive(self, message: object) -> None:
            self.context.start_soon(self.work)

        async def work(self) -> None:
            compute(heard.first)

    async with ActorSystem() as system:
        system.watch_loop(SECONDS, to=heard)
        (await system.spawn(Starts(), name="starts")).tell("go")
        await said(heard.second)
    assert ", in /starts:" in heard[0]


async def test_an_actor_is_known_by_more_than_its_methods() -> None:
    heard = Heard()

    async def work(until: threading.Event) -> None:
        compute(until)

    class Odd(Actor[threading.Event]):
        def receive(self, message: threading.Event) -> object:
            return work(message)  # awaited when this has returned

    async with ActorSystem() as system:
        system.watch_loop(SECONDS, to=heard)
        (await system.spawn(Odd(), name="odd")).tell(heard.first)
        await said(heard.second)
    assert ", in /odd:" in heard[0]


async def test_code_outside_of_every_actor_has_a_stack_only() -> None:
    heard = Heard()
    async with ActorSystem() as system:
        system.watch_loop(SECONDS, to=heard)
        compute(heard.first)
        await said(heard.second)
    assert heard[0].startswith("the event loop has not turned for 0.0 s:\n  File")
    assert "compute(heard.first)" in heard[0]


async def test_by_default_it_is_logged_as_an_error() -> None:
    logged = threading.Event()
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            logged.set()

    log = logging.getLogger("greenroom.supervision")
    handler = Handler()
    log.addHandler(handler)
    try:
        async with ActorSystem() as system:
            system.watch_loop(SECONDS)
            compute(logged)
    finally:
        log.removeHandler(handler)
    assert "the event loop has not turned for" in records[0].getMessage()
    assert records[0].levelname == "ERROR"


async def test_a_loop_that_turns_is_not_spoken_of() -> None:
    heard = Heard()
    answers = 0

    def count(turned: Callable[[], Any]) -> None:
        nonlocal answers
        answers += 1
        turned()
        if answers == 3:
            enough.set()

    def post_and_count(turned: Callable[[], Any]) -> None:
        post(partial(count, turned))

    async with ActorSystem() as system:
        enough = anyio.Event()
        dog = Watchdog(system.runtime, LONG, system.tree, heard)
        post, dog.post = dog.post, post_and_count
        dog.stopped = Hurried()
        # That of a test before may still be on its way out.
        others = set(watchdogs())
        forget = dog.start()
        (thread,) = set(watchdogs()) - others
        await enough.wait()
        forget()
        forget()
        await ended(thread)
        assert thread not in watchdogs()
    assert heard == []


class Hurried(threading.Event):
    """Does not wait before it says that it is not set."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0)


async def test_what_it_cannot_say_does_not_end_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    heard = Heard()

    def fail(text: str) -> None:
        heard(text)
        raise OSError("the disk is full")

    async with ActorSystem() as system:
        system.watch_loop(SECONDS, to=fail)
        (thread,) = watchdogs()
        compute(heard.first)
        await said(heard.second)
    await ended(thread)
    assert capsys.readouterr().err.count("OSError: the disk is full") >= 2


async def test_a_tree_that_changes_meanwhile_is_read_again_and_then_left_out() -> None:
    async with ActorSystem() as system:
        tree = system.tree()
        looks = [False, True]

        def look() -> Tree:
            if not looks or not looks.pop(0):
                raise RuntimeError("dictionary changed size during iteration")
            return tree

        for text in ("_registry", "the tree changes too fast to be read"):
            heard = Heard()
            forget = Watchdog(system.runtime, SECONDS, look, heard).start()
            (thread,) = watchdogs()
            compute(heard.first)
            forget()
            await ended(thread)
            assert text in heard[0]


async def test_it_ends_when_there_is_no_loop_any_more() -> None:
    heard = Heard()

    def post(_: Callable[[], Any]) -> None:
        raise RuntimeError("Event loop is closed")

    async with ActorSystem() as system:
        dog = Watchdog(system.runtime, SECONDS, system.tree, heard)
        dog.post = post
        dog.start()
        for thread in watchdogs():
            await ended(thread)
    assert heard == []


async def test_it_asks_nothing_of_a_loop_that_has_just_ended() -> None:
    heard = Heard()
    asked: list[object] = []
    async with ActorSystem() as system:
        dog = Watchdog(system.runtime, SECONDS, system.tree, heard)
        dog.post = asked.append
        dog.stopped = StoppedMeanwhile()
        dog.start()
        for thread in watchdogs():
            await ended(thread)
    assert asked == []
    assert heard == []


class StoppedMeanwhile(threading.Event):
    """Is set between being waited for and being looked at."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return False


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), None, "1"])
async def test_it_watches_for_a_while_or_not_at_all(seconds: Any) -> None:
    async with ActorSystem() as system:
        with pytest.raises(ValueError, match="seconds must be finite seconds above 0"):
            system.watch_loop(seconds)
        with pytest.raises(ValueError, match="options must be TreeOptions"):
            system.watch_loop(1.0, options=seconds)
    with pytest.raises(ActorNotAlive):
        system.watch_loop(1.0)
