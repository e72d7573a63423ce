"""An app that is asyncio's through and through, behind the bridge.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

import asyncio
from typing import Annotated, Any

from nestipy.core import OnModuleInit
from nestipy.core.providers.background import BackgroundTasks
from nestipy.ioc import Inject, Param, WebSocketClient
from nestipy.websocket import IoAdapter

from greenroom import ActorAdapter, Client, Options
from greenroom.adapter import TrioAsyncioBridge

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
    OnDisConnect,
    OnEvent,
    SubscribeMessage,
    create,
)

Peer = Annotated[Client, WebSocketClient()]


async def doubled(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


@Injectable()
class Service(OnModuleInit):
    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]

    async def on_module_init(self) -> None:
        self.loop = asyncio.get_running_loop()

    @OnEvent("said")
    async def said(self, text: str) -> None:
        await asyncio.sleep(0)
        await self.adapter.broadcast("heard", text)


@Gateway()
class Root:
    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]
    jobs: Annotated[Any, Inject(BackgroundTasks)]
    emitter: Annotated[Any, Inject(EventEmitter)]
    service: Annotated[Service, Inject()]

    @OnConnect()
    async def hello(self, client: Peer) -> str:
        await asyncio.sleep(0)
        await client.join("lobby")
        return client.sid

    @OnDisConnect()
    async def bye(self, client: Peer) -> None:
        await asyncio.sleep(0)
        print("bye", client.close_code, flush=True)

    @SubscribeMessage("echo")
    async def echo(self, data: Data) -> Any:
        return data

    @SubscribeMessage("gather")
    async def gather(self, numbers: Data) -> Any:
        assert asyncio.get_running_loop() is self.service.loop
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(doubled(number)) for number in numbers]
        threaded = await asyncio.to_thread(sum, numbers)
        return [*await asyncio.gather(*made), threaded]

    @SubscribeMessage("stream")
    async def stream(self, client: Peer, count: Data) -> int:
        for number in range(count):
            await client.emit("number", number)
        return int(count)

    @SubscribeMessage("ask")
    async def ask(self, client: Peer) -> Any:
        return await client.call("what", timeout=5)

    @SubscribeMessage("hang")
    async def hang(self, client: Peer) -> None:
        await client.emit("hanging")
        try:
            await asyncio.Event().wait()
        finally:
            print("unwound", flush=True)

    @SubscribeMessage("fail")
    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise LookupError("a secret")

    @SubscribeMessage("later")
    async def later(self, client: Peer) -> None:
        async def job() -> None:
            await asyncio.sleep(0)
            await client.emit("done")

        self.jobs.add_task(job)
        self.emitter.emit("said", "hello")


@Controller("/push")
class Push:
    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]

    @Get("/{text}")
    async def push(self, text: Annotated[str, Param("text")]) -> str:
        await asyncio.sleep(0)
        await self.adapter.emit("news", text, room="lobby")
        return "pushed"


@Module(
    providers=[Root, Service],
    controllers=[Push],
    imports=[EventEmitterModule.for_root()],
)
class AppModule:
    pass


nestipy_app = create(AppModule)
adapter = ActorAdapter(options=Options(outbox_messages=8))
nestipy_app.use_io_adapter(adapter)
app = TrioAsyncioBridge(nestipy_app, adapter)
