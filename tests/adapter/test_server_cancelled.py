from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from greenroom import (
    ActorNotAlive,
    ChildDeclined,
    ChildSpec,
    Client,
    DynamicSupervisor,
)
from greenroom.testing import TransportClosed, wait_idle

from .asgi import Asgi
from .support import Chat, on_asyncio, until

pytestmark = pytest.mark.anyio


class Cancelling:
    """Runs an adapter as a server does, and cancels it in one of three ways.

    By a scope; by ``Task.cancel``, where there is one; and by that twice.
    """

    def __init__(self, tasks: TaskGroup, chat: Chat, how: str) -> None:
        native = on_asyncio()
        self._tasks = tasks
        self._chat = chat
        self._how = how if native else "scope"
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None
        self._started = False
        self.ended = anyio.Event()

    async def start(self, asgi: Asgi) -> None:
        self._tasks.start_soon(self._serve, asgi)
        await until(lambda: self._started)

    async def _serve(self, asgi: Asgi) -> None:
        if self._how == "scope":
            self._started = True
            with self._scope:
                await self._run(asgi)
        else:
            self._task = asyncio.create_task(self._run(asgi))
            self._started = True
            await asyncio.wait([self._task])
        self.ended.set()

    async def _run(self, asgi: Asgi) -> None:
        await self._chat.adapter(asgi.scope, asgi.app_receive, asgi.app_send)

    async def cancel(self) -> None:
        if self._task is None:
            self._scope.cancel()
            return
        self._task.cancel()
        if self._how == "twice":
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            self._task.cancel()


@pytest.mark.parametrize("how", ["scope", "native", "twice"])
async def test_cancelled_before_it_accepts_there_is_no_client(how: str) -> None:
    async with Chat().running() as chat, anyio.create_task_group() as tasks:
        asgi = Asgi(connects=False)
        server = Cancelling(tasks, chat, how)
        await server.start(asgi)
        await wait_idle()
        await server.cancel()
        await server.ended.wait()
        assert asgi.sent == []
        assert chat.adapter.statistics().connections_total == 0


@pytest.mark.parametrize("how", ["scope", "native", "twice"])
@pytest.mark.parametrize("passes", range(8))
async def test_cancelled_as_it_starts_the_client_is_told(how: str, passes: int) -> None:
    async with Chat().running() as chat, anyio.create_task_group() as tasks:
        asgi = Asgi()
        server = Cancelling(tasks, chat, how)
        await server.start(asgi)
        await until(lambda: asgi.accepted)
        for _ in range(passes):
            await anyio.lowlevel.checkpoint()
        began = anyio.current_time()
        await server.cancel()
        with pytest.raises(TransportClosed) as closed:
            await asgi.receive()
        assert closed.value.code == 1001
        await server.ended.wait()
        assert anyio.current_time() == began
        # on_disconnect for whom on_connect has seen, and for nobody else.
        assert [sid for sid, _, _ in chat.gone] == list(chat.clients)
        assert chat.adapter.statistics().connections == 0
        chat.check()


@pytest.mark.parametrize("how", ["scope", "native", "twice"])
async def test_cancelled_as_it_reads_the_client_is_told(how: str) -> None:
    async with Chat().running() as chat, anyio.create_task_group() as tasks:
        asgi = Asgi()
        server = Cancelling(tasks, chat, how)
        await server.start(asgi)
        await until(lambda: chat.clients)
        await asgi.send('{"event": "join", "data": "lobby"}')
        await wait_idle()
        await chat.adapter.emit("last words", room="lobby")
        await server.cancel()
        assert "last words" in str(await asgi.receive())
        with pytest.raises(TransportClosed) as closed:
            await asgi.receive()
        assert (closed.value.code, closed.value.reason) == (1001, "going away")
        await server.ended.wait()
        assert [code for _, code, _ in chat.gone] == [1001]


@pytest.mark.parametrize("how", ["scope", "native", "twice"])
async def test_cancelled_while_its_inbox_is_full_the_client_is_told(how: str) -> None:
    async with (
        Chat(inbox_messages=1).running() as chat,
        anyio.create_task_group() as tasks,
    ):
        asgi = Asgi()
        server = Cancelling(tasks, chat, how)
        await server.start(asgi)
        for _ in range(5):
            await asgi.send('{"event": "wait"}')
        await wait_idle()
        await server.cancel()
        with pytest.raises(TransportClosed) as closed:
            await asgi.receive()
        assert closed.value.code == 1001
        await server.ended.wait()
        assert len(chat.gone) == 1
        chat.check()


@pytest.mark.parametrize("how", ["scope", "native", "twice"])
async def test_cancelled_as_it_ends_it_ends_first(how: str) -> None:
    chat = Chat()

    @chat.adapter.on_disconnect()
    async def slow(event: str, client: Client, data: Any) -> None:
        await anyio.sleep(1.0)
        chat.handled.append("done")

    async with chat.running(), anyio.create_task_group() as tasks:
        asgi = Asgi()
        server = Cancelling(tasks, chat, how)
        await server.start(asgi)
        await until(lambda: chat.clients)
        asgi.drop()
        await until(lambda: chat.gone)
        await server.cancel()
        assert chat.handled == []
        await server.ended.wait()
        assert chat.handled == ["done"]
        assert [code for _, code, _ in chat.gone] == [1006]


async def test_cancelled_in_a_send_that_cannot_be_cancelled_it_ends() -> None:
    """As on hypercorn's trio worker, with a client that has stopped reading."""
    async with (
        Chat(close_seconds=1.0).running() as chat,
        anyio.create_task_group() as tasks,
    ):
        asgi = Asgi()
        server = Cancelling(tasks, chat, "scope")
        await server.start(asgi)
        await until(lambda: chat.clients)
        asgi.stall(shielded=True)
        await chat.adapter.broadcast("never read")
        await until(lambda: asgi.sending)
        began = anyio.current_time()
        await server.cancel()
        await server.ended.wait()
        assert anyio.current_time() - began == pytest.approx(1.0)
        assert [code for _, code, _ in chat.gone] == [1001]
        statistics = chat.adapter.statistics()
        assert (statistics.connections, statistics.outbound.pending) == (0, 0)
        chat.check()
        # The server lets go of the connection in the end.
        asgi.unstall()


async def test_a_start_that_goes_on_after_its_server_has_left_is_declined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_child = DynamicSupervisor.start_child
    go_on = anyio.Event()

    async with Chat().running() as chat, anyio.create_task_group() as tasks:

        async def late(supervisor: DynamicSupervisor, spec: ChildSpec[Any]) -> None:
            async def start() -> None:
                await go_on.wait()
                with pytest.raises(ChildDeclined):
                    await start_child(supervisor, spec)

            tasks.start_soon(start)
            # As when somebody cancels it natively.
            raise ActorNotAlive("", None)

        monkeypatch.setattr(DynamicSupervisor, "start_child", late)
        asgi = Asgi()
        await chat.adapter(asgi.scope, asgi.app_receive, asgi.app_send)
        assert asgi.sent[-1]["code"] == 1001
        assert chat.adapter.statistics().connections == 0
        go_on.set()
        await wait_idle()
        assert chat.connections() == []
        assert chat.clients == {}


async def test_when_all_tasks_are_cancelled_at_once_nobody_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What asyncio does to the tasks that are left when its loop ends."""
    if not on_asyncio():
        pytest.skip("asyncio's own")
    chat = Chat()
    server: asyncio.Task[bool] | None = None
    before = asyncio.all_tasks()

    async def run() -> None:
        nonlocal server
        async with chat.running():
            asgi = Asgi()
            serving = chat.adapter(asgi.scope, asgi.app_receive, asgi.app_send)
            server = asyncio.create_task(serving)
            await until(lambda: chat.clients)
            await asgi.send('{"event": "wait"}')
            await until(lambda: chat.waiting)
            for _ in range(3):
                for task in asyncio.all_tasks() - before:
                    task.cancel()
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()

    with suppress(Exception, asyncio.CancelledError):
        await run()
    assert server is not None
    await asyncio.wait([server])
    assert len(chat.gone) <= 1
