"""Addresses: as what a client's counts, where one host has many."""

from __future__ import annotations

import socket

from ._asgi import Scope
from ._client import address_of

_MAPPED = bytes(10) + b"\xff\xff"
_NETWORK = "/64"


def host_of(scope: Scope) -> str | None:
    """As what the client of *scope* counts; None for a Unix socket."""
    address = address_of(scope)
    return None if address is None else counted_as(address)


def counted_as(address: str) -> str:
    """What *address* is one of, as far as bounds and bans by address go.

    An IPv6 address is one of its /64: a host makes up the other half as it likes
    (RFC 8981).  Where all hosts of a link share one, each counts by itself.
    ``::ffff:192.0.2.1`` is ``192.0.2.1``.  What is no address counts as itself, and
    so does what this returns.
    """
    if ":" not in address:
        return address
    plain, percent, zone = address.removesuffix(_NETWORK).partition("%")
    try:
        # Not by ipaddress, which takes eight times as long: a ban looks at all.
        octets = socket.inet_pton(socket.AF_INET6, plain)
    except (OSError, ValueError):
        return address
    if octets.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, octets[12:])
    if octets[0] == 0xFE and octets[1] & 0xC0 == 0x80:
        return socket.inet_ntop(socket.AF_INET6, octets) + percent + zone
    return socket.inet_ntop(socket.AF_INET6, octets[:8] + bytes(8)) + _NETWORK
