"""The app of the live tests: two gateways, a controller, one room.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

from typing import Annotated, Any

from nestipy.ioc import Inject, Param, SocketData, WebSocketClient
from nestipy.websocket import IoAdapter

from greenroom import ActorAdapter, Client

from .nest import (
    Controller,
    ErrorEvent,
    Gateway,
    Get,
    Module,
    OnConnect,
    OnDisConnect,
    SubscribeMessage,
    SuccessEvent,
    create,
)


@Gateway()
class RootGateway:
    @SubscribeMessage("say")
    async def say(self, data: Annotated[Any, SocketData()]) -> str:
        return f"root heard {data}"


@SuccessEvent("done")
@ErrorEvent("failed")
@Gateway("/chat")
class ChatGateway:
    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]

    @OnConnect()
    async def hello(self, client: Annotated[Client, WebSocketClient()]) -> str:
        await client.join("lobby")
        return client.sid

    @OnDisConnect()
    async def bye(self, client: Annotated[Client, WebSocketClient()]) -> None:
        print("bye", client.close_code, flush=True)
        await self.adapter.emit("left", client.sid, room="lobby", namespace="/chat")

    @SubscribeMessage("say")
    async def say(
        self,
        client: Annotated[Client, WebSocketClient()],
        data: Annotated[Any, SocketData()],
    ) -> str:
        await self.adapter.emit(
            "said", data, room="lobby", skip_sid=client.sid, namespace="/chat"
        )
        return f"chat heard {data}"

    @SubscribeMessage("fail")
    async def fail(self) -> None:
        raise LookupError("a secret")


@Controller("/push")
class PushController:
    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]

    @Get("/{text}")
    async def push(self, text: Annotated[str, Param("text")]) -> str:
        await self.adapter.emit("news", text, room="lobby", namespace="/chat")
        return "pushed"


@Module(providers=[RootGateway, ChatGateway], controllers=[PushController])
class AppModule:
    pass


app = create(AppModule)
app.use_io_adapter(ActorAdapter())
