"""Registry: an actor that knows keys, groups, and who is in them.

Changing it is a message, so changes happen one at a time and in the order in
which they were asked for.  Reading it is a dict look-up in the caller.  An actor
that ends leaves all it had joined before anybody hears of its end.

A publication goes to each member's mailbox and never waits for one: what a full
mailbox does is that mailbox's policy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, final

from anyio.lowlevel import checkpoint

from ._actor import Actor
from ._errors import ActorNotAlive, NameTaken
from ._mailbox import Mailbox
from ._ref import ActorRef, Body, body_of

# How many passes of the event loop a publisher's next message waits for members
# that are over half full and still getting on.  A writer needs a few passes for
# one message; one whose peer has stopped reading makes no progress in any
# number of them, and is not waited for again until it does.
_PATIENCE = 8

_Key: TypeAlias = tuple[type, Hashable]
_Members: TypeAlias = dict[ActorRef[Any], Mailbox[Any]]


def _key(key: Hashable) -> _Key:
    # 1, 1.0 and True are equal in Python, and three names to a reader.
    return key.__class__, key


@final
@dataclass(frozen=True, slots=True)
class _Register:
    key: _Key
    ref: ActorRef[Any]


@final
@dataclass(frozen=True, slots=True)
class _Unregister:
    key: _Key
    ref: ActorRef[Any]


@final
@dataclass(frozen=True, slots=True)
class _Join:
    group: _Key
    ref: ActorRef[Any]
    mailbox: Mailbox[Any]


@final
@dataclass(frozen=True, slots=True)
class _Leave:
    group: _Key
    ref: ActorRef[Any]


@final
@dataclass(frozen=True, slots=True)
class _Forget:
    ref: ActorRef[Any]


@final
@dataclass(frozen=True, slots=True)
class _Publish:
    groups: tuple[_Key, ...]
    message: object
    skip: Collection[ActorRef[Any]]


@final
@dataclass(frozen=True, slots=True)
class _Deliver:
    """The message has its room already: see `Mailbox.promise`."""

    mailbox: Mailbox[Any]
    message: object


@final
@dataclass(frozen=True, slots=True)
class _Barrier:
    """Answered when all that was told before has been handled."""


_Holding: TypeAlias = _Unregister | _Leave
_Command: TypeAlias = (
    _Register | _Holding | _Join | _Forget | _Publish | _Deliver | _Barrier
)


@final
class Registry(Actor[_Command]):
    """Unique keys and groups of actors.

    One object is the actor and what others call it by; it works once it has
    been started.  ``system.registry`` is one.
    """

    def __init__(self) -> None:
        self._names: dict[_Key, ActorRef[Any]] = {}
        self._groups: dict[_Key, _Members] = {}
        # What to undo when an actor ends, in the order in which it was done.
        self._held: dict[ActorRef[Any], dict[_Holding, None]] = {}
        # Members that were waited for in vain, until they get on.
        self._stuck: set[Mailbox[Any]] = set()

    # -- reading: plain look-ups -------------------------------------------

    def whereis(self, key: Hashable) -> ActorRef[Any] | None:
        """Who holds *key*; None if nobody does."""
        return self._names.get(_key(key))

    def members(self, group: Hashable) -> tuple[ActorRef[Any], ...]:
        """Who is in *group*, in the order of joining."""
        return tuple(self._groups.get(_key(group), ()))

    def is_member(self, group: Hashable, ref: ActorRef[Any]) -> bool:
        """Whether *ref* is in *group*."""
        return ref in self._groups.get(_key(group), ())

    def groups_of(self, ref: ActorRef[Any]) -> tuple[Any, ...]:
        """The groups that *ref* is in, in the order of joining."""
        held = self._held.get(ref, {})
        return tuple(change.group[1] for change in held if isinstance(change, _Leave))

    def sizes(self) -> Mapping[Any, int]:
        """How many members each group has."""
        sizes = {key[1]: len(members) for key, members in self._groups.items()}
        return MappingProxyType(sizes)

    # -- changing: messages ------------------------------------------------

    async def register(self, key: Hashable, ref: ActorRef[Any]) -> None:
        """Give *ref* the name *key* until it ends or is unregistered.

        Kept while the actor restarts.  Registering it again is fine.

        Raises:
            NameTaken: Another actor holds it; ``holder`` says which.
            ActorNotAlive: *ref* has ended.
        """
        await self._ask(_Register(_key(key), ref))

    async def unregister(self, key: Hashable, ref: ActorRef[Any]) -> None:
        """Free *key*, if *ref* holds it."""
        await self._ask(_Unregister(_key(key), ref))

    async def join(
        self,
        group: Hashable,
        ref: ActorRef[Any],
        *,
        mailbox: Mailbox[Any] | None = None,
    ) -> None:
        """Put *ref* in *group*; publications go to *mailbox*, by default its own.

        When this returns, *ref* is a member, and gets what is published after.
        Joining twice is fine.

        Raises:
            ActorNotAlive: *ref* has ended.
        """
        mailbox = body_of(ref).mailbox if mailbox is None else mailbox
        await self._ask(_Join(_key(group), ref, mailbox))

    async def leave(self, group: Hashable, ref: ActorRef[Any]) -> None:
        """Take *ref* out of *group*, if it is in it."""
        await self._ask(_Leave(_key(group), ref))

    async def leave_all(self, ref: ActorRef[Any]) -> None:
        """Take *ref* out of all groups and free its keys, as its end would."""
        await self._ask(_Forget(ref))

    async def publish(
        self,
        groups: Iterable[Hashable],
        message: object,
        *,
        skip: Collection[ActorRef[Any]] = (),
    ) -> None:
        """Tell *message* to each member of *groups* once.

        Waits only for the registry to accept it, and does not yield while it
        has room.  A member that has ended meanwhile is not missed.
        """
        publish = _Publish(tuple(map(_key, groups)), message, skip)
        await self.context.ref.send(publish)

    async def deliver(self, mailbox: Mailbox[Any], message: object) -> bool:
        """Put *message* in *mailbox*, in order with what was published before.

        Waits while *mailbox* is full, whatever its policy, and does not yield
        while it has room.

        Returns:
            False if *mailbox* is closed, perhaps while this waited.
        """
        own = self.context.mailbox
        if own.pending:
            # Something published may be on its way to the same mailbox.
            later = _Deliver(mailbox, message)
            if own.has_room(later) and mailbox.promise(message):
                return own.put(later)
            await self._ask(_Barrier())
        sender = mailbox.wait_for_room(message)
        return sender is None or await mailbox.wait_in_line(sender)

    async def _ask(self, command: _Command) -> None:
        # No deadline: it is bounded by the mailbox, and a join that gave up
        # half way would leave the caller not knowing where it stands.
        await self.context.ref.ask(command, timeout=None)

    # -- the actor ---------------------------------------------------------

    def receive(self, message: _Command) -> object:
        """Carry out one command."""
        match message:
            case _Publish():
                return self._publish(message)
            case _Deliver(mailbox, content):
                mailbox.keep_promise(content)
            case _Register(key, ref):
                self._register(key, ref)
            case _Join():
                self._join(message)
            case _Unregister() | _Leave():
                self._undo(message)
                self._let_go(message)
            case _Forget(ref):
                if ref in self._held:
                    body_of(ref).not_at_end(self._release)
                    self._release(body_of(ref))
            case _Barrier():
                pass
        return None

    def _register(self, key: _Key, ref: ActorRef[Any]) -> None:
        holder = self._names.get(key)
        if holder is not None and holder is not ref:
            self.context.defer_reply().fail(NameTaken(key[1], holder))
        elif self._hold(ref, _Unregister(key, ref)):
            self._names[key] = ref

    def _join(self, join: _Join) -> None:
        if self._hold(join.ref, _Leave(join.group, join.ref)):
            self._groups.setdefault(join.group, {})[join.ref] = join.mailbox

    def _hold(self, ref: ActorRef[Any], holding: _Holding) -> bool:
        """Write *holding* down; False, and the asker is told, if *ref* has ended."""
        held = self._held.get(ref)
        if held is None:
            if not ref.alive:
                gone = ActorNotAlive(ref.path, body_of(ref).ending)
                self.context.defer_reply().fail(gone)
                return False
            held = self._held[ref] = {}
            body_of(ref).at_end(self._release)
        held[holding] = None
        return True

    def _let_go(self, holding: _Holding) -> None:
        held = self._held.get(holding.ref)
        if held is not None and held.pop(holding, False) is None and not held:
            del self._held[holding.ref]
            body_of(holding.ref).not_at_end(self._release)

    def _undo(self, holding: _Holding) -> None:
        match holding:
            case _Unregister(key, ref):
                if self._names.get(key) is ref:
                    del self._names[key]
            case _Leave(group, ref):
                members = self._groups.get(group)
                if members is not None and ref in members:
                    self._stuck.discard(members.pop(ref))
                    if not members:
                        del self._groups[group]

    def _release(self, body: Body) -> None:
        """An actor has ended.  Called in its own task, before its Down."""
        for holding in self._held.pop(body.ref, {}):
            self._undo(holding)

    def _publish(self, publish: _Publish) -> Awaitable[None] | None:
        message, skip = publish.message, publish.skip
        groups = [self._groups[key] for key in publish.groups if key in self._groups]
        hot: list[Mailbox[Any]] = []
        seen = set(skip)
        for members in groups:
            # Disconnecting a member changes the group under the loop.
            for ref, mailbox in tuple(members.items()):
                if seen and ref in seen:
                    continue
                mailbox.put(message)
                if mailbox.level:
                    if mailbox not in self._stuck:
                        hot.append(mailbox)
                elif self._stuck:
                    self._stuck.discard(mailbox)
            if len(groups) > 1:
                seen.update(members)
        return self._let_catch_up(hot) if hot else None

    async def _let_catch_up(self, mailboxes: list[Mailbox[Any]]) -> None:
        """Let members that are over half full handle one message each.

        Without it a publisher that does not pause fills the mailbox of a
        healthy member before its reader has had the chance to run.  Bounded by
        passes of the loop, not by what a member does.
        """
        before = [mailbox.handled for mailbox in mailboxes]
        for _ in range(_PATIENCE):
            await checkpoint()
            pairs = zip(mailboxes, before, strict=True)
            if all(mailbox.handled > count for mailbox, count in pairs):
                return
        pairs = zip(mailboxes, before, strict=True)
        self._stuck.update(box for box, count in pairs if box.handled == count)
