"""Rooms: groups of clients in the registry, and the rooms of one client.

A group is ``(namespace, room)``, and `ALL` is everyone.  The mailbox of a member
is its outbox.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast, final

from ..actors import ActorError, ActorNotAlive, ActorRef, Mailbox, Registry
from ._errors import ClientGone
from ._history import History, OutboxFull, Replay
from ._identity import SID_PREFIX
from ._outgoing import Outgoing
from ._position import Joined

ALL = "all"
"""The group of everyone."""

# Clients say what rooms are called, as often as not.
_MAX_ROOM = 256


@final
class Rooms:
    """The rooms that one client is in."""

    __slots__ = ("_left", "_limit", "_outbox", "_ref", "_registry")

    def __init__(
        self,
        registry: Registry,
        ref: ActorRef[Any],
        outbox: Mailbox[Outgoing],
        limit: int,
    ) -> None:
        self._registry = registry
        self._ref = ref
        self._outbox = outbox
        self._limit = limit
        # Those it was in, once it has left them all.
        self._left: tuple[tuple[str, str], ...] = ()

    def _groups(self) -> tuple[tuple[str, str], ...]:
        groups = self._registry.groups_of(self._ref)
        return tuple(group for group in groups if group != ALL)

    def names(self, namespace: str) -> frozenset[str]:
        """The rooms of *namespace* it is in, or was in before it left."""
        groups = self._groups() or self._left
        return frozenset(room for space, room in groups if space == namespace)

    async def enter_all(self) -> None:
        """From now on it gets what is sent to everyone."""
        # It may leave meanwhile.
        with suppress(ActorNotAlive):
            await self._registry.join(ALL, self._ref, mailbox=self._outbox)

    async def join(
        self,
        namespace: str,
        room: str,
        history: History,
        since: tuple[str, int] | None,
        recent: int,
        introduce: Callable[[], None] | None,
    ) -> Joined:
        """Enter *room*; see `Client.join`.

        Args:
            namespace: Of the room.
            room: Its name.
            history: Where messages are kept.
            since: The client's position.
            recent: How many of the last messages it gets otherwise.
            introduce: Called once it is in the room.
        """
        group = namespace, room
        replay = Replay(history, group, since, recent, self._outbox)
        now = self._registry.context.runtime.now
        is_new = not self._registry.is_member(group, self._ref)
        if is_new and len(self._groups()) >= self._limit:
            raise ValueError(
                f"client {self._ref.name} is in {self._limit} rooms, the most it may"
            )

        def enter() -> Joined:
            joined = replay.finish(now(), waits=is_new)
            if introduce is not None:
                introduce()
            return joined

        if not is_new and since is None and not recent and introduce is None:
            return enter()
        join, outbox = self._registry.join, self._outbox
        try:
            while True:
                try:
                    joined = await join(group, self._ref, mailbox=outbox, in_turn=enter)
                    return cast("Joined", joined)
                except OutboxFull as full:
                    if not await self._registry.deliver(outbox, full.message):
                        raise ClientGone(self._ref.name) from None
                    replay.went()
        except ActorNotAlive:
            raise ClientGone(self._ref.name) from None

    async def leave(self, namespace: str, room: str) -> None:
        """Leave *room*; see `Client.leave`."""
        # See leave_all.
        with suppress(ActorError):
            await self._registry.leave((namespace, room), self._ref)

    async def leave_all(self) -> None:
        """Leave every room, for ever."""
        self._left = self._groups()
        # The registry may be ending too; then there are no rooms to leave.
        with suppress(ActorError):
            await self._registry.leave_all(self._ref)


def check_room(room: object) -> None:
    """Refuse what cannot name a room.

    Raises:
        ValueError: It is not a str of 1 to 256 characters, or looks like a sid.
    """
    if not isinstance(room, str) or not 0 < len(room) <= _MAX_ROOM:
        raise ValueError(
            f"room must be a str of 1 to {_MAX_ROOM} characters, got {room!r:.64}"
        )
    if room.startswith(SID_PREFIX):
        raise ValueError(f"room must not begin with {SID_PREFIX!r}, got {room!r}")


async def settled(registry: Registry) -> None:
    """Wait until *registry* has carried out all that it was told before."""
    # An order that changes nothing is answered in its turn.  A registry that
    # has ended has nothing left to carry out.
    with suppress(ActorError):
        await registry.unregister(None, registry.context.ref)
