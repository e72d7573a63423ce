"""The guard: who has no name has no business here."""

# Nestipy's decorators say nothing of what they return.
# mypy: disable-error-code="untyped-decorator"
# pyright: basic

from nestipy.common import CanActivate, Injectable
from nestipy.core import ExecutionContext

from greenroom import Client

MAX_NAME = 24


@Injectable()
class Named(CanActivate):
    """Asks for a name, in the handshake's query."""

    async def can_activate(self, context: ExecutionContext) -> bool:
        """Let in who has one.

        What it refuses is answered ``unauthorized``.  At the door there is more
        that it can do: turn the client away.
        """
        client = context.switch_to_websocket().get_client()
        assert isinstance(client, Client)
        name = client.query_params.get("name", "").strip()
        if 0 < len(name) <= MAX_NAME:
            client.session["name"] = name
            return True
        client.reject(4401, "say who you are: /ws?name=Ann")
        return False
