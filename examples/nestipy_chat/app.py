"""The app: Nestipy's, with our adapter for what is not HTTP."""

from nestipy.core import NestipyFactory

from greenroom import ActorAdapter

from .module import ChatModule

# All that has to be said; which worker serves it makes no difference.
app = NestipyFactory.create(ChatModule)
app.use_io_adapter(ActorAdapter(path="/ws"))
