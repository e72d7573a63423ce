"""Handshake: a client that asks to come in, as the application may look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from ._asgi import Scope
from ._client import address_of, headers_of, query_of
from ._identity import Identity


class HandshakeRefused(Exception):
    """Raise it in the hook of `ActorAdapter.authenticate` to turn a client away.

    Attributes:
        status: The HTTP status, 400 to 599; sent where the server can.
        reason: A word for logs and for the answer's body.
    """

    def __init__(self, status: int = 403, reason: str = "refused") -> None:
        super().__init__(status, reason)
        self.status: int = _check_status(status)
        self.reason: str = _check_reason(reason)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


REFUSALS = {
    "full": (503, "full"),
    "address": (429, "too many connections from one address"),
    "hurried": (429, "too many handshakes from one address"),
    "stopped": (503, "not running"),
    "draining": (503, "draining"),
    "origin": (403, "origin is not trusted"),
    "banned": (403, "banned"),
    "overdue": (503, "authenticate took too long"),
    "failed": (500, "authenticate failed"),
}
"""Why the adapter itself refuses a handshake: the cause, and what the client hears."""


@final
class Refusal(HandshakeRefused):
    """A handshake is refused, and not by what the hook has said.

    Attributes:
        cause: One of `REFUSALS`.
        user: Who it was, where that was known already.
    """

    def __init__(self, cause: str, identity: Identity | None = None) -> None:
        super().__init__(*REFUSALS[cause])
        self.cause = cause
        self.user = None if identity is None else identity.user


@final
class Handshake:
    """What a client says of itself before it is accepted.

    All of it comes from the client, and none of it is true because it says so.
    Its ``repr`` shows no credentials.

    Attributes:
        scope: The ASGI scope.
    """

    __slots__ = ("scope",)

    def __init__(self, scope: Scope) -> None:
        self.scope: Scope = scope

    def __repr__(self) -> str:
        return f"<Handshake {self.path!r:.64} from {self.address}>"

    @property
    def path(self) -> str:
        """The path of its URL."""
        path: str = self.scope["path"]
        return path

    @property
    def address(self) -> str | None:
        """Its address, as the server reports it: behind a proxy, the proxy's."""
        return address_of(self.scope)

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, names in lower case; repeated ones joined."""
        return headers_of(self.scope)

    @property
    def query_params(self) -> Mapping[str, str]:
        """The parameters of its URL; of repeated ones the last."""
        return query_of(self.scope)

    @property
    def origin(self) -> str | None:
        """Where the page comes from that connects, if a browser says so."""
        return self.headers.get("origin")

    @property
    def cookies(self) -> Mapping[str, str]:
        """Its cookies, as they were set; of repeated ones the last."""
        # Not by http.cookies: on CPython 3.11.7 it takes 18 seconds for a cookie
        # of 64 kB that is made for it.
        cookies: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.partition("=")
            if equals and (name := name.strip()):
                # RFC 6265, section 4.1.1: it may stand in quotes.
                value = value.strip()
                quoted = len(value) > 1 and value[0] == value[-1] == '"'
                cookies[name] = value[1:-1] if quoted else value
        return cookies

    @property
    def token(self) -> str | None:
        """The bearer token: of ``authorization``, else ``access_token`` of the URL.

        A browser can send no header of its choice with a WebSocket, and URLs are
        written to logs: let a token in a URL live for seconds (RFC 6750, section
        2.3), or use a cookie.
        """
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return token.strip()
        return self.query_params.get("access_token") or None


def _check_status(status: object) -> int:
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"status must be an int, got {status!r}")
    if not 400 <= status <= 599:
        raise ValueError(f"status must be 400 to 599, got {status!r}")
    return status


def _check_reason(reason: object) -> str:
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, got {reason!r}")
    if len(reason) > 200 or not reason.isprintable():
        raise ValueError("reason must be printable, of at most 200 characters")
    return reason
