"""Address: where messages for one actor go, and how: tell, send, ask."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from ._ask import Ask, Clock, Request, Waiting, current
from ._capacity import MailboxStatistics
from ._deadlines import check_timeout
from ._errors import ActorNotAlive, AskCycle, AskTimeout, MailboxFull, SendTimeout
from ._exit import ExitReason
from ._inline import is_idle
from ._line import Sender
from ._mailbox import Mailbox
from ._request import PendingReply, Requested

M_contra = TypeVar("M_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

DEFAULT_ASK_TIMEOUT = 5.0


class Recipient(Waiting, Protocol):
    """Whom a message is for: a cell, or an incarnation of it."""

    @property
    def runtime(self) -> Clock:
        """The clock."""
        ...

    @property
    def mailbox(self) -> Mailbox[Any]:
        """The one mailbox, over all incarnations."""
        ...

    @property
    def ending(self) -> ExitReason | None:
        """How it ended; while it is stopping, how it will."""
        ...


class Address(Generic[M_contra]):
    """The half of an `ActorRef` that messages go through."""

    __slots__ = ("__weakref__", "_mailbox", "_recipient", "path")

    path: str
    """Where the actor stands in the tree, for example ``/chat/room-7``."""

    def __init__(self, path: str, recipient: Recipient) -> None:
        self.path = path
        self._recipient = recipient
        self._mailbox = recipient.mailbox

    @property
    def alive(self) -> bool:
        """Whether it takes messages.  True while it restarts."""
        return not self._mailbox.closed

    def tell(self, message: M_contra) -> None:
        """Put *message* in the mailbox, without waiting.

        Accepted is not handled: an actor that ends first leaves its mailbox
        unread, to the dead letters.

        Raises:
            MailboxFull: The mailbox is full and its policy is to refuse.
            ActorNotAlive: The actor has ended or is stopping.
        """
        mailbox = self._mailbox
        queue = mailbox.queue
        # What put() does when something waits already, and so nobody sleeps, written
        # out: the call would be a quarter of what a tell costs.
        if queue and mailbox.weights is None and len(queue) < mailbox.limit:
            queue.append(message)
            mailbox.accepted += 1
        elif not mailbox.put(message):
            raise self._refusal(message)

    def try_tell(self, message: M_contra) -> bool:
        """Like `tell`, but return whether it was accepted."""
        return self._mailbox.put(message)

    async def send(self, message: M_contra, *, timeout: float | None = None) -> None:
        """Put *message* in the mailbox; wait while it is full, first come first.

        Does not yield to other tasks while there is room.  Waits whatever the
        overflow policy is: policies are for `tell`.  Cancelled while it waits,
        it either accepted the message or did not; never half.

        Args:
            message: The message.
            timeout: Seconds to wait at most.  Inside an actor that is answering
                an ask, that ask's deadline holds as well.

        Raises:
            ValueError: *timeout* is NaN; nothing was sent.
            SendTimeout: No room came free in time.
            ActorNotAlive: The actor has ended, perhaps while this waited.
            AskCycle: The actor itself waits for the one who sends.
        """
        if timeout is not None:
            check_timeout(timeout)
        mailbox = self._mailbox
        sender = mailbox.wait_for_room(message)
        if sender is None:
            return
        seconds, sender.deadline = self._deadline(timeout)
        activation = current.get()
        if activation is None or not activation.blocks:
            admitted = await self._line_up(sender)
        else:
            try:
                wait = activation.begin(sender, self._recipient)
            except AskCycle:
                mailbox.give_up(sender)
                raise
            try:
                admitted = await self._line_up(sender)
            finally:
                activation.end(wait)
        if not admitted:
            if mailbox.closed:
                raise self._refusal(message)
            raise SendTimeout(self.path, seconds)

    async def _line_up(self, sender: Sender) -> bool:
        """Wait for the room that *sender* stands in line for."""
        self._recipient.runtime.deadlines.add(sender)
        return await self._mailbox.wait_in_line(sender)

    def _deadline(self, timeout: float | None) -> tuple[float, float]:
        """How long may be waited, and until when.

        Within the deadline of the ask that the running actor answers.
        """
        if timeout is not None:
            check_timeout(timeout)
        activation = current.get()
        now = self._recipient.runtime.now()
        deadline = math.inf if timeout is None else now + timeout
        if activation is not None and activation.deadline < deadline:
            deadline = activation.deadline
        return deadline - now, deadline

    def _refusal(self, message: object) -> ActorNotAlive | MailboxFull:
        if self._mailbox.closed:
            return ActorNotAlive(self.path, self._recipient.ending, message)
        return MailboxFull(self.path, self._mailbox.options.capacity, message)

    @overload
    async def ask(
        self,
        message: Request[R_co],
        *,
        timeout: float | None = ...,
    ) -> R_co: ...

    @overload
    async def ask(
        self,
        message: M_contra,
        *,
        timeout: float | None = ...,
    ) -> object: ...

    async def ask(
        self,
        message: object,
        *,
        timeout: float | None = DEFAULT_ASK_TIMEOUT,
    ) -> object:
        """Put *message* in the mailbox and wait for what ``receive`` returns.

        Waits for room like `send`, then for the answer; the timeout covers
        both.  Cancelled or expired before its turn, the message is skipped; it
        may have been handled if its turn had come.

        Args:
            message: The message.
            timeout: Seconds until `AskTimeout`; None for no limit.  Inside an
                actor that is answering an ask, that ask's deadline holds as
                well.

        Raises:
            ValueError: *timeout* is NaN; nothing was asked.
            AskTimeout: No answer in time.
            ActorCrashed: The actor crashed over this message, or for good
                before reaching it.  One that restarts keeps the message.
            ActorNotAlive: It has ended, or ended before reaching the message.
            MailboxFull: The message was in the mailbox, and dropped from there
                by its overflow policy.
            AskCycle: The answer would have to wait for the one who asks.
        """
        recipient = self._recipient
        activation = current.get()
        seconds, deadline = self._deadline(timeout)
        asker = None if activation is None else activation.owner.path
        ask = Ask(message, self.path, seconds, deadline, asker, recipient.runtime)
        mailbox = self._mailbox
        if mailbox.inline is not None and is_idle(mailbox):
            mailbox.inline(ask)
            return await self._settle(ask)
        if activation is None or not activation.blocks:
            return await self._answer(ask)
        wait = activation.begin(ask, recipient)
        try:
            return await self._answer(ask)
        finally:
            activation.end(wait)

    @overload
    def request(
        self,
        message: Request[R_co],
        *,
        timeout: float | None = ...,
    ) -> PendingReply[R_co]: ...

    @overload
    def request(
        self,
        message: M_contra,
        *,
        timeout: float | None = ...,
    ) -> PendingReply[object]: ...

    def request(
        self,
        message: object,
        *,
        timeout: float | None = None,
    ) -> PendingReply[Any]:
        """Put *message* in the mailbox like `tell`; the answer is waited for later.

        Args:
            message: The message.
            timeout: Seconds from now until the request expires: it is skipped
                if its turn has not come, and raises `AskTimeout`.  None for no
                limit.  Inside an actor that is answering an ask, that ask's
                deadline holds as well.

        Raises:
            ValueError: *timeout* is NaN; nothing was asked.
            MailboxFull: The mailbox is full and its policy is to refuse.
            ActorNotAlive: The actor has ended or is stopping.
        """
        recipient = self._recipient
        activation = current.get()
        seconds, deadline = self._deadline(timeout)
        asker = None if activation is None else activation.owner.path
        runtime = recipient.runtime
        ask = Requested(message, self.path, seconds, deadline, asker, runtime)
        if not self._mailbox.put(ask):
            raise self._refusal(message)
        runtime.deadlines.add(ask)
        return PendingReply(ask, recipient, runtime.parker)

    async def _answer(self, ask: Ask) -> object:
        sender = self._mailbox.wait_for_room(ask)
        if sender is not None:
            sender.deadline = ask.deadline
            try:
                admitted = await self._line_up(sender)
            except BaseException:
                # Admitted and cancelled in one tick, it waits in the mailbox.
                ask.done = True
                raise
            if not admitted:
                if self._mailbox.closed:
                    raise self._refusal(ask.message)
                raise AskTimeout(self.path, ask.seconds)
        return await ask.wait()

    async def _settle(self, ask: Ask) -> object:
        """Wait for the answer to what the actor has been asked already."""
        activation = current.get()
        if ask.done or activation is None or not activation.blocks:
            return await ask.wait()
        try:
            wait = activation.begin(ask, self._recipient)
        except AskCycle:
            ask.done = True
            raise
        try:
            return await ask.wait()
        finally:
            activation.end(wait)

    async def _inspect(
        self, function: Callable[[Any], R_co], timeout: float | None
    ) -> R_co:
        mailbox, recipient = self._mailbox, self._recipient
        if mailbox.closed:
            raise self._refusal(function)
        activation = current.get()
        seconds, deadline = self._deadline(timeout)
        asker = None if activation is None else activation.owner.path
        ask = Ask(function, self.path, seconds, deadline, asker, recipient.runtime)
        mailbox.put_system(ask)
        return cast("R_co", await self._settle(ask))

    def statistics(self) -> MailboxStatistics:
        """What went through the mailbox so far, over all incarnations."""
        return self._mailbox.statistics()
