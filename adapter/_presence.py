"""Presence: who is in a room, and the news of it.

Several connections of one user are one presence.  It ends with the membership,
however that ends.  What changes in a room is told to it once in a while, in one
message: a crowd that comes at once costs each member one message, not a crowd
of them.

The law: who reads who is present, as a member of the room, and applies all the
news that come to it after, knows who is present.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast, final

from orjson import loads

from ..actors import ActorError, ActorRef, Left, Registry
from ._alarm import ring_after
from ._codec import Codec, NotEncodable, to_json
from ._events import PRESENCE_NOT_TOLD
from ._history import Group
from ._options import Options
from ._outgoing import Outgoing

_MAX_INFO = 4096
# Of an outbox, at most, for the news of one interval.
_SHARE = 4
# What an entry of the news takes besides its user and its info.
_FRAME = 24

EVENT = "presence"


@final
@dataclass(frozen=True, slots=True)
class Present:
    """A user who is in a room.

    Attributes:
        user: The user of the `Identity`; of a client that has none, its sid, which
            begins with ``~``, as the user of no `Identity` does.
        info: What was said of it with ``join(presence=...)``, by its newest
            connection.  All who look share it: it is not to be changed.
        connections: How many connections it is there with.
        since: When it came, in Unix time.
    """

    user: str
    info: dict[str, Any]
    connections: int
    since: float


@final
@dataclass(frozen=True, slots=True)
class PresenceCount:
    """How many are in a room.

    Attributes:
        users: Who are present.
        connections: What they are there with, together.
    """

    users: int = 0
    connections: int = 0


@final
@dataclass(frozen=True, slots=True)
class Card:
    """What a connection shows of its user."""

    user: str
    # As JSON: what is made of it takes up to 37 times as much.
    text: bytes
    size: int

    @property
    def info(self) -> dict[str, Any]:
        """What it says; a copy."""
        return cast("dict[str, Any]", loads(self.text))


def make_card(user: str, presence: bool | Mapping[str, Any]) -> Card | None:
    """What is shown of *user*; nothing, if *presence* is False.

    Raises:
        TypeError: *presence* is neither a bool nor a mapping.
        NotEncodable: It has no form in JSON.
        ValueError: It is too large.
    """
    if presence is False:
        return None
    if presence is True:
        return Card(user, b"{}", _FRAME + len(user))
    if not isinstance(presence, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # for who has no types
        raise TypeError(f"presence must be a bool or a mapping, got {presence!r:.64}")
    text = to_json(dict(presence), EVENT).encode()
    if len(text) > _MAX_INFO:
        raise ValueError(f"presence must be at most {_MAX_INFO} bytes of JSON")
    return Card(user, text, _FRAME + len(user) + len(text))


@final
class _User:
    """One user in one room."""

    __slots__ = ("connections", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        # The newest last.
        self.connections: list[tuple[ActorRef[Any], Card]] = []

    def forget(self, ref: ActorRef[Any]) -> None:
        self.connections = [each for each in self.connections if each[0] is not ref]


@final
class _Change:
    """A user has changed since the room was last told of it.

    Attributes:
        told: What it was told; None, that the user is not there.
        looks: How often somebody had looked when the user changed last.
        was_seen: Whether somebody may know something else of it, which was so
            in between.
    """

    __slots__ = ("looks", "told", "was_seen")

    def __init__(self, told: Card | None, looks: int) -> None:
        self.told = told
        self.looks = looks
        self.was_seen = False


@final
class _Roll:
    """Who is present in one room."""

    __slots__ = ("_by_ref", "_changes", "_looks", "_snapshot", "users")

    def __init__(self) -> None:
        self.users: dict[str, _User] = {}
        self._by_ref: dict[ActorRef[Any], str] = {}
        # By user, in the order of the first change.
        self._changes: dict[str, _Change] = {}
        # How often somebody has looked who is there.
        self._looks = 0
        self._snapshot: tuple[Present, ...] | None = None

    def enter(self, ref: ActorRef[Any], card: Card) -> None:
        """*ref* is there, and shows *card* from now on."""
        user = card.user
        self._touch(user)
        held = self.users.get(user)
        if held is None:
            held = self.users[user] = _User(time.time())
        if self._by_ref.get(ref) == user:
            held.forget(ref)
        else:
            self.leave(ref)
        held.connections.append((ref, card))
        self._by_ref[ref] = user

    def leave(self, ref: ActorRef[Any]) -> bool:
        """*ref* is not there any more; return whether it was."""
        user = self._by_ref.pop(ref, None)
        if user is None:
            return False
        self._touch(user)
        held = self.users[user]
        held.forget(ref)
        if not held.connections:
            del self.users[user]
        return True

    def _card(self, user: str) -> Card | None:
        held = self.users.get(user)
        return None if held is None else held.connections[-1][1]

    def _touch(self, user: str) -> None:
        """*user* is about to change."""
        self._snapshot = None
        change = self._changes.get(user)
        if change is None:
            self._changes[user] = _Change(self._card(user), self._looks)
        elif change.looks != self._looks:
            change.looks = self._looks
            # Whoever looked may have seen what nobody is told.
            change.was_seen |= self._card(user) != change.told

    def snapshot(self, limit: int | None) -> tuple[Present, ...]:
        """Who is there, in the order of coming; the first *limit*, or all."""
        self._looks += 1
        if self._snapshot is not None:
            return self._snapshot[:limit]
        seen = tuple(
            Present(
                user, held.connections[-1][1].info, len(held.connections), held.since
            )
            for user, held in islice(self.users.items(), limit)
        )
        if limit is None:
            self._snapshot = seen
        return seen

    def forget_snapshot(self) -> None:
        """Let go of it: it takes more than all that it is made of."""
        self._snapshot = None

    def count(self) -> PresenceCount:
        """How many are there; nobody sees who, so it is no look."""
        return PresenceCount(len(self.users), len(self._by_ref))

    def news(self, limit: int) -> tuple[list[dict[str, Any]], list[str]]:
        """Who has come, or shows something else, and who has left.

        About *limit* bytes of it; there may be `more`.
        """
        joined: list[dict[str, Any]] = []
        left: list[str] = []
        size = 0
        for user, change in list(self._changes.items()):
            card = self._card(user)
            # Who has come and left again is no news.
            if card != change.told or change.was_seen:
                size += _FRAME + len(user) if card is None else card.size
                if size > limit and (joined or left):
                    break
                if card is None:
                    left.append(user)
                else:
                    joined.append({"user": user, "info": card.info})
            del self._changes[user]
        return joined, left

    @property
    def more(self) -> bool:
        """Whether there is something that was not told yet."""
        return bool(self._changes)


@final
class Presences:
    """Who is present, in all rooms.

    Args:
        registry: Who is in which room.
        codec: Puts the news on the wire.
        options: How often there are news.
    """

    __slots__ = (
        "_changed",
        "_codec",
        "_listens",
        "_options",
        "_registry",
        "_rolls",
        "_seen",
        "_waits",
    )

    def __init__(self, registry: Registry, codec: Codec, options: Options) -> None:
        self._registry = registry
        self._codec = codec
        self._options = options
        self._rolls: dict[Group, _Roll] = {}
        # Only of the latest that was looked at the snapshot is kept.
        self._seen = _Roll()
        # Where there may be news, in the order of the first change.
        self._changed: dict[Group, None] = {}
        # Whether they are going to be told, or just are.
        self._waits = False
        # An adapter whose rooms have no presence does not pay for it.
        self._listens = False

    def __len__(self) -> int:
        # A copy: it may be the thread of an exporter that asks.
        return sum(len(roll.users) for roll in self._rolls.copy().values())

    def enter(self, group: Group, ref: ActorRef[Any], card: Card) -> None:
        """*ref*, which is in the room, shows *card* from now on."""
        if not self._listens:
            self._listens = True
            self._registry.listen(self._hear)
        self._rolls.setdefault(group, _Roll()).enter(ref, card)
        self._change(group)

    def _hear(self, event: object) -> None:
        if isinstance(event, Left):
            self.leave(cast("Group", event.group), event.ref)

    def leave(self, group: Group, ref: ActorRef[Any]) -> None:
        """*ref* is not present any more, whether it has left the room or not."""
        roll = self._rolls.get(group)
        if roll is not None and roll.leave(ref):
            self._change(group)

    def who(self, group: Group, limit: int | None) -> tuple[Present, ...]:
        """Who is present in the room, in the order of coming; so many, or all."""
        roll = self._rolls.get(group)
        if roll is None:
            return ()
        if roll is not self._seen:
            self._seen.forget_snapshot()
            self._seen = roll
        return roll.snapshot(limit)

    def count(self, group: Group) -> PresenceCount:
        """How many are present in the room."""
        roll = self._rolls.get(group)
        return PresenceCount() if roll is None else roll.count()

    # -- the news ----------------------------------------------------------

    def _change(self, group: Group) -> None:
        self._changed[group] = None
        if not self._waits:
            self._wait()

    def _wait(self) -> None:
        self._waits = True
        runtime = self._registry.context.runtime
        ring_after(runtime, self._options.presence_seconds, self._ring)

    def _ring(self) -> None:
        self._registry.context.runtime.start_task(self._tell)

    async def _tell(self) -> None:
        """Tell each room its news; what comes meanwhile is for the next time."""
        try:
            for group in tuple(self._changed):
                await self._tell_room(group)
        except ActorError:
            self._changed.clear()  # the registry has ended: nobody is there
        finally:
            self._waits = False
            if self._changed:
                self._wait()

    async def _tell_room(self, group: Group) -> None:
        roll = self._rolls[group]
        joined, left = roll.news(self._options.outbox_bytes // _SHARE)
        if not roll.more:
            del self._changed[group]
            if not roll.users:
                del self._rolls[group]
        if not joined and not left:
            return
        namespace, room = group
        data = {"room": room, "joined": joined, "left": left}
        try:
            frame = self._codec.event(EVENT, data, namespace, None)
        except NotEncodable as error:
            PRESENCE_NOT_TOLD.log(error, room=room)
            return
        overflow = self._options.overflow_in(namespace)
        # No key that another has: it is no later state of an earlier one.
        item = Outgoing(frame, overflow=overflow, key=object())
        await self._registry.publish([group], item)
