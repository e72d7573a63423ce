"""Registry: an actor that knows keys, groups, and who is in them.

Changing it is a message, so changes happen one at a time and in the order in
which they were asked for.  Reading it is a dict look-up in the caller.  An actor
that ends leaves all it had joined before anybody hears of its end.

A publication goes to each member's mailbox and never waits for one, see
`_publishing`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable
from typing import Any, TypeVar, cast, final

from anyio.lowlevel import checkpoint

from ._actor import Actor, Context
from ._ask import current
from ._directory import Directory, Key, Membership, Name, typed
from ._errors import ActorNotAlive, NameTaken, NotOwner
from ._exit import ExitReason
from ._locks import Lock, Locks
from ._mailbox import Mailbox
from ._named import NamedRef
from ._orders import (
    Barrier,
    Deliver,
    Drop,
    Join,
    Order,
    Prepare,
    Publish,
    Register,
    Update,
)
from ._parking import Gate
from ._publishing import tell
from ._ref import ActorRef, body_of

M = TypeVar("M")
V = TypeVar("V")

_log = logging.getLogger("greenroom.actors")


@final
class Registry(Directory, Actor[Order]):
    """Unique keys and groups of actors.

    One object is the actor and what others call it by; it works once it has
    been started.  ``system.registry`` is one.
    """

    def __init__(self) -> None:
        super().__init__()
        # Promises that are still to be kept, in order.
        self._owed: dict[Deliver, None] = {}
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
        await self._ask(Register(typed(key), ref, value))

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
        return cast("V", await self._ask(Update(full, holder, function)))

    async def unregister(self, key: Hashable, ref: ActorRef[Any]) -> None:
        """Free *key*, if *ref* holds it."""
        await self._ask(Drop(ref, Name(typed(key))))

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
        in_turn: Callable[[], object] | None = None,
    ) -> object:
        """Put *ref* in *group*; publications go to *mailbox*, by default its own.

        When this returns, *ref* is a member, and gets what is published after,
        once.  Joining twice is fine: the mailbox is that of the last time, and
        each value that was given is an entry, see `entries`.

        *in_turn* is called in the registry, just when *ref* is a member: nothing
        is published between, and nothing that was published before comes after.
        It must not wait; what it raises, this raises, and *ref* is in the group
        only if it was before.

        Returns:
            What *in_turn* has returned.

        Raises:
            ActorNotAlive: *ref* has ended, or the registry has.
        """
        mailbox = body_of(ref).mailbox if mailbox is None else mailbox
        return await self._ask(Join(typed(group), ref, mailbox, value, in_turn))

    async def leave(self, group: Hashable, ref: ActorRef[Any]) -> None:
        """Take *ref* out of *group*, if it is in it."""
        await self._ask(Drop(ref, Membership(typed(group))))

    async def leave_all(self, ref: ActorRef[Any]) -> None:
        """Take *ref* out of all groups and free its keys, as its end would."""
        await self._ask(Drop(ref, None))

    async def publish(
        self,
        groups: Iterable[Hashable],
        message: object,
        *,
        skip: Collection[ActorRef[Any]] = (),
        in_turn: Callable[[Any], object] | None = None,
    ) -> None:
        """Tell *message* to each member of *groups* once.

        Waits only for the registry to accept it, and does not yield while it
        has room.  A member that has ended meanwhile is not missed; one that is
        full and refuses makes a dead letter of it.

        *in_turn* is called with *message* in the registry, when it is to be told,
        and what it returns is told instead.  It must not wait; if it raises, that
        is logged, and nothing is told.
        """
        keys = tuple(map(typed, groups))
        await self._running.ref.send(
            Publish(keys, message, skip)
            if in_turn is None
            else Prepare(keys, message, skip, in_turn)
        )

    async def deliver(
        self, mailbox: Mailbox[Any], message: object, *, wait: bool = True
    ) -> bool:
        """Put *message* in *mailbox*, in order with what was published before.

        Waits while *mailbox* is full, whatever its policy, unless *wait* is False;
        and does not yield while it has room.

        Returns:
            False if *mailbox* is closed, perhaps while this waited.
        """
        own = self._running.mailbox
        if not wait and not mailbox.has_room(message):
            return mailbox.put(message)
        if own.pending:
            # Something published may be on its way to the same mailbox.
            later = Deliver(mailbox, message)
            if own.has_room(later) and mailbox.promise(message):
                self._owed[later] = None
                return own.put(later)
            await self._ask(Barrier())
            if not wait:
                return mailbox.put(message)
        sender = mailbox.wait_for_room(message)
        return sender is None or await mailbox.wait_in_line(sender)

    async def _ask(self, command: Order) -> object:
        # No deadline: it is bounded by the mailbox, and a join that gave up
        # half way would leave the caller not knowing where it stands.
        return await self._running.ref.ask(command, timeout=None)

    @property
    def _running(self) -> Context[Order]:
        try:
            return self.context
        except AttributeError:
            raise ActorNotAlive("registry", "it has not been started") from None

    # -- the actor ---------------------------------------------------------

    def receive(self, message: Order) -> object:
        """Carry out one command."""
        try:
            match message:
                case Publish():
                    return tell(message, self._groups, self.context)
                case Deliver(mailbox, content):
                    if self._owed.pop(message, False) is None:
                        mailbox.keep_promise(content)
                case Register(key, ref, value):
                    self._name(key, ref, value)
                case Join(group, ref, mailbox, value, in_turn):
                    was_in = ref in self._groups.get(group, ())
                    self._enter(group, ref, mailbox, value)
                    if in_turn is not None:
                        return self._complete(group, ref, was_in, in_turn)
                case Update(key, ref, function):
                    return self._update(key, ref, function)
                case Drop(ref, holding):
                    if holding is None:
                        self._drop_all(ref)
                    else:
                        self._drop(ref, holding)
                case Prepare():
                    return self._prepare(message)
                case _:
                    pass  # a barrier: being answered is all there is to it
        except (ActorNotAlive, NameTaken) as refused:
            # The asker's error, and none of the registry's own.
            self.context.defer_reply().fail(refused)
        return None

    def _prepare(self, order: Prepare) -> object:
        try:
            message = order.in_turn(order.message)
        except Exception:
            _log.exception("what was to be published could not be made")
            return None
        made = Publish(order.groups, message, order.skip)
        return tell(made, self._groups, self.context)

    def _complete(
        self,
        group: Key,
        ref: ActorRef[Any],
        was_in: bool,
        in_turn: Callable[[], object],
    ) -> object:
        """A join, now that *ref* is in the group."""
        try:
            return in_turn()
        except Exception as error:
            # As in _update.
            if not was_in:
                self._drop(ref, Membership(group))
            self.context.defer_reply().fail(error)
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
