"""The end of a server in bounded time, played on virtual time with a fake hypercorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, final

import anyio
import pytest
from hypercorn.config import Config

from greenroom._listeners import Listeners
from greenroom._service import MORE, AppNotStarted, Service

pytestmark = pytest.mark.anyio

GRACE = 3.0
DRAIN_SECONDS = 10.0


@pytest.fixture(scope="module")
def anyio_backend(virtual_backend: tuple[str, dict[str, Any]]) -> Any:
    """All of it on a clock that jumps."""
    return virtual_backend


async def nothing() -> None:
    """Do it."""


@final
class Hypercorn:
    """Starts and stops the app as hypercorn does; *after* it was told, it waits."""

    def __init__(self, after: Callable[[], Awaitable[object]] = nothing) -> None:
        self.after = after
        self.log: list[str] = []

    async def __call__(
        self, app: Any, config: Any, *, shutdown_trigger: Any, mode: str
    ) -> None:
        to_app, at_app = anyio.create_memory_object_stream[Any](2)
        started = anyio.Event()

        async def send(message: Any) -> None:
            self.log.append(message["type"])
            if message["type"] == "lifespan.startup.failed":
                raise RuntimeError(message["message"])
            started.set()

        async def run_lifespan() -> None:
            try:
                await app({"type": "lifespan"}, at_app.receive, send)
            except ConnectionError:
                started.set()  # without a lifespan, then

        with to_app, at_app:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_lifespan)
                to_app.send_nowait({"type": "lifespan.startup"})
                await started.wait()
                self.app = app
                await shutdown_trigger()
                self.log.append("told")
                await self.after()
                to_app.send_nowait({"type": "lifespan.shutdown"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An app that has nothing but a lifespan."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture
def listeners() -> Generator[Listeners]:
    config = Config()
    config.graceful_timeout = GRACE
    with Listeners(config, "127.0.0.1:0") as listeners:
        yield listeners


@asynccontextmanager
async def running(
    service: Service, *, cancel: bool = True
) -> AsyncGenerator[list[str]]:
    """*service*, from when clients can come; cancelled at the end of the block."""

    async def run(*, task_status: Any) -> None:
        await service.run([], None, task_status)

    with anyio.fail_after(600):
        async with anyio.create_task_group() as tasks:
            yield await tasks.start(run)
            if cancel:
                tasks.cancel_scope.cancel()


async def test_everyone_is_seen_off_before_hypercorn_is_told(
    listeners: Listeners,
) -> None:
    hypercorn = Hypercorn()

    def draining(name: str) -> Callable[[], Awaitable[None]]:
        async def drain() -> None:
            hypercorn.log.append(f"{name} drains")
            await anyio.sleep(1)
            hypercorn.log.append(f"{name} has drained")

        return drain

    drains = [draining("one"), draining("two")]
    service = Service(hypercorn, app, listeners, drains, DRAIN_SECONDS)
    began = anyio.current_time()
    async with running(service) as urls:
        assert urls[0].startswith("http://127.0.0.1:")

    assert anyio.current_time() - began == 1
    assert hypercorn.log[0] == "lifespan.startup.complete"
    assert sorted(hypercorn.log[1:3]) == ["one drains", "two drains"]
    assert sorted(hypercorn.log[3:5]) == ["one has drained", "two has drained"]
    assert hypercorn.log[5:] == ["told", "lifespan.shutdown.complete"]


async def test_a_drain_has_so_many_seconds_and_no_more(
    listeners: Listeners, caplog: pytest.LogCaptureFixture
) -> None:
    hypercorn = Hypercorn()
    drains = [anyio.sleep_forever]
    service = Service(hypercorn, app, listeners, drains, DRAIN_SECONDS)
    began = anyio.current_time()
    async with running(service):
        pass

    assert anyio.current_time() - began == DRAIN_SECONDS
    assert "told" in hypercorn.log
    assert caplog.messages == ["draining was not over in 10 s"]


async def test_a_drain_that_fails_is_told_of_and_keeps_nobody(
    listeners: Listeners, caplog: pytest.LogCaptureFixture
) -> None:
    hypercorn = Hypercorn()

    async def fail() -> None:
        raise LookupError("no such thing")

    async with running(Service(hypercorn, app, listeners, [fail], DRAIN_SECONDS)):
        pass

    assert hypercorn.log[-1] == "lifespan.shutdown.complete"
    (record,) = caplog.records
    assert record.exc_text is not None
    assert "no such thing" in record.exc_text


async def test_a_signal_that_comes_twice_is_one_and_a_later_one_is_the_last(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [signal.SIGINT, signal.SIGTERM]
    defaults: list[tuple[signal.Signals, float]] = []

    def note(signum: signal.Signals, action: object) -> None:
        assert action is signal.SIG_DFL
        defaults.append((signum, anyio.current_time() - began))

    async def receive() -> AsyncGenerator[signal.Signals]:
        for seconds in (7, 0.2, 0.2, 3600):
            await anyio.sleep(seconds)
            yield signal.SIGTERM

    drains = [partial(anyio.sleep, 5)]
    service = Service(Hypercorn(), app, listeners, drains, DRAIN_SECONDS)
    began = anyio.current_time()
    with monkeypatch.context() as patched:
        patched.setattr("greenroom._service.signal.signal", note)
        async with contextlib.aclosing(receive()) as received:
            await service.run(wanted, received, anyio.TASK_STATUS_IGNORED)

    assert anyio.current_time() - began == pytest.approx(7 + 5)
    assert [each for each, _ in defaults] == wanted
    assert [when for _, when in defaults] == pytest.approx([7.5, 7.5])


# -- when hypercorn does not end -------------------------------------------


async def test_what_hypercorn_does_not_end_is_cut_and_it_still_stops_the_app(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypercorn, cut = Hypercorn(), anyio.Event()
    hypercorn.after = cut.wait

    def note(listeners: Listeners) -> int:
        cut.set()
        return 0

    monkeypatch.setattr(Listeners, "cut_connections", note)
    began = anyio.current_time()
    async with running(Service(hypercorn, app, listeners, [], DRAIN_SECONDS)):
        pass

    assert anyio.current_time() - began == pytest.approx(GRACE + MORE)
    assert hypercorn.log[-1] == "lifespan.shutdown.complete"


async def test_what_it_leaves_behind_is_cut_and_has_a_moment_to_notice(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[float] = []

    def note(listeners: Listeners) -> int:
        cut.append(anyio.current_time() - began)
        return 1

    monkeypatch.setattr(Listeners, "cut_connections", note)
    service = Service(
        Hypercorn(partial(anyio.sleep, 2)), app, listeners, [], DRAIN_SECONDS
    )
    began = anyio.current_time()
    async with running(service):
        pass

    assert cut == [2]
    assert anyio.current_time() - began == pytest.approx(2.1)


async def test_hypercorn_is_cancelled_if_not_even_that_helps(
    listeners: Listeners,
) -> None:
    hypercorn = Hypercorn(anyio.sleep_forever)
    began = anyio.current_time()
    async with running(Service(hypercorn, app, listeners, [], DRAIN_SECONDS)):
        pass

    assert anyio.current_time() - began == pytest.approx(GRACE + MORE + MORE)
    assert hypercorn.log == ["lifespan.startup.complete", "told"]


async def test_the_shutdown_of_the_app_has_all_the_time_that_hypercorn_gives(
    listeners: Listeners,
) -> None:
    hypercorn = Hypercorn()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await anyio.sleep(30)
        await send({"type": "lifespan.shutdown.complete"})

    began = anyio.current_time()
    async with running(Service(hypercorn, slow, listeners, [], DRAIN_SECONDS)):
        pass

    assert anyio.current_time() - began == pytest.approx(30)
    assert hypercorn.log[-1] == "lifespan.shutdown.complete"


async def test_calls_that_hypercorn_has_not_cancelled_are_cancelled_on_asyncio(
    listeners: Listeners, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("there hypercorn always does")
    hypercorn, ends = Hypercorn(), dict[str, list[float]]()

    async def app_with_clients(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        ended = ends[scope["type"]] = []
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2 if ended else 60)
                return
            ended.append(anyio.current_time() - began)

    async def call(kind: str) -> None:
        await hypercorn.app({"type": kind}, None, None)

    async def cancel_one_of_two() -> None:
        http, websocket = map(asyncio.create_task, map(call, ("http", "websocket")))
        await asyncio.sleep(GRACE)
        http.cancel()
        await asyncio.gather(http, websocket)

    hypercorn.after = cancel_one_of_two
    service = Service(hypercorn, app_with_clients, listeners, [], DRAIN_SECONDS)
    async with running(service):
        began = anyio.current_time()

    # Each once.
    assert ends["http"] == pytest.approx([GRACE])
    assert ends["websocket"] == pytest.approx([GRACE + 0.1])
    assert hypercorn.log[-1] == "lifespan.shutdown.complete"


# -- starting --------------------------------------------------------------


async def run(service: Service) -> None:
    await service.run([], None, anyio.TASK_STATUS_IGNORED)


async def test_an_app_that_does_not_start_says_why(listeners: Listeners) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(AppNotStarted, match=r"^no database$") as raised:
        await run(Service(Hypercorn(), refuse, listeners, [], DRAIN_SECONDS))
    assert raised.value.__cause__ is not None


async def test_an_app_without_a_lifespan_is_served(listeners: Listeners) -> None:
    hypercorn = Hypercorn()

    async def no_lifespan(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionError(scope["type"])

    service = Service(hypercorn, no_lifespan, listeners, [], DRAIN_SECONDS)
    async with running(service):
        pass
    assert hypercorn.log == ["told"]


async def test_told_to_stop_while_it_starts_the_app_is_cancelled(
    listeners: Listeners,
) -> None:
    hypercorn, drained = Hypercorn(), anyio.Event()

    async def drain() -> None:
        drained.set()

    ended: list[float] = []

    async def starting(scope: Any, receive: Any, send: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(anyio.current_time() - began)

    began = anyio.current_time()
    service = Service(hypercorn, starting, listeners, [drain], DRAIN_SECONDS)
    with anyio.move_on_after(5):
        await run(service)

    assert ended == [5]
    assert anyio.current_time() - began == 5
    assert hypercorn.log == ["lifespan.startup.failed"]
    assert not drained.is_set()
    listeners.close()  # what hypercorn has not taken is still ours


# -- failing ---------------------------------------------------------------


async def test_what_hypercorn_raises_is_raised_without_its_groups(
    listeners: Listeners,
) -> None:
    async def fail(*args: Any, **options: Any) -> None:
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [LookupError("it")])])

    with pytest.raises(LookupError, match="it"):
        await run(Service(fail, app, listeners, [], DRAIN_SECONDS))


async def test_several_errors_stay_together(listeners: Listeners) -> None:
    async def fail(*args: Any, **options: Any) -> None:
        raise ExceptionGroup("two", [LookupError("it"), LookupError("them")])

    with pytest.raises(ExceptionGroup, match="two"):
        await run(Service(fail, app, listeners, [], DRAIN_SECONDS))


async def test_a_failure_while_it_is_cancelled_is_told_of(
    listeners: Listeners, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise LookupError("it")

    service = Service(Hypercorn(fail), app, listeners, [], DRAIN_SECONDS)
    async with running(service):
        pass

    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "the server has failed")
    assert record.exc_text is not None
    assert "LookupError: it" in record.exc_text


async def test_a_lifespan_that_hypercorn_leaves_behind_is_ended(
    listeners: Listeners,
) -> None:
    left = anyio.create_task_group()
    ended = anyio.Event()

    async def stay(scope: Any, receive: Any, send: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
            ended.set()

    async def leave(app: Any, *args: Any, **options: Any) -> None:
        left.start_soon(app, {"type": "lifespan"}, None, nothing_sent)
        await anyio.sleep(1)
        raise LookupError("it")

    async def nothing_sent(message: Any) -> None:
        raise AssertionError(message)

    async with left:
        with pytest.raises(LookupError):
            await run(Service(leave, stay, listeners, [], DRAIN_SECONDS))
        assert ended.is_set()


async def test_cancelled_again_by_the_task_it_does_not_wait(
    listeners: Listeners, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("Trio's tasks cannot be cancelled one by one")
    hypercorn = Hypercorn()
    drains = [anyio.sleep_forever]
    service = Service(hypercorn, app, listeners, drains, 3600)
    serving = asyncio.create_task(run(service))
    await anyio.sleep(1)
    for _ in range(2):
        serving.cancel()
        await anyio.sleep(1)

    with pytest.raises(asyncio.CancelledError):
        await serving
    assert "told" not in hypercorn.log
