"""Nestipy as the host: starting, serving HTTP beside us, and an end in order."""

import inspect
from importlib import import_module
from typing import Annotated, Any

import anyio
import pytest
from nestipy.core import OnModuleDestroy, OnModuleInit
from nestipy.core.providers.background import BackgroundTasks, TaskStatus
from nestipy.ioc import Inject, SocketData, WebSocketClient
from nestipy.websocket import IoAdapter

from greenroom import Actor, ActorAdapter, Client, ExitReason, NotRunning
from greenroom.adapter._nestipy_cures import BackgroundJobs
from greenroom.adapter._nestipy_facts import nestipy
from greenroom.testing import connect

from ..adapter.asgi import Lifespan
from .conftest import Serve, nestipy_app, served
from .nest import (
    Controller,
    FastApiAdapter,
    Gateway,
    Get,
    Injectable,
    OnConnect,
    OnDisConnect,
    SubscribeMessage,
)


def test_the_adapter_is_what_nestipy_takes_for_one() -> None:
    adapter: object = ActorAdapter()
    assert isinstance(adapter, IoAdapter)
    # It awaits what is async by this measure, and drops what is not.
    for name in ("emit", "broadcast", "close"):
        assert inspect.iscoroutinefunction(getattr(adapter, name))
    # Its container takes what is false for missing.
    assert not hasattr(ActorAdapter, "__len__")
    assert not hasattr(ActorAdapter, "__bool__")


def test_an_http_request_passes_without_a_pause() -> None:
    # Nestipy keeps the request on the adapter meanwhile: another one would
    # overwrite it.
    async def unused(*_: object) -> Any:
        raise AssertionError

    passing = ActorAdapter()({"type": "http", "path": "/ws"}, unused, unused)
    with pytest.raises(StopIteration) as returned:
        passing.__await__().send(None)
    assert returned.value.value is False


def test_a_controller_can_emit_to_a_room(serve: Serve) -> None:
    @Gateway("/chat")
    class Chat:
        @OnConnect()
        async def hello(self, client: Annotated[Client, WebSocketClient()]) -> str:
            await client.join("lobby")
            return "hello"

    @Controller("/news")
    class News:
        adapter: Annotated[ActorAdapter, Inject(IoAdapter)]

        @Get("/push")
        async def push(self) -> str:
            await self.adapter.emit("news", 1, room="lobby", namespace="/chat")
            await self.adapter.broadcast("news", 2)
            return "pushed"

    app = nestipy_app(ActorAdapter(), Chat, controllers=(News,))
    with serve(app) as http, http.websocket_connect("/ws") as client:
        assert client.receive_json()["data"] == "hello"
        assert http.get("/news/push").text == "pushed"
        assert [client.receive_json() for _ in range(2)] == [
            {"event": "news", "data": 1, "namespace": "/chat"},
            {"event": "news", "data": 2, "namespace": "/"},
        ]
        assert http.get("/readyz").status_code == 200
        assert http.get("/wsfoo").status_code == 404


def test_an_app_can_be_started_again(serve: Serve) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("echo")
        async def echo(self) -> str:
            return "echo"

    app = nestipy_app(ActorAdapter(), Root)
    for _ in range(2):
        with serve(app) as http, http.websocket_connect("/ws") as client:
            client.send_json({"event": "echo"})
            assert client.receive_json()["data"] == "echo"


@pytest.mark.anyio
async def test_the_end_is_in_order(anyio_backend: object) -> None:
    adapter = ActorAdapter()
    order: list[str] = []

    class Flushing(Actor[object]):
        async def stopped(self, reason: ExitReason) -> None:
            order.append("actor")

    @Injectable()
    class Service(OnModuleDestroy):
        async def on_module_destroy(self) -> None:
            await adapter.broadcast("nobody is left to hear it")
            order.append("service")

    @Gateway()
    class Root:
        @OnDisConnect()
        async def bye(self, client: Annotated[Client, WebSocketClient()]) -> None:
            order.append(f"client {client.close_code}")

    app = nestipy_app(adapter, Root, Service)

    async def start_actor() -> None:
        await adapter.system.spawn(Flushing())

    app.on_startup(start_actor)

    async def watched(scope: Any, receive: Any, send: Any) -> Any:
        async def watch(message: Any) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                # Servers cancel what is not done by now.
                with pytest.raises(NotRunning):
                    adapter.system  # noqa: B018 - asked for the exception
                order.append("complete")
            await send(message)

        return await app(scope, receive, watch)

    async with served(watched) as lifespan, connect(adapter) as client:
        lifespan.stop()
        assert await client.wait_closed() == 1001
    assert order == ["client 1001", "actor", "service", "complete"]


@pytest.mark.anyio
async def test_a_start_that_fails_says_so(anyio_backend: object) -> None:
    adapter = ActorAdapter()
    app = nestipy_app(adapter)

    async def fail() -> None:
        raise LookupError("no database")

    app.on_startup(fail)
    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="no database")):
        async with served(app) as lifespan:
            assert lifespan.sent[0]["type"] == "lifespan.startup.failed"
            await anyio.sleep_forever()
    with pytest.raises(NotRunning):
        adapter.system  # noqa: B018 - asked for the exception


@pytest.mark.anyio
async def test_an_end_that_fails_says_so(anyio_backend: object) -> None:
    adapter = ActorAdapter()

    @Injectable()
    class Service(OnModuleDestroy):
        async def on_module_destroy(self) -> None:
            raise LookupError("no database")

    lifespan = Lifespan()
    lifespan.stop()
    with pytest.raises(LookupError, match="no database"):
        await lifespan.run(nestipy_app(adapter, Service))
    assert lifespan.sent[-1]["type"] == "lifespan.shutdown.failed"
    with pytest.raises(NotRunning):
        adapter.system  # noqa: B018 - asked for the exception


@pytest.mark.anyio
async def test_an_app_that_knows_no_lifespan_ends_without_a_word(
    anyio_backend: object,
) -> None:
    async def silent(scope: object, receive: object, send: object) -> None:
        pass

    http = FastApiAdapter()
    http.get_instance = lambda: silent
    app = nestipy_app(ActorAdapter(), http=http)
    lifespan = Lifespan()
    await lifespan.run(app)
    assert lifespan.sent == []


@pytest.mark.anyio
@pytest.mark.parametrize("other_app", [False, True])
async def test_where_nestipy_is_not_the_host_the_lifespan_is_the_adapters(
    anyio_backend: object, other_app: bool
) -> None:
    adapter = ActorAdapter()
    if other_app:
        await nestipy_app(ActorAdapter()).ready()
    lifespan = Lifespan()
    lifespan.stop()
    await lifespan.run(adapter)
    assert lifespan.answer is True
    assert [message["type"] for message in lifespan.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.anyio
async def test_run_from_outside_it_serves_gateways_all_the_same(
    anyio_backend: object,
) -> None:
    @Gateway()
    class Root:
        @SubscribeMessage("echo")
        async def echo(self) -> str:
            return "echo"

    adapter = ActorAdapter()
    app = nestipy_app(adapter, Root)
    await app.ready()
    async with adapter.running(), connect(adapter) as client:
        assert await client.call("echo") == "echo"


def test_gateways_of_an_unknown_nestipy_are_refused_by_name() -> None:
    async def io_handler(event: str, client: Client, data: Any) -> None:
        raise AssertionError

    io_handler.__module__ = "nestipy.websocket.proxy"
    with pytest.raises(RuntimeError, match=r"no event_name, .*; greenroom knows those"):
        ActorAdapter().on("event")(io_handler)


def test_an_unknown_nestipy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nestipy.cache_clear()
    monkeypatch.delattr(import_module("nestipy.metadata"), "Reflector")
    with pytest.raises(RuntimeError, match=r"unknown: .*Reflector.*; greenroom knows"):
        nestipy()
    # Nothing is kept of the failure.
    monkeypatch.undo()
    assert nestipy().websocket.__name__ == "Websocket"


# -- background tasks ------------------------------------------------------


def test_background_tasks_run(serve: Serve) -> None:
    ran: list[str] = []

    def plainly(name: str) -> None:
        ran.append(name)

    async def fail() -> None:
        raise LookupError("no such file")

    @Gateway()
    class Root:
        jobs: Annotated[Any, Inject(BackgroundTasks)]

        @SubscribeMessage("later")
        async def later(
            self, client: Annotated[Client, WebSocketClient()]
        ) -> list[str]:
            async def answer() -> None:
                await client.emit("done", ran)

            return [
                self.jobs.add_task(plainly, "in a thread"),
                self.jobs.add_task(fail),
                self.jobs.add_task(answer),
            ]

        @SubscribeMessage("status")
        async def status(self, ids: Annotated[Any, SocketData()]) -> Any:
            return [self.jobs.get_status(id) for id in ids]

    @Injectable()
    class Early(OnModuleInit):
        jobs: Annotated[BackgroundTasks, Inject()]

        async def on_module_init(self) -> None:
            self.jobs.add_task(plainly, "before the start")

    app = nestipy_app(ActorAdapter(), Root, Early)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json({"event": "later"})
        ids = client.receive_json()["data"]
        assert client.receive_json()["data"] == ["before the start", "in a thread"]
        client.send_json({"event": "status", "data": ids})
        found = client.receive_json()["data"]
    assert [each["status"] for each in found[:2]] == ["success", "failed"]
    assert found[1]["error"] == "no such file"


@pytest.mark.anyio
async def test_background_tasks_that_are_left_do_not_hold_the_end(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackgroundJobs, "stop_grace", 0.0)
    app = nestipy_app(ActorAdapter())
    async with served(app):
        jobs: Any = await app.get(BackgroundTasks)
        running = anyio.Event()

        async def hang() -> None:
            running.set()
            await anyio.sleep_forever()

        ids = [jobs.add_task(job) for job in (hang, hang, hang)]
        await running.wait()
        assert jobs.get_status(ids[0])["status"] == TaskStatus.STARTED
    assert {jobs.get_status(id)["status"] for id in ids} == {TaskStatus.CANCELLED}
    assert not jobs.is_running
    # What is added now waits for the next start, as it does on asyncio.
    late = jobs.add_task(hang)
    assert jobs.get_status(late)["status"] == TaskStatus.PENDING
