"""Dispatcher: event and namespace to handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

if TYPE_CHECKING:
    from ._client import Client

Handler: TypeAlias = "Callable[[str, Client, Any], Awaitable[object] | object]"
"""``handler(event, client, data)``, async or plain."""

H = TypeVar("H", bound="Handler")

ROOT = "/"
ANY = "*"
"""As an event: every event of the namespace that has no handler of its own."""


@final
class Dispatcher:
    """Who handles what.  Filled before the first client comes, or later."""

    __slots__ = ("_events", "_namespaces", "connect", "disconnect", "message")

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], Handler] = {}
        self._namespaces: set[str] = {ROOT}
        # In the order of registration.
        self.connect: list[Handler] = []
        self.disconnect: list[Handler] = []
        self.message: list[Handler] = []

    def on(self, event: str, namespace: str | None) -> Callable[[H], H]:
        """Make the decorated function the handler of *event* in *namespace*.

        A later one replaces an earlier one.
        """
        name: object = event
        if not isinstance(name, str) or not name:
            raise ValueError(f"event must be a non-empty str, got {event!r}")
        space = check_namespace(namespace)

        def register(handler: H) -> H:
            _check_handler(handler)
            self._events[space, event] = handler
            self._namespaces.add(space)
            return handler

        return register

    def append_to(self, handlers: list[Handler]) -> Callable[[H], H]:
        """Append the decorated function to *handlers*."""

        def register(handler: H) -> H:
            _check_handler(handler)
            handlers.append(handler)
            return handler

        return register

    def find(self, event: str, namespace: str) -> Handler | None:
        """The handler of *event*, or the one for any event, or None."""
        handler = self._events.get((namespace, event))
        return self._events.get((namespace, ANY)) if handler is None else handler

    def knows(self, namespace: str) -> bool:
        """Whether any handler stands in *namespace*."""
        return namespace in self._namespaces


def check_namespace(namespace: str | None) -> str:
    """*namespace*, or the root for None.

    Raises:
        ValueError: It is not a str that begins with a slash.
    """
    space: object = ROOT if namespace is None else namespace
    if not isinstance(space, str) or not space.startswith("/"):
        raise ValueError(
            f"namespace must be a str that begins with '/', got {namespace!r}"
        )
    return space


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"handler must be callable, got {handler!r}")
