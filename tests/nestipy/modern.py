"""A gateway in a module whose annotations are all strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from nestipy.ioc import Inject, SocketData, WebSocketClient
from nestipy.websocket import IoAdapter
from pydantic import BaseModel

from greenroom import ActorAdapter, Client

from .nest import Gateway, Injectable, SubscribeMessage

if TYPE_CHECKING:
    from decimal import Decimal


class Line(BaseModel):
    text: str


@Injectable()
class Words:
    def loud(self, text: str) -> str:
        return text.upper()


@Gateway("/modern")
class Modern:
    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]
    words: Annotated[Words, Inject()]
    count: int = 0

    @SubscribeMessage("say")
    async def say(
        self,
        client: Annotated[Client, WebSocketClient()],
        line: Annotated[Line, SocketData()],
        words: Annotated[Words, Inject()],
    ) -> Any:
        text = self.words.loud(line.text)
        await self.adapter.emit("said", text, to=client.sid, namespace="/modern")
        return words is self.words


@Gateway()
class Hidden:
    @SubscribeMessage("pay")
    async def pay(self, amount: Annotated[Decimal, SocketData()]) -> None: ...


@Gateway()
class HiddenAttribute:
    price: Annotated[Decimal, Inject()]

    @SubscribeMessage("pay")
    async def pay(self) -> None: ...
