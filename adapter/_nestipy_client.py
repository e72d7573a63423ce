"""A client as gateways know it: ours, and Nestipy's ``Websocket`` as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar, Protocol, cast

from ._client import Client, Link


class _Connection(Link, Protocol):
    """The link of a client, in full."""

    def client(self, namespace: str) -> Client:
        """The client as handlers of *namespace* see it."""
        ...


class GatewayClient(Client):
    """A client that is a ``nestipy.websocket.Websocket`` as well.

    `client_class` makes the class that is both.  Where the two have the same
    name, as with ``headers`` or ``session``, it is `Client` that answers; what
    else a Nestipy request has, ``cookies`` or ``user``, works as there.
    """

    _websocket: ClassVar[Callable[..., object]]
    # The gateways whose guards have refused to greet it.
    refused_by: frozenset[object] = frozenset()

    def __init__(self, link: Link, namespace: str) -> None:
        super().__init__(link, namespace)
        # Websocket's own __init__ would assign what is read-only here.
        like = self._websocket(namespace, link.sid, None, link.scope, None, None)
        for name, value in vars(like).items():
            if not hasattr(self, name):
                vars(self)[name] = value

    @property
    def session(self) -> dict[str, Any]:
        """See `Client.session`; what is assigned replaces its content."""
        return self._link.session

    @session.setter
    def session(self, session: Mapping[str, Any]) -> None:
        content = dict(session)
        self._link.session.clear()
        self._link.session.update(content)

    async def send(self, message: object) -> None:
        """Refuse: past the outbox there is neither order nor backpressure."""
        raise RuntimeError(
            "client.send is not available; use await client.emit(event, data), "
            "or await client.disconnect(code, reason)"
        )

    async def receive(self) -> object:
        """Refuse: what the client sends goes to the handlers."""
        raise RuntimeError(
            "client.receive is not available; a client's messages are given to "
            "the methods that subscribe to them"
        )

    def seen_from(self, namespace: str) -> Client:
        """The same client as handlers of *namespace* see it."""
        # Every link is a connection; Client itself needs less of it.
        return cast("_Connection", self._link).client(namespace)


def client_class() -> type[Client]:
    """The class of clients that gateways can take for Nestipy's own."""
    websocket = import_module("nestipy.websocket").Websocket
    made = type("GatewayClient", (GatewayClient, websocket), {"_websocket": websocket})
    return cast("type[Client]", made)
