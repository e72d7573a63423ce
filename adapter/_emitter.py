"""Emitter: encode once, tell the registry; wait for nobody but those named.

A message to a room or to all is told to the registry, which passes it on
without waiting.  A message to clients named by their sid waits until their
outbox has room, and keeps its place behind what was told to the registry before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, final

from anyio.lowlevel import checkpoint

from ..actors import ActorNotAlive, ActorRef, DeadLetter, Undelivered
from ._acks import Callback
from ._connection import Connection
from ._dispatcher import check_event
from ._errors import NotRunning
from ._identity import SID_PREFIX
from ._outgoing import Outgoing
from ._rooms import ALL
from ._server import Server


@final
class Emitter:
    """The outbound half of the adapter."""

    __slots__ = ("_server",)

    def __init__(self, server: Server) -> None:
        self._server = server

    async def emit(
        self,
        event: str,
        data: object,
        *,
        to: tuple[str, ...] | None,
        rooms: tuple[str, ...] | None,
        skip: tuple[str, ...],
        namespace: str,
        callback: Callback | None,
        volatile: bool,
    ) -> None:
        """Send *event*; to everyone if neither *to* nor *rooms* is given."""
        server = self._server
        server.require_running()
        check_event(event)
        options = server.options
        id = None if callback is None else server.next_id()
        item = Outgoing(
            server.codec.event(event, data, namespace, id),
            id=id,
            callback=callback,
            seconds=options.ack_seconds,
            volatile=volatile,
            overflow=options.overflow_in(namespace),
            # The latest of this event is what is latest in the same rooms.
            key=(namespace, event, to, rooms),
        )
        skipped = self._refs(skip)
        if to is None and rooms is None:
            await self._publish([ALL], item, skipped)
            return
        # A sid is a room with one client in it, whichever argument it came by.
        names = dict.fromkeys((*(to or ()), *(rooms or ())))
        groups = [(namespace, name) for name in names if name[:1] != SID_PREFIX]
        sids = [name for name in names if name[:1] == SID_PREFIX and name not in skip]
        if groups:
            # Who is named gets it by name, and not from a room as well.
            skipped |= self._refs(sids)
            await self._publish(groups, item, skipped)
        for sid in sids:
            await self._send(sid, item)

    async def emit_kept(
        self,
        event: str,
        data: object,
        *,
        room: str,
        skip: tuple[str, ...],
        namespace: str,
    ) -> None:
        """Send *event* to *room*, and keep it for who is away."""
        server = self._server
        now = server.require_running().runtime.now
        check_event(event)
        group = namespace, room
        overflow = server.options.overflow_in(namespace)
        key = (namespace, event, None, (room,))
        # Encoded here, where what is wrong with it can be told; its offset it has
        # when its turn has come.
        frame_at = server.codec.kept(event, data, namespace, room)

        def make(offset: int) -> Outgoing:
            return Outgoing(frame_at(offset), overflow=overflow, key=key)

        def keep(_: object) -> Outgoing:
            return server.histories.append(group, now(), make)

        await self._publish([group], None, self._refs(skip), keep)

    async def _publish(
        self,
        groups: Sequence[Hashable],
        item: Outgoing | None,
        skip: frozenset[ActorRef[Any]],
        in_turn: Callable[[Any], Outgoing] | None = None,
    ) -> None:
        registry = self._server.registry
        try:
            await registry.publish(groups, item, skip=skip, in_turn=in_turn)
        except ActorNotAlive:
            raise NotRunning("the adapter is stopping") from None

    async def _send(self, sid: str, item: Outgoing) -> None:
        server = self._server
        connection = self.connection(sid)
        if connection is not None and await connection.send(item):
            return
        server.count("unknown_recipients")
        letter = DeadLetter(
            item.frame, f"/_connections/{sid}", Undelivered.NO_RECIPIENT
        )
        server.require_running().dead_letters.publish(letter)
        # A loop that emits to one who has left must not keep the others from
        # running.
        await checkpoint()

    def _refs(self, sids: Iterable[str]) -> frozenset[ActorRef[Any]]:
        live = self._server.connections
        return frozenset(
            live[sid].context.ref for sid in sids if sid in live and live[sid].is_set_up
        )

    def connection(self, sid: str) -> Connection | None:
        """The connection of *sid*, if it is connected."""
        connection = self._server.connections.get(sid)
        return connection if connection is not None and connection.is_set_up else None
