"""Health: whether clients may be sent here, for whoever balances the load."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal, final

from ._asgi import Scope, Send


@final
@dataclass(frozen=True, slots=True)
class Health:
    """What the adapter says of itself at one moment.

    Attributes:
        ok: Whether it runs and does not drain.  One that is full is well.
        state: ``"draining"`` from the begin of a drain until the adapter stops.
        connections: Clients connected now.
    """

    ok: bool
    state: Literal["running", "draining", "stopped"]
    connections: int


def asks_for_health(path: str | None, scope: Scope) -> bool:
    """Whether the HTTP request of *scope* is to be answered by `answer`.

    Below a mount point both the full path and the rest count; see `owns`.
    """
    if path is None or scope["method"] not in ("GET", "HEAD"):
        return False
    root: str = scope.get("root_path", "").rstrip("/")
    return scope["path"] in (path, root + path)


async def answer(health: Health, scope: Scope, send: Send) -> None:
    """Answer with 200, or with 503 if it is not well."""
    body = json.dumps(asdict(health), separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    status = 200 if health.ok else 503
    if scope["method"] == "HEAD":
        body = b""
    # The peer may be faster.
    with suppress(OSError, RuntimeError):
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})
