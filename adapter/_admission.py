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

from ._addresses import host_of
from ._asgi import Scope
from ._bans import BANNED, Bans
from ._calling import Caller
from ._client import headers_of
from ._events import AUTHENTICATE_FAILED, AUTHENTICATE_SLOW
from ._handshake import Handshake, HandshakeRefused, Refusal
from ._handshake_rate import HandshakeRate
from ._identity import Identity
from ._kicks import Kicks
from ._options import Options
from ._origins import is_trusted
from ._whom import names_of

if TYPE_CHECKING:
    from ._client import Client, Link

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
        kicks: Who was put out, and may have been half in.
    """

    __slots__ = (
        "_addresses",
        "_by_address",
        "_most",
        "_origins",
        "_places",
        "_protocols",
        "_rate",
        "_seconds",
        "authenticate",
        "bans",
        "kicks",
    )

    def __init__(self, options: Options) -> None:
        self.authenticate: Authenticate | None = None
        self.bans = Bans(options.max_bans, anyio.current_time)
        self.kicks = Kicks(options.max_bans)
        self._rate = HandshakeRate(options, anyio.current_time)
        self._most = options.max_connections
        self._by_address = options.max_connections_per_address
        # Both are tuples since the options were checked.
        self._origins = cast("Sequence[str] | None", options.trusted_origins)
        self._protocols = cast("Sequence[str]", options.subprotocols)
        self._seconds = options.handshake_seconds
        self._places = 0
        self._addresses: Counter[str] = Counter()

    def clear(self) -> None:
        """Let everybody in again: the adapter starts, and its clock with it."""
        self.bans.clear()
        self.kicks.clear()
        self._rate.clear()

    def take_place(self, scope: Scope) -> str | None:
        """Take a place.

        Returns:
            Whose it is, to be told to `give_place_back`: by then handlers may have
            changed the scope.

        Raises:
            HandshakeRefused: There is none, or it is too early to ask.
        """
        host = host_of(scope)
        # Also if there is no room: who asks again and again shall not be first.
        if not self._rate.takes(host):
            raise Refusal("hurried")
        if self._places >= self._most:
            raise Refusal("full")
        if self._by_address and host is not None:
            if self._addresses[host] >= self._by_address:
                raise Refusal("address")
            self._addresses[host] += 1
        self._places += 1
        return host

    def give_place_back(self, host: str | None) -> None:
        """A place of *host* is free again."""
        self._places -= 1
        if self._by_address and host is not None:
            self._addresses[host] -= 1
            if not self._addresses[host]:
                del self._addresses[host]

    async def identify(self, scope: Scope, caller: Caller) -> Identity | None:
        """Who it is; None where nobody asks.

        Raises:
            HandshakeRefused: It may not come in.
        """
        headers = headers_of(scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        if not is_trusted(origin, host, self._origins):
            raise Refusal("origin")
        address = host_of(scope)
        if self.bans.holds("address", address):
            raise Refusal("banned")
        if self.authenticate is None:
            return None
        identity = await self._ask(self.authenticate, Handshake(scope), caller)
        # The address once more: the hook may have taken long.
        if self.bans.holds("address", address) or self.bans.holds(
            "user", identity.user
        ):
            raise Refusal("banned", identity)
        return identity

    def put_out_since(self, turn: int, client: Link) -> tuple[int, str] | None:
        """Why *client*, just accepted, is to be put out at once; None to let it be.

        That is if it was kicked or banned after *turn*, when it began to come in.
        """
        words = self.kicks.since(turn, client)
        if words is None and any(
            # Of which more hold, maybe, than there are kicks that are kept.
            self.bans.holds(name.kind, name.name)
            for name in names_of(client)
        ):
            return BANNED
        return words

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
                raise Refusal("failed") from error
        if limit.cancelled_caught:
            AUTHENTICATE_SLOW.log(address=handshake.address, seconds=self._seconds)
            raise Refusal("overdue")
        if answer is None:
            raise HandshakeRefused(401, "not authenticated")
        if not isinstance(answer, Identity):
            # What it returned may be a credential.
            kind = type(answer).__name__
            cause = f"must return an Identity or None, got a {kind}"
            AUTHENTICATE_FAILED.log(cause=cause)
            raise Refusal("failed")
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
