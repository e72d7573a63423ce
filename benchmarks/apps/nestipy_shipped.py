"""The gateway on Nestipy's WebsocketAdapter, repaired just enough to run."""

# Nestipy is not typed throughout.
# mypy: disable-error-code="no-untyped-def,type-arg,no-any-return,misc"
# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from nestipy.websocket.adapter import WebsocketAdapter

from .nestipy_gateway import app_with


class Repaired(WebsocketAdapter):
    """Its handlers are called with the arguments that they take."""

    def on(self, event: str, namespace: str | None = None) -> Callable[[Any], Any]:
        """Register a handler as it is, without the wrapper that cannot be called."""

        def decorator(handler: Any) -> Any:
            self._event_handlers[event] = handler
            return handler

        return decorator


def preprocess(payload: str, message: Any) -> tuple[str, Any]:
    """Read the envelope."""
    found = orjson.loads(payload)
    return found["event"], found["data"]


def post_process(event: str, data: Any) -> str:
    """Write the envelope."""
    return orjson.dumps({"event": event, "data": data, "namespace": "/"}).decode()


app: object = app_with(Repaired("/ws", preprocess, post_process))
