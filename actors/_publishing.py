"""Publishing: messages to many mailboxes, without waiting for any of them.

What a full mailbox does is that mailbox's policy.  The law: what is published
first arrives first, everywhere; so the next publication waits while this one
gives its receivers the time to catch up, which is bounded whatever they do.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from anyio.lowlevel import checkpoint

from ._batch import Batch
from ._dead_letters import DeadLetter, DeadLetters, Undelivered
from ._directory import Members
from ._mailbox import Mailbox
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

# How many members are told before the event loop gets some passes, and how many
# at most: on Trio a writer needs about four for one message, on asyncio one.
_WAVE = 16
_WAVE_PASSES = 4


def publish(
    messages: Batch,
    groups: Iterable[Members],
    skip: Collection[ActorRef[Any]],
    dead_letters: DeadLetters,
) -> Awaitable[None] | None:
    """Put *messages*, which follow one another, in the mailbox of each member once.

    Returns:
        None, or what to wait for before the next publication.
    """
    receivers = _receivers(groups, skip)
    if len(receivers) > _WAVE:
        return _put_in_waves(messages, receivers, dead_letters)
    hot = _put(messages, receivers.items(), dead_letters)
    return _let_catch_up(messages, hot, dead_letters) if hot else None


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
    messages: Batch,
    receivers: Iterable[Receiver],
    dead_letters: DeadLetters,
) -> list[_Behind]:
    """Put *messages* in each mailbox, until that is over half full."""
    hot: list[_Behind] = []
    for ref, mailbox in receivers:
        at = _put_from(0, messages, ref, mailbox, dead_letters)
        if mailbox.level and not mailbox.overtaken:
            hot.append(_Behind(ref, mailbox, at, mailbox.handled))
    return hot


def _put_from(
    at: int,
    messages: Batch,
    ref: ActorRef[Any],
    mailbox: Mailbox[Any],
    dead_letters: DeadLetters,
) -> int:
    """Put what comes *at* or after, until *mailbox* is over half full.

    Returns:
        Where to go on.
    """
    if at == 0 and len(messages) > 1:
        try:
            at = mailbox.put_through(messages)
        except Exception:
            _log.exception("the mailbox of %s failed", ref.path)
    while at < len(messages):
        message = messages[at]
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
    messages: Batch,
    receivers: Mapping[ActorRef[Any], Mailbox[Any]],
    dead_letters: DeadLetters,
) -> None:
    """Put *messages* in many mailboxes, a few at a time.

    Each wave may be dealt with before the next begins.  Woken all at once,
    a thousand writers have a thousand sends half done at the same time; the
    garbage collector takes them for long-lived, and its full collections
    then cost as much as the sends.
    """
    following = iter(receivers.items())
    while wave := list(islice(following, _WAVE)):
        hot = _put(messages, wave, dead_letters)
        last = wave[-1][1]
        for _ in range(_WAVE_PASSES):
            await checkpoint()
            if last.parked is not None:
                break  # its reader sleeps again, and so do those before it
        if hot:
            await _let_catch_up(messages, hot, dead_letters)


async def _let_catch_up(
    messages: Batch, hot: list[_Behind], dead_letters: DeadLetters
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
            if at < len(messages):
                at = _put_from(at, messages, ref, mailbox, dead_letters)
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
