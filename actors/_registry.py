"""Registry: an actor that knows keys, groups, and who is in them.

Changing it is a message, so changes happen one at a time and in the order in
which they were asked for.  Reading it is a dict look-up in the caller.  An actor
that ends leaves all it had joined before anybody hears of its end.

A publication goes to each member's mailbox and never waits for one, see
`_publishing`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast, final

from anyio.lowlevel import checkpoint

from ._actor import Actor, Context
from ._ask import current
from ._directory import Directory, Key, Membership, Name, typed
from ._errors import ActorNotAlive, NameTaken, NotOwner
from ._exit import ExitReason
from ._locks import Lock, Locks
from ._mailbox import Mailbox
from ._named import NamedRef
from ._parking import Gate
from ._publishing import publish
from ._ref import ActorRef, body_of

M = TypeVar("M")
V = TypeVar("V")


@final
@dataclass(frozen=True, slots=True)
class _Register:
    key: Key
    ref: ActorRef[Any]
    value: object


@final
@dataclass(frozen=True, slots=True)
class _Join:
    group: Key
    ref: ActorRef[Any]
    mailbox: Mailbox[Any]
    value: object


@final
@dataclass(frozen=True, slots=True)
class _Update:
    key: Key
    ref: ActorRef[Any]
    function: Callable[[Any], object]


@final
@dataclass(frozen=True, slots=True)
class _Drop:
    """Give up a name or a group; everything, if it does not say what."""

    ref: ActorRef[Any]
    holding: Name | Membership | None


@final
@dataclass(frozen=True, slots=True)
class _Publish:
    groups: tuple[Key, ...]
    message: object
    skip: Collection[ActorRef[Any]]


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Deliver:
    """The message has its room already: see `Mailbox.promise`."""

    mailbox: Mailbox[Any]
    message: object


@final
@dataclass(frozen=True, slots=True)
class _Barrier:
    """Answered when all that was told before has been handled."""


_Command: TypeAlias = (
    _Register | _Join | _Update | _Drop | _Publish | _Deliver | _Barrier
)


@final
class Registry(Directory, Actor[_Command]):
    """Unique keys and groups of actors.

    One object is the actor and what others call it by; it works once it has
    been started.  ``system.registry`` is one.
    """

    def __init__(self) -> None:
        super().__init__()
        # Promises that are still to be kept, in order.
        self._owed: dict[_Deliver, None] = {}
        # Keys that somebody is about to hold.
        self._spawning: dict[Key, Gate] = {}
        self._locks = Locks()

    # -- changing: messages ------------------------------------------------

    async def register(
        self, key: Hashable, ref: ActorRef[Any], value: object = None
    ) -> None:
        """Give *ref* the name *key* until it ends or is unregistered.

        Kept while the actor restarts.  Registering it again is fine, and sets the
        value if one is given.

        Args:
            key: The name.
            ref: Who shall have it.
            value: What stands there about it, see `entry`.

        Raises:
            NameTaken: Another actor holds it; ``holder`` says which.
            ActorNotAlive: *ref* has ended, or the registry has.
        """
        await self._ask(_Register(typed(key), ref, value))

    async def update(self, key: Hashable, function: Callable[[Any], V]) -> V:
        """Replace the value of *key* by what *function* makes of the old one.

        For the actor that holds *key* alone, and called in it.  *function* is
        called in the registry and must not wait; what it raises, this raises, and
        nothing has changed.

        Returns:
            The new value.

        Raises:
            NotOwner: Another actor holds *key*, or nobody does; or this is not
                called in an actor.
        """
        activation, full = current.get(), typed(key)
        holder = self._names.get(full)
        if holder is None or activation is None:
            raise NotOwner(key, holder)
        if activation.owner is not body_of(holder):
            raise NotOwner(key, holder)
        return cast("V", await self._ask(_Update(full, holder, function)))

    async def unregister(self, key: Hashable, ref: ActorRef[Any]) -> None:
        """Free *key*, if *ref* holds it."""
        await self._ask(_Drop(ref, Name(typed(key))))

    async def get_or_spawn(
        self, key: Hashable, spawn: Callable[[], Awaitable[ActorRef[M]]]
    ) -> ActorRef[M]:
        """Who holds *key*; if nobody does, what *spawn* returns, registered.

        Of those who call it at a time for the same key one spawns, and the
        others get the same actor; if that fails, it fails for that one, and the
        next in line spawns.  The end of a holder that is stopping is waited for.

        Raises:
            AskCycle: The holder is stopping, and is the one who calls or waits
                for it.
        """
        full = typed(key)
        while True:
            while full in self._spawning:
                await self._spawning[full].wait()
            holder = self._names.get(full)
            if holder is None:
                break
            if holder.alive:
                return holder
            await _end_of(holder)
        gate = self._spawning[full] = Gate(self._running.runtime.parker)
        try:
            return await self._register_or_yield(key, await spawn())
        finally:
            del self._spawning[full]
            gate.open()

    async def _register_or_yield(self, key: Hashable, ref: ActorRef[M]) -> ActorRef[M]:
        """Give *ref* the name; or end it, if somebody else has got it by now."""
        while True:
            try:
                await self.register(key, ref)
            except NameTaken as taken:
                # By somebody who went another way; who holds it, is it.
                holder = cast("ActorRef[M]", taken.holder)
                if holder.alive:
                    ref.stop_nowait()
                    return holder
                await _end_of(holder)
            else:
                return ref

    def via(self, key: Hashable) -> NamedRef[Any]:
        """A ref to whoever holds *key* whenever it is used."""
        return NamedRef(self, key)

    def lock(self, key: Hashable) -> Lock:
        """A block that one task at a time is in, for each key.

            async with registry.lock("lobby"):
                ...

        First come, first served, and freed however the block is left.  It has
        nothing to do with who holds the name *key*.
        """
        return self._locks.lock(typed(key), self._running.runtime.parker)

    async def join(
        self,
        group: Hashable,
        ref: ActorRef[Any],
        *,
        mailbox: Mailbox[Any] | None = None,
        value: object = None,
    ) -> None:
        """Put *ref* in *group*; publications go to *mailbox*, by default its own.

        When this returns, *ref* is a member, and gets what is published after,
        once.  Joining twice is fine: the mailbox is that of the last time, and
        each value that was given is an entry, see `entries`.

        Raises:
            ActorNotAlive: *ref* has ended, or the registry has.
        """
        mailbox = body_of(ref).mailbox if mailbox is None else mailbox
        await self._ask(_Join(typed(group), ref, mailbox, value))

    async def leave(self, group: Hashable, ref: ActorRef[Any]) -> None:
        """Take *ref* out of *group*, if it is in it."""
        await self._ask(_Drop(ref, Membership(typed(group))))

    async def leave_all(self, ref: ActorRef[Any]) -> None:
        """Take *ref* out of all groups and free its keys, as its end would."""
        await self._ask(_Drop(ref, None))

    async def publish(
        self,
        groups: Iterable[Hashable],
        message: object,
        *,
        skip: Collection[ActorRef[Any]] = (),
    ) -> None:
        """Tell *message* to each member of *groups* once.

        Waits only for the registry to accept it, and does not yield while it
        has room.  A member that has ended meanwhile is not missed; one that is
        full and refuses makes a dead letter of it.
        """
        command = _Publish(tuple(map(typed, groups)), message, skip)
        await self._running.ref.send(command)

    async def deliver(self, mailbox: Mailbox[Any], message: object) -> bool:
        """Put *message* in *mailbox*, in order with what was published before.

        Waits while *mailbox* is full, whatever its policy, and does not yield
        while it has room.

        Returns:
            False if *mailbox* is closed, perhaps while this waited.
        """
        own = self._running.mailbox
        if own.pending:
            # Something published may be on its way to the same mailbox.
            later = _Deliver(mailbox, message)
            if own.has_room(later) and mailbox.promise(message):
                self._owed[later] = None
                return own.put(later)
            await self._ask(_Barrier())
        sender = mailbox.wait_for_room(message)
        return sender is None or await mailbox.wait_in_line(sender)

    async def _ask(self, command: _Command) -> object:
        # No deadline: it is bounded by the mailbox, and a join that gave up
        # half way would leave the caller not knowing where it stands.
        return await self._running.ref.ask(command, timeout=None)

    @property
    def _running(self) -> Context[_Command]:
        try:
            return self.context
        except AttributeError:
            raise ActorNotAlive("registry", "it has not been started") from None

    # -- the actor ---------------------------------------------------------

    def receive(self, message: _Command) -> object:
        """Carry out one command."""
        try:
            match message:
                case _Publish(groups, content, skip):
                    known = [self._groups[key] for key in groups if key in self._groups]
                    letters = self.context.runtime.dead_letters
                    return publish(content, known, skip, letters)
                case _Deliver(mailbox, content):
                    if self._owed.pop(message, False) is None:
                        mailbox.keep_promise(content)
                case _Register(key, ref, value):
                    self._name(key, ref, value)
                case _Join(group, ref, mailbox, value):
                    self._enter(group, ref, mailbox, value)
                case _Update(key, ref, function):
                    return self._update(key, ref, function)
                case _Drop(ref, holding):
                    if holding is None:
                        self._drop_all(ref)
                    else:
                        self._drop(ref, holding)
                case _:
                    pass  # a barrier: being answered is all there is to it
        except (ActorNotAlive, NameTaken) as refused:
            # The asker's error, and none of the registry's own.
            self.context.defer_reply().fail(refused)
        return None

    def _update(
        self, key: Key, ref: ActorRef[Any], function: Callable[[Any], object]
    ) -> object:
        try:
            return self._revalue(key, ref, function)
        except Exception as error:
            # The function's fault is its owner's; the registry is everybody's.
            self.context.defer_reply().fail(error)
            return None

    async def stopped(self, reason: ExitReason) -> None:
        """Keep what was promised, if no other incarnation will."""
        self.killed()

    def killed(self) -> None:
        """Keep what was promised, if no other incarnation will."""
        if not self.context.ref.alive:
            owed, self._owed = self._owed, {}
            # Its room must not stay taken for ever.
            for deliver in owed:
                deliver.mailbox.keep_promise(deliver.message)


async def _end_of(holder: ActorRef[Any]) -> None:
    """Wait until *holder*, which is stopping, has ended and its names are free."""
    await holder.wait_stopped()
    # Free by now, unless it is started again after all; then others must get a
    # turn before it is looked at again.
    await checkpoint()
