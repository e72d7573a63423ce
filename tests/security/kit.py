"""What attacks have in common: handshakes of raw bytes, past all that checks them."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, final

import anyio

from ..adapter.asgi import Asgi

App: TypeAlias = Callable[[Any, Any, Any], Coroutine[Any, Any, object]]
Header: TypeAlias = tuple[bytes, bytes]


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
