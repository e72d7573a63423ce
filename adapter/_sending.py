"""Sending: the adapter's half that speaks to clients, and knows who is there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, cast

from ._acks import Callback
from ._checks import check_int
from ._emitter import Emitter
from ._errors import ClientGone
from ._position import Kept, RoomHistory
from ._presence import PresenceCount, Present
from ._rooms import check_room, settled
from ._server import Server


class Sending:
    """Base of `ActorAdapter`, which sets what is only declared here."""

    _server: Server
    _emitter: Emitter

    @abstractmethod
    def _space(self, namespace: str | None) -> str:
        """*namespace* as it is on this adapter's wire."""

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: str | Iterable[str] | None = None,
        room: str | Iterable[str] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
        history: bool = False,
    ) -> None:
        """Send *event* to clients, rooms, or everyone; each gets it once.

        Encoded once, whatever the number of receivers.  To clients by sid, it
        returns when each outbox has accepted it, and waits while one is full.
        To rooms or everyone it waits only for the registry.  Does not yield
        while there is room.  What one task emits to a client arrives in the
        order emitted.

        Args:
            event: Its name.
            data: Whatever the codec can encode.
            to: One sid or several; room names work too.
            room: One room or several.  With neither, everyone.
            skip_sid: Who shall not get it.
            namespace: Of the event, and of the rooms; the root by default.
            callback: Called with the data of each ack that comes in time.
            ignore_queue: This process only, where there are several.
            volatile: Whose outbox is full does not get it: nobody waits, and
                nobody is disconnected, for it.
            history: Keep it for clients that are away, and come back with
                ``client.join(room, since=position)``, and for those that come with
                ``recent``; see `history`.  To exactly one *room*, and with neither
                *to* nor *callback* nor *volatile*.

        Raises:
            NotRunning: The adapter is not running.
            NotEncodable: *data* has no form on the wire.
            TypeError: An argument has the wrong type.
            ValueError: *history* cannot be.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}")
        if history:
            await self._emitter.emit_kept(
                event,
                data,
                room=_only_room(room, to, callback, volatile),
                skip=_names("skip_sid", skip_sid) or (),
                namespace=self._space(namespace),
            )
            return
        await self._emitter.emit(
            event,
            data,
            to=_names("to", to),
            rooms=_names("room", room),
            skip=_names("skip_sid", skip_sid) or (),
            namespace=self._space(namespace),
            callback=callback,
            volatile=volatile,
        )

    async def broadcast(self, event: str, data: Any = None) -> None:
        """Send *event* to everyone; see `emit`."""
        await self.emit(event, data)

    async def call(
        self,
        event: str,
        data: Any = None,
        *,
        to: str,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send *event* to one client and return the data of its ack.

        Raises:
            ClientGone: It is not connected, or left before it answered.
            ValueError: *timeout* is NaN.
            AckTimeout: No ack came in time.
            AckFailed: The client answered with an error.
            NotRunning: The adapter is not running.
        """
        self._server.require_running()
        connection = self._emitter.connection(to)
        if connection is None:
            raise ClientGone(to)
        return await connection.call(event, data, self._space(namespace), timeout)

    # -- who is there ------------------------------------------------------

    def presence(
        self, room: str, namespace: str | None = None, *, limit: int | None = None
    ) -> tuple[Present, ...]:
        """Who is present in *room*: who has entered with ``presence``.

        In the order of coming.  The room's members get the event ``presence`` when
        that changes, at most every ``presence_seconds``: ``{"room": ..., "joined":
        [{"user": ..., "info": ...}], "left": [user]}``.  A client that is given this,
        by a handler that has let it enter and waits for nothing in between, and
        that then applies each of those events, knows who is present.

        To give all of it to each of a crowd that comes costs the square of the
        crowd: bound it, and see `presence_count`.

        Args:
            room: Its name.
            namespace: Of the room; the root by default.
            limit: So many at most: those who came first.  By default all.

        Raises:
            TypeError, ValueError: *room* cannot name a room, or *limit* is no number.
            NotRunning: The adapter is not running.
        """
        group = self._group(room, namespace, limit)
        return self._server.presences.who(group, limit)

    def presence_count(self, room: str, namespace: str | None = None) -> PresenceCount:
        """How many are present in *room*; costs the same however many they are.

        Raises:
            ValueError: *room* cannot name a room.
            NotRunning: The adapter is not running.
        """
        return self._server.presences.count(self._group(room, namespace))

    # -- what was said -----------------------------------------------------

    async def history(
        self, room: str, namespace: str | None = None, *, limit: int | None = None
    ) -> RoomHistory:
        """What is kept of *room*: what was emitted to it with ``history=True``.

        What this task has emitted before is among it.  Waits for the registry.
        Each message is read anew, from the JSON that clients get: so ask for no
        more than is needed, and give clients ``client.join(room, recent=...)``,
        which reads nothing.

        Args:
            room: Its name.
            namespace: Of the room; the root by default.
            limit: So many at most: the newest.  By default all that are kept.

        Returns:
            The messages, and the position of who knows them.

        Raises:
            TypeError, ValueError: *room* cannot name a room, or *limit* is no number.
            NotRunning: The adapter is not running.
        """
        group = self._group(room, namespace, limit)
        server = self._server
        now = server.require_running().runtime.now
        await settled(server.registry)
        messages = server.histories.newest(group, limit, now())
        epoch, offset = server.histories.position(group)
        first = offset - len(messages) + 1
        read = server.codec.read_kept
        kept = tuple(
            Kept(number, *read(message.frame))
            for number, message in enumerate(messages, first)
        )
        return RoomHistory(kept, epoch, offset)

    async def forget_history(self, room: str, namespace: str | None = None) -> None:
        """Keep nothing of *room* any more, what this task has emitted included.

        Its history begins anew, with another epoch: who comes back with a position
        is not recovered.  Its members keep what they have; tell them, if they
        shall not.

        Raises:
            ValueError: *room* cannot name a room.
            NotRunning: The adapter is not running.
        """
        group = self._group(room, namespace)
        await settled(self._server.registry)
        self._server.histories.forget(group)

    def _group(
        self, room: str, namespace: str | None, limit: int | None = None
    ) -> tuple[str, str]:
        check_room(room)
        if limit is not None:
            check_int("limit", limit, 0)
        self._server.require_running()
        return self._space(namespace), room


def _names(argument: str, value: object) -> tuple[str, ...] | None:
    """One name or several, as a tuple."""
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable):
        raise TypeError(f"{argument} must be a str or several, got {value!r}")
    names: list[str] = []
    for name in cast("Iterable[object]", value):
        if not isinstance(name, str):
            raise TypeError(f"{argument} must be a str or several, got {name!r} in it")
        names.append(name)
    return tuple(names)


def _only_room(room: object, to: object, callback: object, volatile: bool) -> str:
    """The one room of an emit that is kept."""
    rooms = _names("room", room) or ()
    if len(rooms) != 1 or to is not None or callback is not None or volatile:
        raise ValueError(
            "with history an emit must have exactly one room, and neither to nor "
            f"callback nor volatile, got room={room!r}"
        )
    check_room(rooms[0])
    return rooms[0]
