"""What a registry is told to do: its messages, which it carries out in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from ._directory import Key, Membership, Name
from ._mailbox import Mailbox
from ._ref import ActorRef


@final
@dataclass(frozen=True, slots=True)
class Register:
    key: Key
    ref: ActorRef[Any]
    value: object


@final
@dataclass(frozen=True, slots=True)
class Join:
    group: Key
    ref: ActorRef[Any]
    mailbox: Mailbox[Any]
    value: object
    in_turn: Callable[[], object] | None


@final
@dataclass(frozen=True, slots=True)
class Update:
    key: Key
    ref: ActorRef[Any]
    function: Callable[[Any], object]


@final
@dataclass(frozen=True, slots=True)
class Drop:
    """Give up a name or a group; everything, if it does not say what."""

    ref: ActorRef[Any]
    holding: Name | Membership | None


@final
@dataclass(frozen=True, slots=True)
class Publish:
    groups: tuple[Key, ...]
    message: object
    skip: Collection[ActorRef[Any]]

    def is_like(self, other: Publish) -> bool:
        """Whether *other* is for the same members."""
        return self.groups == other.groups and self.skip == other.skip


@final
@dataclass(frozen=True, slots=True)
class Prepare:
    """A publication that is made in its turn."""

    groups: tuple[Key, ...]
    message: object
    skip: Collection[ActorRef[Any]]
    in_turn: Callable[[Any], object]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Deliver:
    """The message has its room already: see `Mailbox.promise`."""

    mailbox: Mailbox[Any]
    message: object


@final
@dataclass(frozen=True, slots=True)
class Barrier:
    """Answered when all that was told before has been handled."""


Order: TypeAlias = (
    Register | Join | Update | Drop | Publish | Prepare | Deliver | Barrier
)
