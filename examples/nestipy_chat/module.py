"""The module: who is provided with what."""

# Nestipy's decorators say nothing of what they return.
# mypy: disable-error-code="untyped-decorator"
# pyright: basic

from nestipy.common import Module

from .archive import Archive
from .controller import NewsController, PageController
from .gateway import ChatGateway


@Module(
    providers=[ChatGateway, Archive],
    controllers=[PageController, NewsController],
)
class ChatModule:
    """Everything there is."""
