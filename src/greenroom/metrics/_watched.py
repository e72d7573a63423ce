"""Watched: the adapters of one exporter, each by a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

from ..adapter import ActorAdapter, Sample, measure


@final
class Watched:
    """Adapters, and what they are called in what is exported."""

    __slots__ = ("_adapters",)

    def __init__(self, adapters: Iterable[ActorAdapter]) -> None:
        self._adapters: dict[str, ActorAdapter] = {}
        for adapter in adapters:
            self.add(adapter, None)

    def add(self, adapter: ActorAdapter, name: str | None) -> None:
        """Watch *adapter*, by default under its path.

        Raises:
            TypeError: It is no adapter.
            ValueError: Another one has that name.
        """
        if not isinstance(adapter, ActorAdapter):  # pyright: ignore[reportUnnecessaryIsInstance]  # for who has no types
            raise TypeError(f"adapter must be an ActorAdapter, got {adapter!r}")
        name = adapter.path if name is None else name
        if name in self._adapters:
            raise ValueError(f"an adapter named {name!r} is there: give it a name")
        self._adapters[name] = adapter

    def remove(self, adapter: ActorAdapter) -> None:
        """Watch *adapter* no longer, if it is watched."""
        for name, each in self._adapters.copy().items():
            if each is adapter:
                del self._adapters[name]

    def measure(self) -> Iterator[tuple[str, Sample]]:
        """All samples of all of them, each with the name of its adapter."""
        # A copy: it may be another thread that adds one.
        for name, adapter in self._adapters.copy().items():
            for sample in measure(adapter):
                yield name, sample
