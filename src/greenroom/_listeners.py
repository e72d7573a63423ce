"""Listeners: the sockets that hypercorn gets, bound before it starts.

So an address that is taken is known before the app starts, and the port that was
chosen before clients come.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

if TYPE_CHECKING:
    from hypercorn.config import Config

Name: TypeAlias = tuple[int, Any]
"""Address family of a socket, and what it is called there."""

_DEFAULT_PORT = 8000  # hypercorn's
_INTERNET = socket.AF_INET, socket.AF_INET6
_ANYWHERE = "0.0.0.0", "::"


@final
class Listeners:
    """A context manager: closes on the way out what was not handed over.

    Args:
        config: Says where, unless *bind* does.
        bind: One or several addresses in hypercorn's words.

    Attributes:
        config: A copy of the one given, for the sockets that are bound.
        urls: Where clients find them.

    Raises:
        TypeError, ValueError: *bind* is no address.
        OSError: It cannot be listened there.
    """

    def __init__(self, config: Config, bind: str | Sequence[str] | None) -> None:
        self.config = copy(config)
        binds = check_bind(config.bind if bind is None else bind)
        self.urls: list[str] = []
        self._names: list[Name] = []
        self._sockets: list[socket.socket] = []
        secure = self.config.ssl_enabled
        try:
            self.config.bind = self._open(binds, "https" if secure else "http")
            if secure:
                insecure = self.config.insecure_bind
                self.config.insecure_bind = self._open(insecure, "http")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Listeners:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was not handed over."""
        while self._sockets:
            self._sockets.pop().close()

    def hand_over(self) -> None:
        """Leave the sockets to hypercorn, which knows them by number."""
        while self._sockets:
            self._sockets.pop().detach()

    def cut_connections(self) -> int:
        """End all connections that were accepted here, whatever they wait for.

        Whoever holds one is told by the kernel that the peer has left.  Returns how
        many there were.
        """
        count = 0
        for connection in _open_sockets():
            # Not connected, or not any more, else.
            with connection, suppress(OSError):
                connection.getpeername()
                if self._accepted(connection):
                    connection.shutdown(socket.SHUT_RDWR)
                    count += 1
        return count

    def _accepted(self, connection: socket.socket) -> bool:
        """Whether *connection* has the local address of one of ours."""
        family, found = connection.family, connection.getsockname()
        names = [name for known, name in self._names if known == family]
        if family not in _INTERNET:
            return found in names
        return any(
            name[1] == found[1] and name[0] in (*_ANYWHERE, found[0]) for name in names
        )

    def _open(self, binds: Iterable[str], scheme: str) -> list[str]:
        """Listen there, and return how hypercorn is told so."""
        return [self._listen(bind, scheme) for bind in binds]

    def _listen(self, bind: str, scheme: str) -> str:
        if bind.startswith("unix:"):
            # hypercorn's to make: with its owner and mode.
            self._names.append((socket.AF_UNIX, bind.removeprefix("unix:")))
            self.urls.append(bind)
            return bind
        try:
            if bind.startswith("fd://"):
                with socket.socket(fileno=os.dup(int(bind[5:]))) as listener:
                    self._note(listener, bind, scheme)
                return bind
            listener = self._bind(*_host_and_port(bind))
        except OSError as error:
            raise OSError(
                error.errno, f"cannot listen at {bind}: {error.strerror}"
            ) from error
        self._note(listener, bind, scheme)
        return f"fd://{listener.fileno()}"

    def _bind(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        self._sockets.append(listener)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Now, not when the app has started: two may bind, but only one listens.
        listener.listen(self.config.backlog)
        return listener

    def _note(self, listener: socket.socket, bind: str, scheme: str) -> None:
        name = listener.getsockname()
        self._names.append((listener.family, name))
        if listener.family not in _INTERNET:
            self.urls.append(bind)
            return
        host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
        self.urls.append(f"{scheme}://{host}:{name[1]}")


def check_bind(bind: object) -> list[str]:
    """*bind* as a list of addresses that can be read."""
    binds: Sequence[object]
    if isinstance(bind, str):
        binds = [bind]
    elif isinstance(bind, Sequence) and not isinstance(bind, bytes):
        binds = cast("Sequence[object]", bind)
    else:
        raise TypeError(f"bind must be a str or several, got {bind!r}")
    if not binds:
        raise ValueError("bind must be at least one address, got none")
    checked: list[str] = []
    for each in binds:
        if not isinstance(each, str):
            raise TypeError(f"bind must be a str or several, got {each!r} in it")
        if each.startswith("fd://"):
            readable = re.fullmatch(r"\d+", each[5:], re.ASCII) is not None
        elif each.startswith("unix:"):
            readable = each != "unix:"
        else:
            _host_and_port(each)
            readable = True
        if not readable:
            raise ValueError(_expected(each))
        checked.append(each)
    return checked


def _host_and_port(bind: str) -> tuple[str, int]:
    """Both parts of *bind*, as hypercorn reads it."""
    host, colon, port = bind.replace("[", "").replace("]", "").rpartition(":")
    if not colon:
        host, port = port, str(_DEFAULT_PORT)
    if not bind or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(_expected(bind))
    return host, int(port)


def _expected(bind: str) -> str:
    return (
        "bind must be host:port, [address]:port, unix:path or fd://number, "
        f"got {bind!r}"
    )


def _open_sockets() -> Iterable[socket.socket]:
    """Every open socket of this process, as one of its own that shares it."""
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # closed since the list was made
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                yield socket.socket(fileno=os.dup(int(name)))
