"""What attacks have in common: handshakes of raw bytes, past all that checks them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, final

import anyio

from ..adapter.asgi import Asgi

App: TypeAlias = Callable[[Any, Any, Any], Coroutine[Any, Any, object]]
Header: TypeAlias = tuple[bytes, bytes]

# What is to break a log, a page, or who reads them.
NASTY_WORDS = {
    "newline": "a\nERROR forged",
    "CRLF": "a\r\n\r\nforged",
    "ANSI": "\x1b[2J\x1b]0;owned\x07",
    "line separators": "a\u2028b\u2029c\x85d",
    "right to left": "\u202egnp.exe",
    "invisible": "a\u200b\ufeff\u00ad",
    "controls": "\x00\x7f\x9b",
    "HTML": "<script>alert(1)</script>",
    "format": "%s%n%(sid)s{0}",
    "wide": "\U0001f4a9" * 60,
}
WORDS = tuple(NASTY_WORDS.values())
# Where a terminal, or str.splitlines, begins another line or another order.
BREAKS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e]"
)


async def knock(adapter: App, headers: Sequence[Header] = (), **fields: Any) -> int:
    """The status of the answer to a handshake: 101, or that of a refusal.

    Who is let in leaves at once.
    """
    asgi = Asgi()
    asgi.scope.update(fields, headers=list(headers))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(adapter, asgi.scope, asgi.app_receive, asgi.app_send)
        await asgi.opened.wait()
        asgi.close()
    assert asgi.accepted == (asgi.refused is None)
    return asgi.refused or 101


@final
class Processor:
    """How much of a processor a block takes: what other processes do does not count."""

    seconds = 0.0

    def __enter__(self) -> Processor:
        self._began = time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.process_time() - self._began
