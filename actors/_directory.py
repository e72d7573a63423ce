"""Directory: who holds which name, and who is in which group.

Plain dicts, changed in one step each.  The law: an actor that has ended is in
none of them, and was taken out before anybody heard of its end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, cast, final

from ._errors import ActorNotAlive, NameTaken, NotOwner
from ._listeners import Listeners
from ._mailbox import Mailbox
from ._ref import ActorRef, Body, body_of

Key: TypeAlias = tuple[Hashable, Hashable]
Members: TypeAlias = dict[ActorRef[Any], Mailbox[Any]]


def typed(key: Hashable) -> Key:
    """*key* as it is kept: 1, 1.0 and True are equal in Python, and three names
    to a reader; also within tuples and frozensets."""
    return _shape(key), key


# A union in the call would be made at each call, and this is called for each
# publication.
_NESTED = (tuple, frozenset)


def _shape(key: Hashable) -> Hashable:
    """The types that *key* is made of."""
    if not isinstance(key, _NESTED):
        return key.__class__
    # Not narrowed to a tuple of what nobody knows.
    parts = cast("Iterable[Hashable]", key)
    shapes: Iterable[Hashable] = map(_shape, parts)
    if isinstance(parts, frozenset):
        # Each with its value: there is no order to tell by which type is whose.
        shapes = [frozenset(zip(shapes, parts, strict=True))]
    return cast("Hashable", parts.__class__), *shapes


@final
@dataclass(frozen=True, slots=True)
class Name:
    """A name that an actor holds."""

    key: Key


@final
@dataclass(frozen=True, slots=True)
class Membership:
    """A group that an actor is in."""

    group: Key


Holding: TypeAlias = Name | Membership


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One actor in the registry, under a name or in a group.

    Attributes:
        ref: The actor.
        value: What stands there about it; None unless somebody gave one.
    """

    ref: ActorRef[Any]
    value: Any = None


@final
@dataclass(frozen=True, slots=True)
class Registered:
    """For listeners: *ref* holds the name *key* from now on."""

    key: Hashable
    ref: ActorRef[Any]
    value: object = None


@final
@dataclass(frozen=True, slots=True)
class Unregistered:
    """For listeners: *ref* held the name *key* until now."""

    key: Hashable
    ref: ActorRef[Any]


@final
@dataclass(frozen=True, slots=True)
class Joined:
    """For listeners: *ref* is in *group* from now on, or once more with a value."""

    group: Hashable
    ref: ActorRef[Any]
    value: object = None


@final
@dataclass(frozen=True, slots=True)
class Left:
    """For listeners: *ref* was in *group* until now."""

    group: Hashable
    ref: ActorRef[Any]


RegistryEvent: TypeAlias = Registered | Unregistered | Joined | Left


class Directory:
    """The look-ups, for everybody; and the changes, for the registry."""

    def __init__(self) -> None:
        self._names: dict[Key, ActorRef[Any]] = {}
        self._groups: dict[Key, Members] = {}
        # What to undo when an actor ends, in the order in which it was done; and
        # the values that were given with it, which mostly are none.
        self._held: dict[ActorRef[Any], dict[Holding, tuple[object, ...]]] = {}
        self._listeners: Listeners[RegistryEvent] = Listeners("registry")

    # -- looking -----------------------------------------------------------

    def whereis(self, key: Hashable) -> ActorRef[Any] | None:
        """Who holds *key*; None if nobody does."""
        return self._names.get(typed(key))

    def entry(self, key: Hashable) -> Entry | None:
        """Who holds *key*, and the value given with it; None if nobody does."""
        full = typed(key)
        ref = self._names.get(full)
        if ref is None:
            return None
        return Entry(ref, *self._held[ref][Name(full)])

    def entries(self, group: Hashable) -> tuple[Entry, ...]:
        """Who is in *group*, in the order of joining, once for each value."""
        full = typed(group)
        return tuple(
            Entry(ref, value)
            for ref in self._groups.get(full, ())
            for value in self._held[ref][Membership(full)] or (None,)
        )

    def dispatch(
        self, group: Hashable, function: Callable[[tuple[Entry, ...]], object]
    ) -> bool:
        """Call *function*, here and now, with the entries of *group*.

        What it raises, this raises.  It is not called if nobody is in *group*.

        Returns:
            Whether it was called.
        """
        entries = self.entries(group)
        if entries:
            function(entries)
        return bool(entries)

    def members(self, group: Hashable) -> tuple[ActorRef[Any], ...]:
        """Who is in *group*, in the order of joining."""
        return tuple(self._groups.get(typed(group), ()))

    def is_member(self, group: Hashable, ref: ActorRef[Any]) -> bool:
        """Whether *ref* is in *group*."""
        return ref in self._groups.get(typed(group), ())

    def groups_of(self, ref: ActorRef[Any]) -> tuple[Any, ...]:
        """The groups that *ref* is in, in the order of joining."""
        held = self._held.get(ref, {})
        return tuple(each.group[1] for each in held if isinstance(each, Membership))

    def sizes(self) -> Mapping[Any, int]:
        """How many members each group has."""
        # A copy: another thread may be the one that looks.
        groups = self._groups.copy()
        return MappingProxyType({key[1]: len(each) for key, each in groups.items()})

    def listen(self, listener: Callable[[RegistryEvent], None]) -> Callable[[], None]:
        """Call *listener*, in place, with every change from now on.

        It must not wait.  An exception it raises is logged.

        Returns:
            A function that ends this; calling it again does nothing.
        """
        return self._listeners.add(listener)

    # -- changing ----------------------------------------------------------

    def _name(self, key: Key, ref: ActorRef[Any], value: object) -> None:
        holder = self._names.get(key)
        if holder is ref:
            if value is not None:
                self._held[ref][Name(key)] = (value,)
            return
        if holder is not None:
            raise NameTaken(key[1], holder)
        self._hold(ref, Name(key), value)
        self._names[key] = ref
        self._listeners.tell(Registered(key[1], ref, value))

    def _enter(
        self, group: Key, ref: ActorRef[Any], mailbox: Mailbox[Any], value: object
    ) -> None:
        self._hold(ref, Membership(group), value)
        members = self._groups.setdefault(group, {})
        known = ref in members
        members[ref] = mailbox
        if not known or value is not None:
            self._listeners.tell(Joined(group[1], ref, value))

    def _revalue(
        self, key: Key, ref: ActorRef[Any], function: Callable[[Any], object]
    ) -> object:
        if self._names.get(key) is not ref:
            raise NotOwner(key[1], self._names.get(key))
        values = self._held[ref][Name(key)]
        value = function(values[0] if values else None)
        self._held[ref][Name(key)] = (value,)
        return value

    def _hold(self, ref: ActorRef[Any], holding: Holding, value: object) -> None:
        held = self._held.get(ref)
        if held is None:
            if not ref.alive:
                raise ActorNotAlive(ref.path, body_of(ref).ending)
            held = self._held[ref] = {}
            body_of(ref).at_end(self._release)
        values = held.get(holding, ())
        held[holding] = values if value is None else (*values, value)

    def _drop(self, ref: ActorRef[Any], holding: Holding) -> None:
        held = self._held.get(ref)
        if held is None or holding not in held:
            return
        del held[holding]
        if not held:
            del self._held[ref]
            body_of(ref).not_at_end(self._release)
        self._undo(ref, holding)

    def _drop_all(self, ref: ActorRef[Any]) -> None:
        if ref in self._held:
            body_of(ref).not_at_end(self._release)
            self._release(body_of(ref))

    def _release(self, body: Body) -> None:
        """An actor has ended.  Called in its own task, before its Down."""
        for holding in self._held.pop(body.ref):
            self._undo(body.ref, holding)

    def _undo(self, ref: ActorRef[Any], holding: Holding) -> None:
        if isinstance(holding, Name):
            del self._names[holding.key]
            self._listeners.tell(Unregistered(holding.key[1], ref))
        else:
            members = self._groups[holding.group]
            del members[ref]
            if not members:
                del self._groups[holding.group]
            self._listeners.tell(Left(holding.group[1], ref))
