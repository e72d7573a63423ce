"""The app: Nestipy's, with our adapter for what is not HTTP."""

# Nestipy is not typed throughout.
# pyright: basic

from typing import Any

from nestipy.core import NestipyFactory

from greenroom import ActorAdapter

from .module import ChatModule

# All that has to be said; which worker serves it makes no difference.
app = NestipyFactory.create(ChatModule)
# Any for type checkers alone: it is an IoAdapter where Nestipy is installed.
adapter: Any = ActorAdapter(path="/ws")
app.use_io_adapter(adapter)
