"""Messages handled beside the others, and results piped to oneself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    Crashed,
    Killed,
    Shutdown,
    Undelivered,
)
from greenroom.actors._beside import Beside
from greenroom.testing._clock import wait_idle

from .stage import Nanny, Stage, asyncio_only

pytestmark = pytest.mark.anyio


class Fetcher(Actor[Any]):
    """Takes three seconds over each message, two at a time."""

    def __init__(self, limit: int = 2) -> None:
        self.limit = limit
        self.running = 0
        self.most = 0
        self.done: list[object] = []

    async def receive(self, message: Any) -> object:
        if callable(message):
            return message(self)
        await self.context.concurrently(self.limit, self.fetch, message)
        return "nobody sees this"

    async def fetch(self, message: Any) -> object:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await anyio.sleep(3)
            if message == "crash":
                raise ValueError(message)
        finally:
            self.running -= 1
        self.done.append(message)
        return message


async def test_so_many_are_handled_at_once_and_no_more(stage: Stage) -> None:
    fetcher = Fetcher()
    cell = await stage.spawn(fetcher)
    for number in range(5):
        cell.ref.tell(number)
    await wait_idle()
    assert fetcher.running == 2
    seen = cell.ref.statistics()
    assert (seen.accepted, seen.handled, seen.pending) == (5, 0, 5)
    await anyio.sleep(8.5)
    assert cell.ref.statistics().pending == 1
    await anyio.sleep(1)
    assert cell.ref.statistics().pending == 0
    assert fetcher.most == 2
    assert sorted(fetcher.done, key=str) == [0, 1, 2, 3, 4]


async def test_the_answer_is_what_the_function_returns(stage: Stage) -> None:
    cell = await stage.spawn(Fetcher())
    assert await cell.ref.ask("page") == "page"


async def test_each_function_has_a_limit_of_its_own(stage: Stage) -> None:
    class Two(Actor[str]):
        def __init__(self) -> None:
            self.began: list[str] = []

        async def receive(self, message: str) -> None:
            await self.context.concurrently(
                1, self.a if message[0] == "a" else self.b, message
            )

        async def a(self, message: str) -> None:
            self.began.append(message)
            await anyio.sleep(2 if message == "a1" else 5)

        async def b(self, message: str) -> None:
            self.began.append(message)
            await anyio.sleep(1)

    two = Two()
    cell = await stage.spawn(two)
    for message in ("a1", "b1", "a2"):
        cell.ref.tell(message)
    await wait_idle()
    assert sorted(two.began) == ["a1", "b1"]
    # The end of b1 is not what a2 waits for.
    await anyio.sleep(1.5)
    assert sorted(two.began) == ["a1", "b1"]
    await anyio.sleep(1)
    assert two.began[2:] == ["a2"]


async def test_a_crash_takes_the_others_along_and_loses_none_in_silence(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Fetcher, Nanny())
    errors: list[Exception] = []

    async def ask() -> None:
        with pytest.raises(ActorCrashed) as caught:
            await cell.ref.ask("crash")
        errors.append(caught.value)

    stage.runtime.start_task(ask)
    await anyio.sleep(1)
    cell.ref.tell("bystander")
    cell.ref.tell("waiting")
    await anyio.sleep(2.5)
    assert isinstance(errors[0].__cause__, ValueError)
    assert stage.lost[0] == ("crash", Undelivered.CRASHED)
    assert sorted(stage.lost[1:], key=str) == [
        ("bystander", Undelivered.CANCELLED),
        ("waiting", Undelivered.CANCELLED),
    ]
    assert cell.incarnation == 2
    assert cell.ref.statistics().pending == 0


async def test_a_stop_waits_for_what_is_being_handled(stage: Stage) -> None:
    fetcher = Fetcher()
    cell = await stage.spawn(fetcher)
    cell.ref.tell("page")
    await wait_idle()
    assert await cell.ref.stop() == Shutdown()
    assert fetcher.done == ["page"]
    assert stage.lost == []
    assert cell.ref.statistics().handled == 1


async def test_beyond_its_grace_a_stop_waits_no_longer(stage: Stage) -> None:
    class Impatient(Fetcher):
        stop_grace = 1.0

    cell = await stage.spawn(Impatient())
    failed: list[Exception] = []

    async def ask() -> None:
        with pytest.raises(ActorNotAlive) as caught:
            await cell.ref.ask("page")
        failed.append(caught.value)

    stage.runtime.start_task(ask)
    await wait_idle()
    began = anyio.current_time()
    assert await cell.ref.stop() == Shutdown()
    assert anyio.current_time() - began == pytest.approx(1)
    await wait_idle()
    assert len(failed) == 1
    assert stage.lost == [("page", Undelivered.CANCELLED)]


async def test_killed_it_loses_what_it_handled(stage: Stage) -> None:
    cell = await stage.spawn(Fetcher())
    cell.ref.tell("page")
    await wait_idle()
    cell.ref.kill()
    assert await cell.ref.wait_stopped() == Killed()
    assert stage.lost == [("page", Undelivered.CANCELLED)]


async def test_what_ignores_its_cancellation_does_not_count_as_handled(
    stage: Stage,
) -> None:
    class Deaf(Actor[str]):
        async def receive(self, message: str) -> None:
            await self.context.concurrently(1, self.ignore, message)

        async def ignore(self, message: str) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(10)

    cell = await stage.spawn(Deaf())
    cell.ref.tell("page")
    await wait_idle()
    cell.ref.kill()
    await cell.ref.wait_stopped()
    await anyio.sleep(20)
    seen = cell.ref.statistics()
    assert (seen.handled, seen.dead_lettered, seen.pending) == (0, 1, 0)


async def test_a_limit_below_one_is_refused(stage: Stage) -> None:
    cell = await stage.spawn(Fetcher(limit=0))
    with pytest.raises(ActorCrashed) as caught:
        await cell.ref.ask("page")
    assert str(caught.value.__cause__) == "limit must be at least 1, got 0"


async def test_a_torn_down_loop_is_no_crash(stage: Stage) -> None:
    cell = await stage.spawn()

    def begin(puppet: Any) -> None:
        beside = Beside(cell)
        handling = beside.begin(anyio.sleep_forever)
        coroutine = handling.run()
        coroutine.send(None)
        coroutine.close()
        handling.lose(Killed())
        handling.lose(Killed())

    cell.ref.tell(begin)
    await wait_idle()
    assert [why for _, why in stage.lost] == [Undelivered.CANCELLED]


@asyncio_only
async def test_a_native_cancellation_of_one_crashes_nobody_else(stage: Stage) -> None:
    import asyncio

    tasks: list[asyncio.Task[Any]] = []

    class Open(Fetcher):
        async def fetch(self, message: Any) -> object:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(task)
            return await super().fetch(message)

    cell = await stage.spawn(Open, Nanny())
    other = await stage.spawn(Fetcher())
    cell.ref.tell("page")
    await wait_idle()
    tasks[0].cancel()
    await wait_idle()
    assert stage.lost == [("page", Undelivered.CANCELLED)]
    assert cell.incarnation == 2
    assert await other.ref.ask("alive") == "alive"


class Piper(Actor[Any]):
    """Pipes what functions return to itself; remembers the rest."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def receive(self, message: Any) -> object:
        if callable(message):
            return message(self)
        self.seen.append(message)
        return message


def pipes(function: Callable[..., Any], *args: Any, **how: Any) -> Callable[..., None]:
    def pipe(piper: Piper) -> None:
        piper.context.pipe_to_self(function, *args, **how)

    return pipe


async def slow(value: object) -> object:
    await anyio.sleep(1)
    if isinstance(value, Exception):
        raise value
    return value


async def test_what_a_piped_function_returns_is_a_message(stage: Stage) -> None:
    piper = Piper()
    cell = await stage.spawn(piper)
    cell.ref.tell(pipes(slow, "result"))
    cell.ref.tell("meanwhile")
    await anyio.sleep(2)
    assert piper.seen == ["meanwhile", "result"]


async def test_a_piped_failure_is_a_message_if_somebody_makes_one_of_it(
    stage: Stage,
) -> None:
    piper = Piper()
    cell = await stage.spawn(piper)
    cell.ref.tell(pipes(slow, ValueError("no"), on_error=repr))
    await anyio.sleep(2)
    assert piper.seen == ["ValueError('no')"]


async def test_else_a_piped_failure_crashes_the_actor(stage: Stage) -> None:
    nanny = Nanny()
    cell = await stage.spawn(Piper, nanny)
    error = ValueError("no")
    cell.ref.tell(pipes(slow, error))
    await anyio.sleep(2)
    assert nanny.exits == [Crashed(error)]


async def test_a_result_waits_for_room(stage: Stage) -> None:
    piper = Piper()
    cell = await stage.spawn(piper, capacity=1)
    await cell.ref.ask(pipes(slow, "result"))
    cell.ref.suspend()
    cell.ref.tell("first")
    await anyio.sleep(2)
    assert piper.seen == []
    cell.ref.resume()
    await wait_idle()
    assert piper.seen == ["first", "result"]


async def test_a_result_that_finds_the_actor_stopping_is_a_dead_letter(
    stage: Stage,
) -> None:
    class Slow(Piper):
        async def stopped(self, reason: object) -> None:
            await anyio.sleep(5)

    async def uncancelled() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.2)
        return "result"

    cell = await stage.spawn(Slow())
    await cell.ref.ask(pipes(uncancelled))
    await cell.ref.stop()
    assert stage.lost == [("result", Undelivered.STOPPED)]


async def test_a_result_whose_incarnation_ends_while_it_waits_for_room_is_one_too(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Piper, Nanny(), capacity=1)
    await cell.ref.ask(pipes(slow, "result"))
    cell.ref.suspend()
    cell.ref.tell("first")
    await anyio.sleep(2)
    cell.ref.kill()
    await cell.ref.wait_stopped()
    assert stage.lost == [("result", Undelivered.STOPPED)]
    cell.ref.resume()
    await wait_idle()
    assert isinstance(cell.actor, Piper)
    assert cell.actor.seen == ["first"]


async def test_a_result_is_for_the_incarnation_that_asked_for_it(stage: Stage) -> None:
    cell = await stage.spawn(Piper, Nanny())
    await cell.ref.ask(pipes(slow, "result"))
    cell.ref.suspend()
    await anyio.sleep(2)
    with pytest.raises(ValueError, match="look"):
        await cell.ref.inspect(_look_and_fail)
    assert cell.ref.statistics().pending == 1
    cell.ref.kill()
    await cell.ref.wait_stopped()
    cell.ref.resume()
    await wait_idle()
    assert isinstance(cell.actor, Piper)
    assert cell.actor.seen == []
    assert stage.lost == [("result", Undelivered.EXPIRED)]


def _look_and_fail(_: object) -> None:
    raise ValueError("look")
