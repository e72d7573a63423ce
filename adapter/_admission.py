"""Admission: who may come in.

The cheap questions before the dear ones: is there room, is the page trusted, is
the address banned; then the application's own, within a deadline; then whether
the user it found is banned.  A place is taken before any of them, so that slow
handshakes are bounded by the same number as connections.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

import anyio

from ._asgi import Scope
from ._bans import Bans
from ._calling import Caller
from ._client import address_of, headers_of
from ._events import AUTHENTICATE_FAILED
from ._handshake import Handshake, HandshakeOverdue, HandshakeRefused
from ._identity import Identity
from ._options import Options
from ._origins import is_trusted

if TYPE_CHECKING:
    from ._client import Client

Authenticate: TypeAlias = Callable[
    [Handshake], Awaitable[Identity | None] | Identity | None
]
"""``authenticate(handshake)``, async or plain."""


@final
class Admission:
    """The way in to one adapter.

    Attributes:
        authenticate: The application's own word; None to let in whoever comes.
        bans: Who may not come in.
    """

    __slots__ = (
        "_addresses",
        "_by_address",
        "_most",
        "_origins",
        "_places",
        "_protocols",
        "_seconds",
        "authenticate",
        "bans",
    )

    def __init__(self, options: Options) -> None:
        self.authenticate: Authenticate | None = None
        self.bans = Bans(options.max_bans, anyio.current_time)
        self._most = options.max_connections
        self._by_address = options.max_connections_per_address
        # Both are tuples since the options were checked.
        self._origins = cast("Sequence[str] | None", options.trusted_origins)
        self._protocols = cast("Sequence[str]", options.subprotocols)
        self._seconds = options.handshake_seconds
        self._places = 0
        self._addresses: Counter[str] = Counter()

    def take_place(self, scope: Scope) -> None:
        """Take a place, to be given back by `give_place_back`.

        Raises:
            HandshakeRefused: There is none.
        """
        if self._places >= self._most:
            raise HandshakeRefused(503, "full")
        if self._by_address and (address := address_of(scope)) is not None:
            if self._addresses[address] >= self._by_address:
                raise HandshakeRefused(429, "too many connections from one address")
            self._addresses[address] += 1
        self._places += 1

    def give_place_back(self, scope: Scope) -> None:
        """The place of *scope* is free again."""
        self._places -= 1
        if self._by_address and (address := address_of(scope)) is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def identify(self, scope: Scope, caller: Caller) -> Identity | None:
        """Who it is; None where nobody asks.

        Raises:
            HandshakeRefused: It may not come in.
        """
        headers = headers_of(scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        if not is_trusted(origin, host, self._origins):
            raise HandshakeRefused(403, "origin is not trusted")
        if self.bans.holds("address", address_of(scope)):
            raise HandshakeRefused(403, "banned")
        if self.authenticate is None:
            return None
        identity = await self._ask(self.authenticate, Handshake(scope), caller)
        if self.bans.holds("user", identity.user):
            raise HandshakeRefused(403, "banned")
        return identity

    async def _ask(
        self, authenticate: Authenticate, handshake: Handshake, caller: Caller
    ) -> Identity:
        def ask(event: str, client: Client, data: Any) -> Any:
            return authenticate(handshake)

        answer: object = None
        with anyio.move_on_after(self._seconds) as limit:
            try:
                # There is no client yet, and nobody looks at it.
                answer = await caller.call(ask, "", cast("Client", None), None)
            except HandshakeRefused:
                raise
            except Exception as error:
                AUTHENTICATE_FAILED.log(error, cause="raised")
                raise HandshakeRefused(500, "authenticate failed") from error
        if limit.cancelled_caught:
            cause = f"took longer than {self._seconds:g} s"
            AUTHENTICATE_FAILED.log(cause=cause)
            raise HandshakeOverdue(503, "authenticate took too long")
        if answer is None:
            raise HandshakeRefused(401, "not authenticated")
        if not isinstance(answer, Identity):
            # What it returned may be a credential.
            kind = type(answer).__name__
            cause = f"must return an Identity or None, got a {kind}"
            AUTHENTICATE_FAILED.log(cause=cause)
            raise HandshakeRefused(500, "authenticate failed")
        return answer

    def subprotocol(self, scope: Scope) -> str | None:
        """What is agreed of what the client offers; None for nothing.

        RFC 6455, section 4.2.2: a client that wants one then fails by itself.
        """
        offered = scope.get("subprotocols") or ()
        return next((name for name in self._protocols if name in offered), None)


def check_authenticate(hook: object) -> None:
    """Refuse what cannot be asked who a client is."""
    if not callable(hook):
        raise TypeError(f"authenticate must decorate a function, got {hook!r}")
    try:
        inspect.signature(hook).bind(None)
    except TypeError:
        raise TypeError(
            f"authenticate must decorate a function of the handshake, got {hook!r}"
        ) from None
    except ValueError:
        pass  # written in C: it says nothing
