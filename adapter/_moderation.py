"""Moderation: the adapter's half that puts clients out, and keeps them out."""

from __future__ import annotations

from ._bans import BANNED, Ban
from ._checks import check_number
from ._client import check_close
from ._events import BANNED_FROM, KICKED, UNBANNED
from ._server import Server
from ._whom import names_of, whom


class Moderation:
    """Base of `ActorAdapter`, which sets what is only declared here."""

    _server: Server

    async def kick(
        self,
        *,
        sid: str | None = None,
        user: str | None = None,
        address: str | None = None,
        code: int = 3003,
        reason: str = "kicked",
    ) -> int:
        """Disconnect one client, or all of a user or of an address.

        They may come back at once; see `ban`.  Does not wait for their end.

        Who is about to be accepted just then is disconnected as soon as it is.

        Args:
            sid: Which client; or else
            user: the user of its `Identity`; or else
            address: the address it comes from, as for `ban`.
            code: The close code, by default 3003, "Forbidden".
            reason: Words for the client.

        Returns:
            How many were connected.

        Raises:
            TypeError: Not exactly one of the three is given.
            ValueError: *code* or *reason* cannot stand in a close frame, or the name
                has more than 256 characters.
            NotRunning: The adapter is not running.
        """
        check_close(code, reason)
        self._server.require_running()
        meant = whom(sid, user, address)
        clients = self._server.kick(meant, code, reason)
        KICKED.log(
            kind=meant.kind, who=meant.name, clients=clients, code=code, reason=reason
        )
        return clients

    async def ban(
        self,
        *,
        sid: str | None = None,
        user: str | None = None,
        address: str | None = None,
        seconds: float | None = None,
        reason: str = "banned",
    ) -> int:
        """Refuse a user, or an address, from now on; disconnect who is there.

        By its sid, a client's user is banned; or its address, where it has no
        `Identity`.  One that has neither is only disconnected; one that has gone is
        not known any more, and nothing of it is banned.

        Bans are kept by this process, as long as the adapter runs and at most
        ``max_bans`` of them.

        Args:
            sid: Which client; or else
            user: the user of an `Identity`; or else
            address: the address a client comes from: behind a proxy, the proxy's.  An
                IPv6 address stands for its whole /64, of which one host may use
                any, and ``::ffff:192.0.2.1`` for ``192.0.2.1``.
            seconds: For how long; by default until the adapter stops.
            reason: Words for the clients.

        Returns:
            How many were connected.

        Raises:
            TypeError: Not exactly one of the three is given.
            ValueError: *reason* cannot stand in a close frame, *seconds* is no time,
                or the name has more than 256 characters.
            NotRunning: The adapter is not running.
        """
        check_close(BANNED[0], reason)
        if seconds is not None:
            check_number("seconds", seconds)
        meant = whom(sid, user, address)
        self._server.require_running()
        if sid is not None:
            connection = self._server.connections.get(sid)
            names = () if connection is None else names_of(connection)
            if not names:
                # As its only name a sid is a kick: it never comes again.
                return self._server.kick(meant, BANNED[0], reason)
            meant = names[0]
        self._server.admission.bans.add(meant.kind, meant.name, seconds)
        clients = self._server.kick(meant, BANNED[0], reason)
        BANNED_FROM.log(
            kind=meant.kind,
            who=meant.name,
            clients=clients,
            seconds=seconds,
            reason=reason,
        )
        return clients

    async def unban(
        self, *, user: str | None = None, address: str | None = None
    ) -> bool:
        """Let a user, or an address, in again; return whether it was banned.

        Raises:
            TypeError: Not exactly one of the two is given.
            ValueError: The name has more than 256 characters.
        """
        meant = whom(None, user, address)
        lifted = self._server.admission.bans.remove(meant.kind, meant.name)
        if lifted:
            UNBANNED.log(kind=meant.kind, who=meant.name)
        return lifted

    def bans(self) -> tuple[Ban, ...]:
        """Those that hold, in the order in which they were made."""
        return self._server.admission.bans.all()
