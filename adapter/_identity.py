"""Identity: who a client has proved to be, and for how long.

The law: once its credentials have expired nothing more of it is handled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from ..actors import Runtime
from ._alarm import Alarm, ring_after
from ._checks import check_number

SID_PREFIX = "~"
"""Every sid begins with it, and neither a room nor a user may: a room must not be
able to catch what is meant for a client, nor a user to pass for one that has none."""

EXPIRED = 3000, "credentials expired"
"""3000 is "Unauthorized" in IANA's registry of close codes."""
UNIDENTIFIED = 3000, "not identified"


@final
@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is.

    Attributes:
        user: A name for whoever it is; the same for all connections of one user.
            It may not begin with ``~``: so do the sids that stand for clients
            without an identity where it is shown who is present.
        seconds: How long that holds, from now on; None for as long as it stays.
        info: Whatever else the application wants to know of it.
    """

    user: str
    seconds: float | None = field(default=None, kw_only=True)
    info: Mapping[str, Any] = field(
        default_factory=dict[str, Any], kw_only=True, repr=False
    )

    def __post_init__(self) -> None:
        _check_user(self.user)
        if self.seconds is not None:
            check_number("seconds", self.seconds)
        if not isinstance(self.info, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # for who has no types
            raise TypeError(f"info must be a mapping, got {self.info!r}")
        object.__setattr__(self, "info", MappingProxyType(dict(self.info)))


def _check_user(user: object) -> None:
    if not isinstance(user, str):
        raise TypeError(f"user must be a str, got {user!r}")
    if not user or len(user) > 256:
        raise ValueError(f"user must be a str of 1 to 256 characters, got {user!r:.64}")
    if user.startswith(SID_PREFIX):
        raise ValueError(
            f"user must not begin with {SID_PREFIX!r}, as a sid does, got {user!r:.64}"
        )
    try:
        user.encode()
    except UnicodeEncodeError:
        # The others are told of it, and could not be.
        raise ValueError(f"user must have a form in UTF-8, got {user!r:.64}") from None


@final
class Credentials:
    """An identity that expires.

    Args:
        runtime: Whose clock counts.
        notice: How long before the end *expiring* is called; 0 for never.
        expiring: Called with the seconds that are left.
        expired: Called at the end.
    """

    __slots__ = ("_alarms", "_expired", "_expiring", "_notice", "_runtime")

    def __init__(
        self,
        runtime: Runtime,
        notice: float,
        expiring: Callable[[float], None],
        expired: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._notice = notice
        self._expiring = expiring
        self._expired = expired
        self._alarms: list[Alarm] = []

    def last(self, seconds: float) -> None:
        """They hold for *seconds* from now on, whatever was said before."""
        self.cancel()
        self._alarms.append(ring_after(self._runtime, seconds, self._expired))
        left = min(self._notice, seconds)
        if left:

            def tell() -> None:
                self._expiring(left)

            self._alarms.append(ring_after(self._runtime, seconds - left, tell))

    def cancel(self) -> None:
        """They hold for as long as the client stays."""
        for alarm in self._alarms:
            alarm.settle()
        self._alarms.clear()
