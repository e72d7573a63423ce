"""Publishing: messages to many mailboxes, without waiting for any of them.

What a full mailbox does is that mailbox's policy.  The law: what is published
first arrives first, everywhere; so the next publication waits while this one
gives its receivers the time to catch up, which is bounded whatever they do.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from anyio.lowlevel import checkpoint

from ._actor import Context
from ._batch import Batch
from ._dead_letters import DeadLetter, DeadLetters, Undelivered
from ._directory import Key, Members
from ._mailbox import Mailbox
from ._orders import Publish
from ._ref import ActorRef

Receiver: TypeAlias = tuple[ActorRef[Any], Mailbox[Any]]


class _Behind(NamedTuple):
    """A member that is over half full and getting on."""

    ref: ActorRef[Any]
    mailbox: Mailbox[Any]
    # Which of the messages it gets next; and how many it had handled just now.
    at: int
    handled: int


_log = logging.getLogger("greenroom.actors")

# How many passes of the event loop a publisher's next message waits for members
# that are over half full and still getting on.  A writer needs a few passes for
# one message; one whose peer has stopped reading makes no progress in any
# number of them, and is not waited for again until it does.
_PATIENCE = 8

# Publications to the same members that are told to each of them at a time.
_TOGETHER = 16

# How many members are told before the event loop gets some passes, and how many
# at most: on Trio a writer needs about four for one message, on asyncio one.
_WAVE = 16
_WAVE_PASSES = 4


def tell(
    order: Publish, groups: Mapping[Key, Members], context: Context[Any]
) -> Awaitable[None] | None:
    """Carry *order* out, and with it what waits right behind for the same members.

    So the more there is to be told, the less each of it costs.

    Args:
        order: The message in flight.
        groups: Who is where.
        context: Of the registry.

    Returns:
        None, or what to wait for before the next publication.
    """
    orders = _together(order, context.mailbox)
    batch = Batch(order.message for order in orders)
    known = [groups[key] for key in order.groups if key in groups]
    receivers = _receivers(known, order.skip)
    letters = context.runtime.dead_letters
    telling: Awaitable[None] | None = None
    if len(receivers) > _WAVE:
        telling = _put_in_waves(batch, receivers, letters)
    elif hot := _put(batch, receivers.items(), letters):
        telling = _let_catch_up(batch, hot, letters)
    if telling is not None and len(orders) > 1:
        return _see_through(telling, orders[:-1], context)
    for _ in orders[1:]:
        context.mailbox.aside_done()
    return telling


def _together(order: Publish, mailbox: Mailbox[Any]) -> list[Publish]:
    """*order*, and those right behind; until all is told they are put aside."""
    orders = [order]
    while mailbox.queue and len(orders) < _TOGETHER:
        following = mailbox.queue[0]
        if not (isinstance(following, Publish) and following.is_like(order)):
            break
        mailbox.put_aside()
        mailbox.take()
        orders.append(following)
    return orders


async def _see_through(
    telling: Awaitable[None], aside: Sequence[Publish], context: Context[Any]
) -> None:
    mailbox, letters = context.mailbox, context.runtime.dead_letters
    try:
        await telling
    except BaseException:
        # As with the one in flight: nobody knows how far it came.
        for order in aside:
            mailbox.aside_lost()
            letters.publish(DeadLetter(order, context.path, Undelivered.CANCELLED))
        raise
    for _ in aside:
        mailbox.aside_done()


def _receivers(
    groups: Iterable[Members], skip: Collection[ActorRef[Any]]
) -> dict[ActorRef[Any], Mailbox[Any]]:
    """Who gets it, each once; who joins or leaves from now on changes nothing."""
    receivers: dict[ActorRef[Any], Mailbox[Any]] = {}
    for members in groups:
        if not receivers:
            receivers = members.copy()
            continue
        for ref, mailbox in members.items():
            receivers.setdefault(ref, mailbox)
    for ref in skip:
        receivers.pop(ref, None)
    return receivers


def _put(
    batch: Batch,
    receivers: Iterable[Receiver],
    dead_letters: DeadLetters,
) -> list[_Behind]:
    """Put *batch* in each mailbox, until that is over half full."""
    hot: list[_Behind] = []
    for ref, mailbox in receivers:
        at = _put_from(0, batch, ref, mailbox, dead_letters)
        if mailbox.level and not mailbox.overtaken:
            hot.append(_Behind(ref, mailbox, at, mailbox.handled))
    return hot


def _put_from(
    at: int,
    batch: Batch,
    ref: ActorRef[Any],
    mailbox: Mailbox[Any],
    dead_letters: DeadLetters,
) -> int:
    """Put what comes *at* or after, until *mailbox* is over half full.

    Returns:
        Where to go on.
    """
    if at == 0 and len(batch) > 1:
        try:
            at = mailbox.put_through(batch)
        except Exception:
            _log.exception("the mailbox of %s failed", ref.path)
    while at < len(batch):
        message = batch[at]
        at += 1
        try:
            if not mailbox.put(message) and not mailbox.closed:
                letter = DeadLetter(message, ref.path, Undelivered.OVERFLOW)
                dead_letters.publish(letter)
        except Exception:
            # A member's own function, for keys or weights: its trouble must
            # not become that of the others.
            _log.exception("the mailbox of %s failed", ref.path)
        if mailbox.level and not mailbox.overtaken:
            break
    return at


async def _put_in_waves(
    batch: Batch,
    receivers: Mapping[ActorRef[Any], Mailbox[Any]],
    dead_letters: DeadLetters,
) -> None:
    """Put *batch* in many mailboxes, a few at a time.

    Each wave may be dealt with before the next begins.  Woken all at once,
    a thousand writers have a thousand sends half done at the same time; the
    garbage collector takes them for long-lived, and its full collections
    then cost as much as the sends.
    """
    following = iter(receivers.items())
    while wave := list(islice(following, _WAVE)):
        hot = _put(batch, wave, dead_letters)
        last = wave[-1][1]
        for _ in range(_WAVE_PASSES):
            await checkpoint()
            if last.parked is not None:
                break  # its reader sleeps again, and so do those before it
        if hot:
            await _let_catch_up(batch, hot, dead_letters)


async def _let_catch_up(
    batch: Batch, hot: list[_Behind], dead_letters: DeadLetters
) -> None:
    """Let members that are over half full handle one message for each they get.

    Without it a publisher that does not pause fills the mailbox of a
    healthy member before its reader has had the chance to run.  Bounded by
    passes of the loop, not by what a member does.
    """
    while hot:
        await _let_handle_one(hot)
        again: list[_Behind] = []
        for ref, mailbox, at, _ in hot:
            if at < len(batch):
                at = _put_from(at, batch, ref, mailbox, dead_letters)
                if mailbox.level and not mailbox.overtaken:
                    again.append(_Behind(ref, mailbox, at, mailbox.handled))
        hot = again


async def _let_handle_one(members: list[_Behind]) -> None:
    """Wait until each has handled a message; overtake those that do not."""
    for _ in range(_PATIENCE):
        await checkpoint()
        members = [
            each
            for each in members
            if each.mailbox.handled == each.handled and not each.mailbox.closed
        ]
        if not members:
            return
    for each in members:
        each.mailbox.overtaken = True
