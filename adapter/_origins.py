"""Origins: which web pages may connect.

A browser sends a user's cookies along with a handshake, whatever page asked for
it, and tells the page in ``Origin``.  So that is looked at (RFC 6455, section
10.2); who is no browser can write there what it likes, and gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

_PORTS = {"http": ":80", "https": ":443"}


def is_trusted(origin: str | None, host: str, trusted: Sequence[str] | None) -> bool:
    """Whether a page of *origin* may connect to *host*.

    Args:
        origin: The Origin header; None where there is none.
        host: The Host header.
        trusted: Origins, ``https://*.example.com`` and ``*`` among them; None for
            the one whose host is *host*.
    """
    if origin is None:
        return True
    if trusted is None:
        return _is_same_host(origin, host)
    origin = origin.lower()
    return any(_matches(origin, pattern.lower()) for pattern in trusted)


def _matches(origin: str, pattern: str) -> bool:
    if pattern in ("*", origin):
        return True
    scheme, star, domain = pattern.partition("://*.")
    # The part in place of the star must be part of a host, and nothing else.
    return (
        bool(star)
        and origin.startswith(f"{scheme}://")
        and origin.endswith(f".{domain}")
        and all(
            c.isalnum() or c in "-." for c in origin[len(scheme) + 3 : -len(domain)]
        )
    )


def _is_same_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    default = _PORTS.get(parts.scheme)
    if default is None or not parts.netloc or "@" in parts.netloc:
        return False
    # Behind a proxy that ends TLS, the server does not know what port the client
    # has connected to; it must be that of the scheme, or be named.
    return _without(parts.netloc, default) == _without(host.lower(), default)


def _without(netloc: str, port: str) -> str:
    return netloc.removesuffix(port)
