"""TrioAsyncioBridge from inside: one task of asyncio's for each client.

In this process, whose asyncio is put back as it was when a test has ended.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Generator
from importlib import import_module
from typing import Any

import anyio
import pytest
import trio

from greenroom import Actor, ActorAdapter, ActorRef, Client, Options, TrioAsyncioBridge
from greenroom.testing import Event, EventError, connect, running_app

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["trio"]),
]


@pytest.fixture(autouse=True)
def asyncio_as_it_was() -> Generator[None]:
    """Undo what trio-asyncio does when it is imported."""
    before = {
        name: {**module.__dict__}
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "asyncio"
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import_module("trio_asyncio")
        except ImportError:
            pytest.skip("trio-asyncio is not installed")
    yield
    for name, members in before.items():
        sys.modules[name].__dict__.update(members)
    for name in [*sys.modules]:
        if name.partition(".")[0] == "trio_asyncio":
            del sys.modules[name]


def echoing(**options: Any) -> ActorAdapter:
    adapter = ActorAdapter(options=Options(**options))

    @adapter.on("echo")
    async def echo(event: str, client: Client, data: Any) -> Any:
        await asyncio.sleep(0)
        return data

    @adapter.on("plain")
    def plain(event: str, client: Client, data: Any) -> Any:
        return asyncio.get_running_loop().is_running()

    return adapter


async def test_handlers_run_in_one_task_of_asyncio(anyio_backend: object) -> None:
    adapter = echoing()
    tasks: list[object] = []

    @adapter.on("task")
    async def task(event: str, client: Client, data: Any) -> None:
        tasks.append(asyncio.current_task())

    @adapter.on("fail")
    async def fail(event: str, client: Client, data: Any) -> None:
        raise LookupError("a secret")

    bridge = TrioAsyncioBridge(adapter, adapter)
    async with running_app(bridge), connect(adapter) as ann, connect(adapter) as ben:
        for client in (ann, ann, ben):
            await client.call("task")
        assert await ann.call("echo", 1) == 1
        assert await ann.call("plain") is True
        with pytest.raises(EventError, match="the handler failed"):
            await ann.call("fail")
        assert await ann.call("echo", 2) == 2
    assert tasks[0] is tasks[1]
    assert tasks[1] is not tasks[2]


async def test_emit_and_call_wait_as_asyncio_does(anyio_backend: object) -> None:
    adapter = echoing(outbox_messages=2)

    @adapter.on("stream")
    async def stream(event: str, client: Client, data: Any) -> Any:
        for number in range(data):
            await client.emit("number", number)
        return await client.call("enough", timeout=5)

    bridge = TrioAsyncioBridge(adapter, adapter)
    answers: list[Any] = []
    async with running_app(bridge), connect(adapter, max_frames=2) as client:
        client.on_call("enough", lambda _: "yes")
        client.pause()
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                answers.append(await client.call("stream", 50))

            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            client.resume()
        assert answers == ["yes"]
        assert client.received() == [Event("number", n) for n in range(50)]


async def test_all_that_a_client_can_do_can_be_done(anyio_backend: object) -> None:
    adapter = echoing()

    class Counter(Actor[int]):
        count = 0

        async def receive(self, message: int) -> int:
            self.count += message
            return self.count

    counters: list[ActorRef[int]] = []

    @adapter.on_connect()
    async def hello(event: str, client: Client, data: Any) -> None:
        if not counters:
            counters.append(await adapter.system.spawn(Counter()))

    @adapter.on("do")
    async def do(event: str, client: Client, data: Any) -> Any:
        await client.join("room")
        await adapter.emit("in", room="room")
        await client.leave("room")
        await adapter.emit("out", room="room")
        await counters[0].send(1)
        return await counters[0].ask(1)

    @adapter.on("leave")
    async def leave(event: str, client: Client, data: Any) -> None:
        await client.disconnect(4000, "enough")

    bridge = TrioAsyncioBridge(adapter, adapter)
    async with running_app(bridge), connect(adapter) as client:
        assert await client.call("do") == 2
        assert client.received() == [Event("in", None)]
        await client.emit("leave")
        assert await client.wait_closed() == 4000


async def test_a_handler_is_cancelled_with_its_client(anyio_backend: object) -> None:
    adapter = echoing(handler_grace=0.0)
    seen: list[str] = []

    @adapter.on("hang")
    async def hang(event: str, client: Client, data: Any) -> None:
        await client.emit("hanging")
        for _ in range(data):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")

    @adapter.on_disconnect()
    async def bye(event: str, client: Client, data: Any) -> None:
        await asyncio.sleep(0)
        seen.append("bye")

    bridge = TrioAsyncioBridge(adapter, adapter)
    async with running_app(bridge), connect(adapter) as client:
        await client.emit("hang", 2)
        await client.receive()
    # It went on although it was cancelled, so that was done again.
    assert seen == ["cancelled", "cancelled", "bye"]


async def test_a_task_that_others_cancel_is_made_anew(anyio_backend: object) -> None:
    adapter = echoing()
    task: asyncio.Task[Any] | None = None

    @adapter.on("stop")
    async def stop(event: str, client: Client, data: Any) -> None:
        nonlocal task
        task = asyncio.current_task()
        assert task is not None
        if data == "now":
            task.cancel()
            await asyncio.sleep(10)

    bridge = TrioAsyncioBridge(adapter, adapter)
    async with running_app(bridge), connect(adapter) as client:
        with pytest.raises(EventError, match="the handler failed"):
            await client.call("stop", "now")
        await client.call("stop")
        assert task is not None
        # While it sleeps, and has nothing to do.
        task.cancel()
        with trio.fail_after(5):
            while not task.done():
                await trio.lowlevel.checkpoint()
        assert await client.call("echo", 1) == 1


async def test_callbacks_of_acks_are_asyncios_too(anyio_backend: object) -> None:
    adapter = echoing()
    answered: list[Any] = []

    @adapter.on_connect()
    async def hello(event: str, client: Client, data: Any) -> None:
        async def note(answer: object) -> None:
            await asyncio.sleep(0)
            answered.append(answer)

        await client.emit("who", callback=note)

    bridge = TrioAsyncioBridge(adapter, adapter)
    async with running_app(bridge), connect(adapter) as client:
        await client.answer(await client.receive(), "me")
        await client.call("echo")
    assert answered == ["me"]


async def test_another_app_has_its_requests_and_its_lifespan(
    anyio_backend: object,
) -> None:
    adapter = echoing()
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        seen.append(scope["type"])
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await send(await receive())

    sent: list[object] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: object) -> None:
        sent.append(message)

    bridge = TrioAsyncioBridge(app, adapter)
    async with running_app(bridge), connect(adapter) as client:
        assert await client.call("echo", 1) == 1
        await bridge({"type": "http", "path": "/"}, receive, send)
        await bridge({"type": "websocket", "path": "/other"}, receive, send)
    assert seen == ["lifespan", "http", "websocket"]
    assert sent == [{"type": "http.request"}] * 2


async def test_an_app_that_cannot_start_says_so(anyio_backend: object) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no database")

    with pytest.raises(RuntimeError):
        async with running_app(TrioAsyncioBridge(app, ActorAdapter())):
            raise AssertionError


async def test_an_app_that_fails_later_raises(anyio_backend: object) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError("no database")

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
        async with running_app(TrioAsyncioBridge(app, ActorAdapter())):
            pass


def test_asyncio_is_as_it_was(anyio_backend: object) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)
