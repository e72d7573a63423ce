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
        check_event(event)
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


def check_event(event: object) -> None:
    """Refuse what cannot name an event.

    Raises:
        TypeError: It is not a str.
        ValueError: It is empty.
    """
    if not isinstance(event, str):
        raise TypeError(f"event must be a str, got {event!r}")
    if not event:
        raise ValueError("event must be a non-empty str, got ''")


def check_namespace(namespace: object) -> str:
    """*namespace*, or the root for None.

    Raises:
        TypeError: It is not a str.
        ValueError: It does not begin with a slash.
    """
    if namespace is None:
        return ROOT
    if not isinstance(namespace, str):
        raise TypeError(f"namespace must be a str, got {namespace!r}")
    if not namespace.startswith("/"):
        raise ValueError(f"namespace must begin with '/', got {namespace!r}")
    return namespace


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"handler must be callable, got {handler!r}")
