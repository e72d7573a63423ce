"""Unheard: requests that hypercorn 0.18 ends before any adapter hears of them.

Nobody can know whose they were to be, so they are counted for the whole process: by
each adapter that runs in it alike.  Private API of hypercorn, see `_shield`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from ._hypercorn import is_unexpected
from ._mending import Method, mend


@final
class Unheard:
    """How many there were.

    Attributes:
        malformed: Answered with an error of hypercorn's own: HTTP 400, 404 or 431.
        unfinished: Not there, or not whole, when hypercorn's keep-alive had passed.
    """

    __slots__ = ("malformed", "unfinished")

    def __init__(self) -> None:
        self.malformed = 0
        self.unfinished = 0


UNHEARD = Unheard()


def count_unheard() -> None:
    """Count them from now on.  Doing so twice is fine."""
    malformed, unfinished = _after(_malformed), _after(_unfinished)
    mend("hypercorn.protocol.h11", "H11Protocol", "_send_error_response", malformed)
    for worker in ("asyncio", "trio"):
        module = f"hypercorn.{worker}.tcp_server"
        mend(module, "TCPServer", "_initiate_server_close", unfinished)


def _after(look: Callable[[Any], None]) -> Callable[[Method], Method]:
    """Have a method called after *look* has been, with the same object."""

    def around(method: Method) -> Method:
        async def looked_at(self: Any, *arguments: Any) -> None:
            look(self)
            await method(self, *arguments)

        return looked_at

    return around


def _malformed(protocol: Any) -> None:
    UNHEARD.malformed += 1


def _unfinished(server: Any) -> None:
    try:
        protocol = server.protocol.protocol
        # There while a request is answered; HTTP/2 has several, by another name.
        if not hasattr(protocol, "stream") or protocol.stream is not None:
            return
        connection = protocol.connection
        # Else it was kept alive for another, after one that was whole; or has been
        # answered with an error.
        begun: bytes = connection.trailing_data[0]
        is_first = connection.their_http_version is None
        if (begun or is_first) and connection.our_state.__name__ == "IDLE":
            UNHEARD.unfinished += 1
    except AttributeError as error:
        is_unexpected(error)
