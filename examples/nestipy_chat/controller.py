"""The controllers: the page, and the way in for the rest of the world."""

# Nestipy's decorators say nothing of what they return.
# mypy: disable-error-code="untyped-decorator"
# pyright: basic

from pathlib import Path
from typing import Annotated, Any

from nestipy.common import Controller, Get, Post, Response, ValidationPipe
from nestipy.ioc import Body, Inject, Param, Res
from nestipy.websocket import IoAdapter

from greenroom import ActorAdapter

from .dto import News
from .gateway import NAMESPACE

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


@Controller("/")
class PageController:
    """The chat as its users see it."""

    @Get()
    async def page(self, response: Annotated[Response, Res()]) -> Response:
        """The page; its script talks to the gateway."""
        found: Response = await response.html(PAGE)
        return found


@Controller("/rooms")
class NewsController:
    """Pushes to rooms; any provider or controller could."""

    adapter: Annotated[ActorAdapter, Inject(IoAdapter)]

    @Post("/{room}/news")
    async def push(
        self,
        room: Annotated[str, Param("room")],
        # By the pipe, because of a model here Nestipy makes a 500 if it is not one.
        news: Annotated[Any, Body(ValidationPipe(News))],
    ) -> dict[str, object]:
        """Tell a room some news.

            curl -d '{"text": "tea is ready"}' -H 'content-type: application/json' \
                http://127.0.0.1:8000/rooms/lobby/news
        """
        said = {"room": room, "text": news.text, "name": "the news"}
        await self.adapter.emit("said", said, room=room, namespace=NAMESPACE)
        return {"room": room, "connected": self.adapter.statistics().connections}

    @Get("/outbox")
    async def outbox(self) -> dict[str, object]:
        """What waits to be written to clients: bounded, however slow they are."""
        outbound = self.adapter.statistics().outbound
        return {"pending": outbound.pending, "accepted": outbound.accepted}
