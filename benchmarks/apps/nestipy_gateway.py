"""A gateway in Nestipy, the same for every adapter that is measured below it.

Without ``from __future__ import annotations``, which makes Nestipy inject None.
"""

# Nestipy's decorators say nothing of what they return.
# mypy: disable-error-code="untyped-decorator"
# pyright: basic

from typing import Annotated, Any

from nestipy.common import Module
from nestipy.core import NestipyApplication, NestipyConfig, NestipyFactory
from nestipy.ioc import SocketData
from nestipy.websocket import Gateway, SubscribeMessage


@Gateway()
class Echo:
    """Gives back what it is given; what a method returns is emitted."""

    @SubscribeMessage("echo")
    async def echo(self, data: Annotated[Any, SocketData()]) -> Any:
        """The same."""
        return data

    @SubscribeMessage("join")
    async def join(self) -> str:
        """Something to say once: the shipped adapter has no rooms."""
        return "joined"


@Module(providers=[Echo])
class EchoModule:
    """Everything there is."""


def app_with(adapter: Any) -> NestipyApplication:
    """The app, on *adapter*."""
    config = NestipyConfig(log_bootstrap=False, log_level=30)
    app = NestipyFactory.create(EchoModule, config)
    app.use_io_adapter(adapter)
    return app
