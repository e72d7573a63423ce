"""Testing gateways without a server, as the users of the library do it.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from typing import Annotated, Any

import anyio
import pytest
from nestipy.core.providers.background import BackgroundTasks
from nestipy.ioc import Inject, ModuleProviderDict

from greenroom import ActorAdapter, Options
from greenroom.testing import Event, EventError, connect, running_app, running_gateways

from .conftest import nestipy_app
from .nest import (
    Data,
    Gateway,
    Injectable,
    Module,
    Socket,
    SubscribeMessage,
)

pytestmark = pytest.mark.anyio


@Injectable()
class Clock:
    def now(self) -> str:
        return "now"


class Stopped:
    def now(self) -> str:
        return "never"


@Gateway("/time")
class Time:
    clock: Annotated[Clock, Inject()]
    jobs: Annotated[Any, Inject(BackgroundTasks)]

    @SubscribeMessage("ask")
    async def ask(self, data: Data) -> str:
        if data is not None:
            raise LookupError("a secret")
        return self.clock.now()

    @SubscribeMessage("later")
    async def later(self, client: Socket) -> None:
        async def tell() -> None:
            await client.emit("told", self.clock.now())

        self.jobs.add_task(tell)


async def test_a_gateway_is_tested_in_a_few_lines(anyio_backend: object) -> None:
    async with running_gateways(Time, Clock) as adapter, connect(adapter) as client:
        assert await client.call("ask", namespace="/time") == "now"
        assert await client.receive() == Event("ask", "now", "/time")
        with pytest.raises(EventError, match="the handler failed"):
            await client.call("ask", 1, namespace="/time")
        await client.emit("later", namespace="/time")
        assert await client.receive() == Event("told", "now", "/time")


async def test_another_provider_stands_in(anyio_backend: object) -> None:
    stopped = ModuleProviderDict(token=Clock, value=Stopped())
    adapter = ActorAdapter(options=Options(outbox_messages=1))
    async with (
        running_gateways(Time, stopped, adapter=adapter) as running,
        connect(adapter) as client,
    ):
        assert running is adapter
        assert await client.call("ask", namespace="/time") == "never"


async def test_a_module_can_be_imported(anyio_backend: object) -> None:
    class Deep: ...

    deep = Module(providers=[Time, Clock])(Deep)
    async with running_gateways(imports=[deep]) as adapter, connect(adapter) as client:
        assert await client.call("ask", namespace="/time") == "now"


async def test_the_app_of_the_process_is_as_it_was(anyio_backend: object) -> None:
    own = ActorAdapter()
    app = nestipy_app(own, Time, Clock)
    await app.ready()
    async with running_gateways(Time, Clock) as adapter, connect(adapter) as client:
        assert await client.call("ask", namespace="/time") == "now"
    async with running_app(app), connect(own) as client:
        assert await client.call("ask", namespace="/time") == "now"


async def test_an_app_that_cannot_start_says_why(anyio_backend: object) -> None:
    app = nestipy_app(ActorAdapter())

    async def fail() -> None:
        raise LookupError("no database")

    app.on_startup(fail)
    with pytest.raises(RuntimeError, match="no database"):
        async with running_app(app):
            raise AssertionError


async def test_an_app_that_raises_raises(anyio_backend: object) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError("no lifespan")

    with pytest.raises(LookupError, match="no lifespan"):
        async with running_app(app):
            await anyio.sleep_forever()
