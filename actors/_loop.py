"""The loop: it hands an actor one message after the other.

The system lane goes first, then the user lane; each message runs to its end
before the next is taken.  An exception of the actor's leaves the loop, and the
message it was about stays in `Mailbox.current`.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, cast, final

from ._actor import Actor
from ._ask import Activation, Ask, Timed, Watch
from ._burial import Addressee, bury
from ._dead_letters import Undelivered
from ._mailbox import NOTHING, Envelope
from ._request import Requested

_log = logging.getLogger("greenroom.actors")

# A checkpoint per message costs as much as fourteen messages; beyond 64 there is
# little left to gain.  The second bound keeps 64 slow messages from adding up.
MESSAGES_PER_TURN = 64
SECONDS_PER_TURN = 0.001

# Asked by class, which costs half of isinstance().
ENVELOPES = frozenset({Ask, Requested, Timed})

# A message that keeps others waiting for so long is worth a line in the log.
SLOW_SECONDS = 1.0


@final
class _Stop:
    __slots__ = ()


STOP = _Stop()
"""System message: leave the loop."""


@final
class _Hold:
    __slots__ = ()


HOLD = _Hold()
"""System message: look whether the mailbox is suspended."""


@final
class News:
    """System message: an actor that is watched has ended."""

    __slots__ = ("watch",)

    def __init__(self, watch: Watch) -> None:
        self.watch = watch


async def serve(
    addressee: Addressee, actor: Actor[Any], activation: Activation, number: int
) -> None:
    """Hand over message after message, until it is `STOP`.

    Args:
        addressee: Whose messages.
        actor: Who takes them.
        activation: Where it is written down what the actor does.
        number: Of the incarnation that the actor is.
    """
    mailbox = addressee.mailbox
    queue = mailbox.queue
    receive: Callable[[Any], Any] = actor.receive
    is_async = inspect.iscoroutinefunction(receive)
    popleft = queue.popleft
    runtime = addressee.runtime
    tick = runtime.tick
    park = runtime.parker.park
    checkpoint = runtime.parker.checkpoint
    pause = runtime.pause
    per_turn = MESSAGES_PER_TURN if pause is None else 1
    message: Any
    if mailbox.suspended:
        mailbox.put_system(HOLD)
    while True:
        if not queue and not mailbox.system:
            mailbox.rest()
            # While it sleeps nothing here may keep the old queue alive.
            queue = mailbox.queue
            popleft = queue.popleft
            await park(mailbox)
            queue = mailbox.queue
            popleft = queue.popleft
            continue
        if pause is not None:
            await pause("receive")
            if not queue and not mailbox.system:
                continue  # drained meanwhile
        mailbox.turn_at = began = tick()
        until = began + SECONDS_PER_TURN
        for _ in range(per_turn):
            if mailbox.system:
                message = mailbox.system.popleft()
                if message is STOP:
                    return
                if message is HOLD:
                    await _hold(addressee, actor)
                else:
                    await _receive_system(message, actor)
                # What came meanwhile is in a queue made for it.
                queue = mailbox.queue
                popleft = queue.popleft
            else:
                # Here and below take() and done() are written out: the two calls
                # would be a sixth of what a message costs.
                mailbox.current = message = popleft()
                if len(queue) < mailbox.low:
                    mailbox.taken()
                if message.__class__ in ENVELOPES:
                    await _open(message, addressee, receive, activation, number)
                else:
                    if is_async:
                        await receive(message)
                    else:
                        result = receive(message)
                        if result is not None and isinstance(result, Coroutine):
                            await result
                    # Else the handler has put it aside; see Mailbox.put_aside.
                    if mailbox.current is not NOTHING:
                        mailbox.current = NOTHING
                        mailbox.handled += 1
            if not queue and not mailbox.system:
                break
            if tick() > until:
                if queue and (seconds := tick() - began) > SLOW_SECONDS:
                    _warn(addressee, message, seconds)
                mailbox.mark(began)
                await checkpoint()
                break
        else:
            mailbox.mark(began)
            await checkpoint()


async def _hold(addressee: Addressee, actor: Actor[Any]) -> None:
    """Take only system messages as long as the mailbox is suspended."""
    mailbox = addressee.mailbox
    while mailbox.suspended:
        if not mailbox.system:
            mailbox.rest()
            await addressee.runtime.parker.park(mailbox)
        elif mailbox.system[0] is STOP:
            return
        else:
            await _receive_system(mailbox.system.popleft(), actor)


async def _receive_system(message: object, actor: Actor[Any]) -> None:
    if message is HOLD:
        return
    if isinstance(message, Ask):
        # Not an ask of the user's, which goes through the user lane.
        _inspect(message, actor)
        return
    if isinstance(message, News):
        watch = message.watch
        if watch.cancelled:
            return
        watch.cancel()
        message = watch.down
    result = actor.receive(message)
    if isinstance(result, Coroutine):
        await result


def _inspect(ask: Ask, actor: Actor[Any]) -> None:
    if ask.done:
        return  # nobody looks any more
    function = cast("Callable[[Actor[Any]], object]", ask.message)
    try:
        ask.reply(function(actor))
    except Exception as error:
        # The fault is the onlooker's, not the actor's.
        ask.fail(error)


async def _open(
    envelope: object,
    addressee: Addressee,
    receive: Callable[[Any], Any],
    activation: Activation,
    number: int,
) -> None:
    mailbox = addressee.mailbox
    if isinstance(envelope, Ask):
        if envelope.done:
            # Its asker has left or its deadline has passed: answering costs
            # time that those who still wait could have.
            bury(addressee, mailbox.lose(), Undelivered.EXPIRED)
            return
        activation.deadline = envelope.deadline
        activation.replying = envelope
        try:
            answer: object = receive(envelope.message)
            if isinstance(answer, Coroutine):
                answer = cast("object", await answer)
        finally:
            activation.deadline = math.inf
        # Unless its answer was put off.
        if activation.replying is envelope:
            activation.replying = None
            if (pause := addressee.runtime.pause) is not None:
                await pause("reply")
            envelope.reply(answer)
    else:
        assert isinstance(envelope, Timed)
        if envelope.incarnation != number:
            bury(addressee, mailbox.lose(), Undelivered.EXPIRED)
            return
        envelope.settled = True
        result = receive(envelope.message)
        if isinstance(result, Coroutine):
            await result
    mailbox.done()


def _warn(addressee: Addressee, message: object, seconds: float) -> None:
    if isinstance(message, Envelope):
        message = message.message
    # Its kind and no more: what it says may be a secret.
    _log.warning(
        "%s took %.1f s over a %s while %d waited",
        addressee.path,
        seconds,
        type(message).__name__,
        len(addressee.mailbox.queue),
    )
