"""What is replaced in a Nestipy app, on its instances, and what is left out."""

import sys
from typing import Annotated, Any

import anyio
import httpx
import pytest
from nestipy.core import OnModuleInit
from nestipy.ioc import Inject, Req
from starlette.middleware.base import BaseHTTPMiddleware

from greenroom import ActorAdapter
from greenroom.testing import connect

from . import nest
from .conftest import Serve, frame, nestipy_app, served
from .nest import (
    Controller,
    Data,
    EventEmitter,
    EventEmitterModule,
    Gateway,
    Get,
    Injectable,
    Module,
    OnConnect,
    OnEvent,
    PubSub,
    SubscribeMessage,
)


@Gateway()
class Echo:
    @SubscribeMessage("echo")
    async def echo(self, data: Data) -> Any:
        return data


# -- gateways that Nestipy leaves out ----------------------------------------


def test_a_gateway_deep_in_the_modules_is_served(serve: Serve) -> None:
    class Leaf: ...

    class Branch: ...

    class Root: ...

    leaf = Module(providers=[Echo])(Leaf)
    branch = Module(imports=[leaf])(Branch)
    app = nest.create(Module(imports=[branch])(Root))
    app.use_io_adapter(ActorAdapter())
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("echo", 1))
        assert client.receive_json() == frame("echo", 1)


def test_a_gateway_of_two_modules_greets_once(serve: Serve) -> None:
    greeted: list[str] = []

    @Gateway()
    class Greeting:
        @OnConnect()
        async def hello(self) -> str:
            greeted.append("hello")
            return "hello"

    class Other: ...

    class Root: ...

    other = Module(providers=[Greeting])(Other)
    app = nest.create(Module(providers=[Greeting], imports=[other])(Root))
    app.use_io_adapter(ActorAdapter())
    with serve(app) as http, http.websocket_connect("/ws") as client:
        assert client.receive_json() == frame("connect", "hello")
    assert greeted == ["hello"]


@pytest.mark.anyio
async def test_an_adapter_that_comes_after_the_setup_serves_all_the_same(
    anyio_backend: object,
) -> None:
    class Root: ...

    app = nest.create(Module(providers=[Echo])(Root))
    await app.ready()
    adapter = ActorAdapter()
    app.use_io_adapter(adapter)
    async with served(app), connect(adapter) as client:
        assert await client.call("echo", 1) == 1


# -- requests ----------------------------------------------------------------


@Controller("/who")
class Who:
    @Get("/am-i")
    async def who(self, request: Annotated[Any, Req()]) -> str:
        return str(request.query_params["name"])


@pytest.mark.anyio
async def test_no_request_is_answered_with_another_ones_data(
    anyio_backend: object,
) -> None:
    together = 10
    waiting = 0
    all_here = anyio.Event()

    async def wait(request: object, call_next: Any) -> Any:
        nonlocal waiting
        waiting += 1
        if waiting == together:
            all_here.set()
        await all_here.wait()
        return await call_next(request)

    app: Any = nestipy_app(ActorAdapter(), controllers=(Who,))
    http: Any = app.get_adapter()
    http.get_instance().add_middleware(BaseHTTPMiddleware, dispatch=wait)
    kind: Any = http.__class__
    answers: dict[str, str] = {}
    async with served(app):
        assert isinstance(http, kind)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as peer:

            async def ask(name: str) -> None:
                answer = await peer.get("/who/am-i", params={"name": name})
                answers[name] = answer.text

            async with anyio.create_task_group() as tasks:
                for number in range(together):
                    tasks.start_soon(ask, str(number))
    assert answers == {str(number): str(number) for number in range(together)}


@pytest.mark.anyio
async def test_the_clients_of_a_worker_do_not_share_a_request_id(
    anyio_backend: object,
) -> None:
    state: dict[str, Any] = {}

    async def stateful(scope: Any, receive: Any, send: Any) -> Any:
        return await app({**scope, "state": state}, receive, send)

    app = nestipy_app(ActorAdapter())
    async with served(stateful):
        # Of this, servers give a copy to every scope.
        assert "request_id" not in state
        assert state["debug"] is True


# -- EventEmitter ------------------------------------------------------------


def emitter_app(adapter: ActorAdapter, heard: list[str]) -> nest.App:
    # There is one emitter for the whole process.
    key = nest.metadata.ModuleMetadata.Providers
    provided = nest.metadata.Reflector.get_metadata(EventEmitterModule, key)
    for each in provided:
        if isinstance(each.value, EventEmitter):
            each.value.remove_all_listeners()

    @Injectable()
    class Listeners(OnModuleInit):
        emitter: Annotated[Any, Inject(EventEmitter)]

        @OnEvent("said")
        async def said(self, text: str) -> None:
            await anyio.lowlevel.checkpoint()
            heard.append(text)
            await adapter.broadcast("heard", text)

        @OnEvent("fails")
        async def fails(self) -> None:
            await anyio.lowlevel.checkpoint()
            raise LookupError("no such line")

        async def on_module_init(self) -> None:
            def plainly(text: str) -> None:
                if text == "too plain":
                    raise ValueError(text)
                heard.append(text)

            self.emitter.add_listener("plain", plainly)

    @Gateway()
    class Root:
        emitter: Annotated[Any, Inject(EventEmitter)]

        @SubscribeMessage("emit")
        async def emit(self, data: Data) -> Any:
            return self.emitter.emit(*data)

    class App: ...

    imports = [EventEmitterModule.for_root()]
    app = nest.create(Module(providers=[Root, Listeners], imports=imports)(App))
    app.use_io_adapter(adapter)
    return app


def test_the_listeners_of_events_run(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    app = emitter_app(ActorAdapter(), heard)
    with serve(app) as http, http.websocket_connect("/ws") as client:
        client.send_json(frame("emit", ["plain", "plainly"]))
        assert client.receive_json() == frame("emit", True)
        client.send_json(frame("emit", ["nobody listens"]))
        assert client.receive_json() == frame("emit", False)
        client.send_json(frame("emit", ["said", "hello"]))
        answers = [client.receive_json() for _ in range(2)]
        assert frame("heard", "hello") in answers
    assert heard == ["plainly", "hello"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_a_listener_that_fails_is_told_of(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    adapter = ActorAdapter()
    app = emitter_app(adapter, heard)
    async with served(app), connect(adapter) as client:
        emitter: Any = await app.get(EventEmitter)
        assert await client.call("emit", ["fails"]) is True
        await anyio.wait_all_tasks_blocked()
        assert "a listener of EventEmitter failed" in caplog.text

        # As pyee has it: to those who listen to errors.
        def note(error: Exception) -> None:
            heard.append(repr(error))

        emitter.add_listener("error", note)
        emitter.emit("fails")
        emitter.emit("plain", "too plain")
        await anyio.wait_all_tasks_blocked()
    assert heard == ["ValueError('too plain')", "LookupError('no such line')"]
    assert "_emit_run" not in vars(emitter)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_events_before_the_start_are_said_to_be_lost(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    app = emitter_app(ActorAdapter(), [])
    emitter: Any = await app.get(EventEmitter)
    emitter._waiting.add("what pyee keeps of one that never runs")
    async with served(app):
        assert "1 events have reached no listener" in caplog.text
    emitter._waiting.clear()


# -- what needs asyncio --------------------------------------------------------


@pytest.mark.anyio
async def test_what_needs_asyncio_is_named_on_trio(
    anyio_backend: tuple[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    @Injectable()
    class News(PubSub): ...  # type: ignore[misc]  # it is Any

    async with served(nestipy_app(ActorAdapter(), News)):
        pass
    on_trio = anyio_backend[0] == "trio"
    assert ("GraphQL's PubSub: works on asyncio alone" in caplog.text) is on_trio
    assert "microservice" not in caplog.text


def ignore(*_: object) -> None:
    pass


@pytest.mark.anyio
async def test_an_app_of_another_shape_is_left_as_it_is(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "nestipy.event.event_emitter")
    app: Any = nestipy_app(ActorAdapter())
    http = app.get_adapter()
    kind: Any = http.__class__
    for name in ("scope", "receive", "send"):
        setattr(kind, name, property(ignore, ignore))
    try:
        async with served(app):
            assert type(http) is kind
    finally:
        for name in ("scope", "receive", "send"):
            delattr(kind, name)
