"""NamedRef: a ref by name, looked up whenever it is used.

For actors that come and go under one name: a ref is to one of them, and outlives
it in vain; a name is for the next one as well.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, Protocol, TypeVar, final, overload

from ._address import DEFAULT_ASK_TIMEOUT
from ._ask import Request
from ._errors import UnknownName
from ._exit import ExitReason
from ._ref import ActorRef, Monitor
from ._request import PendingReply

M_contra = TypeVar("M_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Names(Protocol):
    """Where names are looked up."""

    def whereis(self, key: Hashable) -> ActorRef[Any] | None:
        """Who holds *key*; None if nobody does."""
        ...


@final
class NamedRef(Generic[M_contra]):
    """What an `ActorRef` can do, for whoever holds a name at that moment.

    From `Registry.via`.  Each method looks the name up once, when it is called,
    and raises `UnknownName` if nobody holds it; what was accepted then is that
    actor's, whoever holds the name later.  The name stays while its actor
    restarts, and so does what waits for it.
    """

    __slots__ = ("_names", "key")

    def __init__(self, names: Names, key: Hashable) -> None:
        self._names = names
        self.key: Hashable = key

    def __repr__(self) -> str:
        return f"<NamedRef {self.key!r}>"

    @property
    def ref(self) -> ActorRef[M_contra]:
        """The ref of the one who holds the name; raises `UnknownName`."""
        return self._find(None)

    def _find(self, message: object) -> ActorRef[Any]:
        ref = self._names.whereis(self.key)
        if ref is None:
            raise UnknownName(self.key, message)
        return ref

    @property
    def alive(self) -> bool:
        """Whether somebody holds the name, and takes messages."""
        ref = self._names.whereis(self.key)
        return ref is not None and ref.alive

    def tell(self, message: M_contra) -> None:
        """See `ActorRef.tell`."""
        self._find(message).tell(message)

    def try_tell(self, message: M_contra) -> bool:
        """See `ActorRef.try_tell`; False if nobody holds the name."""
        ref = self._names.whereis(self.key)
        return ref is not None and ref.try_tell(message)

    async def send(self, message: M_contra, *, timeout: float | None = None) -> None:
        """See `ActorRef.send`."""
        await self._find(message).send(message, timeout=timeout)

    @overload
    async def ask(
        self, message: Request[R_co], *, timeout: float | None = ...
    ) -> R_co: ...

    @overload
    async def ask(
        self, message: M_contra, *, timeout: float | None = ...
    ) -> object: ...

    async def ask(
        self, message: object, *, timeout: float | None = DEFAULT_ASK_TIMEOUT
    ) -> object:
        """See `ActorRef.ask`."""
        return await self._find(message).ask(message, timeout=timeout)

    @overload
    def request(
        self, message: Request[R_co], *, timeout: float | None = ...
    ) -> PendingReply[R_co]: ...

    @overload
    def request(
        self, message: M_contra, *, timeout: float | None = ...
    ) -> PendingReply[object]: ...

    def request(
        self, message: object, *, timeout: float | None = None
    ) -> PendingReply[Any]:
        """See `ActorRef.request`."""
        return self._find(message).request(message, timeout=timeout)

    async def stop(
        self, reason: ExitReason | None = None, *, timeout: float | None = None
    ) -> ExitReason:
        """See `ActorRef.stop`."""
        return await self._find(None).stop(reason, timeout=timeout)

    def monitor(self) -> Monitor:
        """See `ActorRef.monitor`: a watch on the actor, not on the name."""
        return self._find(None).monitor()
