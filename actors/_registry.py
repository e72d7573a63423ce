"""Registry: an actor that knows keys, groups, and who is in them.

Changing it is a message, so changes happen one at a time and in the order in
which they were asked for.  Reading it is a dict look-up in the caller.  An actor
that ends leaves all it had joined before anybody hears of its end.

A publication goes to each member's mailbox and never waits for one: what a full
mailbox does is that mailbox's policy.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast, final

from anyio.lowlevel import checkpoint

from ._actor import Actor
from ._dead_letters import DeadLetter, Undelivered
from ._directory import Directory, Key, Membership, Name, typed
from ._errors import ActorNotAlive, NameTaken
from ._exit import ExitReason
from ._mailbox import Mailbox
from ._parking import Gate
from ._ref import ActorRef, body_of

M = TypeVar("M")

_log = logging.getLogger("greenroom.actors")

# How many passes of the event loop a publisher's next message waits for members
# that are over half full and still getting on.  A writer needs a few passes for
# one message; one whose peer has stopped reading makes no progress in any
# number of them, and is not waited for again until it does.
_PATIENCE = 8

# How many members are told before the event loop gets some passes, and how many
# at most: on Trio a writer needs about four for one message, on asyncio one.
_WAVE = 16
_WAVE_PASSES = 4


@final
@dataclass(frozen=True, slots=True)
class _Register:
    key: Key
    ref: ActorRef[Any]


@final
@dataclass(frozen=True, slots=True)
class _Join:
    group: Key
    ref: ActorRef[Any]
    mailbox: Mailbox[Any]


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


_Receiver: TypeAlias = tuple[ActorRef[Any], Mailbox[Any]]
_Command: TypeAlias = _Register | _Join | _Drop | _Publish | _Deliver | _Barrier


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

    # -- changing: messages ------------------------------------------------

    async def register(self, key: Hashable, ref: ActorRef[Any]) -> None:
        """Give *ref* the name *key* until it ends or is unregistered.

        Kept while the actor restarts.  Registering it again is fine.

        Raises:
            NameTaken: Another actor holds it; ``holder`` says which.
            ActorNotAlive: *ref* has ended.
        """
        await self._ask(_Register(typed(key), ref))

    async def unregister(self, key: Hashable, ref: ActorRef[Any]) -> None:
        """Free *key*, if *ref* holds it."""
        await self._ask(_Drop(ref, Name(typed(key))))

    async def get_or_spawn(
        self, key: Hashable, spawn: Callable[[], Awaitable[ActorRef[M]]]
    ) -> ActorRef[M]:
        """Who holds *key*; if nobody does, what *spawn* returns, registered.

        Of those who call it at a time for the same key one spawns, and the
        others get the same actor; if that fails, it fails for that one, and the
        next in line spawns.
        """
        full = typed(key)
        while full in self._spawning:
            await self._spawning[full].wait()
        holder = self._names.get(full)
        if holder is not None:
            return holder
        gate = self._spawning[full] = Gate(self.context.runtime.parker)
        try:
            ref = await spawn()
            try:
                await self.register(key, ref)
            except NameTaken as taken:
                # By somebody who went another way; who holds it, is it.
                ref.stop_nowait()
                return cast("ActorRef[M]", taken.holder)
            return ref
        finally:
            del self._spawning[full]
            gate.open()

    async def join(
        self,
        group: Hashable,
        ref: ActorRef[Any],
        *,
        mailbox: Mailbox[Any] | None = None,
    ) -> None:
        """Put *ref* in *group*; publications go to *mailbox*, by default its own.

        When this returns, *ref* is a member, and gets what is published after.
        Joining twice is fine; the mailbox is that of the last time.

        Raises:
            ActorNotAlive: *ref* has ended.
        """
        mailbox = body_of(ref).mailbox if mailbox is None else mailbox
        await self._ask(_Join(typed(group), ref, mailbox))

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
        publish = _Publish(tuple(map(typed, groups)), message, skip)
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
                self._owed[later] = None
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
        try:
            match message:
                case _Publish():
                    return self._publish(message)
                case _Deliver(mailbox, content):
                    if self._owed.pop(message, False) is None:
                        mailbox.keep_promise(content)
                case _Register(key, ref):
                    self._name(key, ref)
                case _Join(group, ref, mailbox):
                    self._enter(group, ref, mailbox)
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

    def _publish(self, publish: _Publish) -> Awaitable[None] | None:
        receivers = self._receivers(publish)
        if len(receivers) > _WAVE:
            return self._tell_in_waves(publish.message, receivers)
        hot = self._put(publish.message, receivers)
        return self._let_catch_up(hot) if hot else None

    def _receivers(self, publish: _Publish) -> list[_Receiver]:
        """Who gets it, each once; who joins or leaves from now on changes nothing."""
        groups = [self._groups[key] for key in publish.groups if key in self._groups]
        if len(groups) == 1 and not publish.skip:
            return list(groups[0].items())
        seen = set(publish.skip)
        receivers: list[_Receiver] = []
        for members in groups:
            receivers += [item for item in members.items() if item[0] not in seen]
            seen.update(members)
        return receivers

    def _put(self, message: object, receivers: list[_Receiver]) -> list[Mailbox[Any]]:
        """Put *message* in each mailbox; return those that are over half full."""
        hot: list[Mailbox[Any]] = []
        for ref, mailbox in receivers:
            try:
                if not mailbox.put(message) and not mailbox.closed:
                    self._undeliverable(message, ref)
            except Exception:
                # A member's own function, for keys or weights: its trouble must
                # not become that of the others.
                _log.exception("the mailbox of %s failed", ref.path)
            if mailbox.level and not mailbox.overtaken:
                hot.append(mailbox)
        return hot

    async def _tell_in_waves(self, message: object, receivers: list[_Receiver]) -> None:
        """Put *message* in many mailboxes, a few at a time.

        Each wave may be dealt with before the next begins.  Woken all at once,
        a thousand writers have a thousand sends half done at the same time; the
        garbage collector takes them for long-lived, and its full collections
        then cost as much as the sends.
        """
        for start in range(0, len(receivers), _WAVE):
            wave = receivers[start : start + _WAVE]
            hot = self._put(message, wave)
            last = wave[-1][1]
            for _ in range(_WAVE_PASSES):
                await checkpoint()
                if last.parked is not None:
                    break  # its reader sleeps again, and so do those before it
            if hot:
                await self._let_catch_up(hot)

    def _undeliverable(self, message: object, ref: ActorRef[Any]) -> None:
        self.context.runtime.dead_letters.publish(
            DeadLetter(message, ref.path, Undelivered.OVERFLOW)
        )

    async def _let_catch_up(self, mailboxes: list[Mailbox[Any]]) -> None:
        """Let members that are over half full handle one message each.

        Without it a publisher that does not pause fills the mailbox of a
        healthy member before its reader has had the chance to run.  Bounded by
        passes of the loop, not by what a member does.
        """
        behind = [(mailbox, mailbox.handled) for mailbox in mailboxes]
        for _ in range(_PATIENCE):
            await checkpoint()
            behind = [
                (mailbox, count)
                for mailbox, count in behind
                if mailbox.handled == count and not mailbox.closed
            ]
            if not behind:
                return
        for mailbox, _ in behind:
            mailbox.overtaken = True
