"""Inline: an ask answered in the task of the one who asks.

Two switches of tasks are most of what an ask costs.  An idle actor with a plain
``receive`` can do without, if it says so: see `Actor.inline_asks`.  The law: it
is still one message at a time, in the order sent, and each still counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

from ._ask import Activation, Ask, current
from ._burial import Addressee
from ._mailbox import Mailbox

# Every so many asks go by way of the loop, so that others get their turn.
_ASKS_PER_TURN = 64


def is_idle(mailbox: Mailbox[Any]) -> bool:
    """Whether the reader sleeps, and nothing waits for it."""
    return (
        mailbox.parked is not None
        and not mailbox.queue
        and not mailbox.promised
        and not mailbox.system
        and not mailbox.suspended
        and mailbox.handled % _ASKS_PER_TURN != 0
    )


def answer_inline(
    addressee: Addressee,
    receive: Callable[[Any], Any],
    activation: Activation,
    fail: Callable[[BaseException], None],
    ask: Ask,
) -> None:
    """Handle *ask* here and now.

    It need not be settled then: its answer may be put off, and after a crash it
    is for the dying actor to say what it was.

    Args:
        addressee: Whose message.
        receive: What takes it.
        activation: Of the actor.
        fail: Told of the exception that crashes the actor.
        ask: What is asked.
    """
    mailbox = addressee.mailbox
    mailbox.accepted += 1
    mailbox.current = ask
    activation.replying = ask
    activation.deadline = ask.deadline
    token = current.set(activation)
    try:
        answer = receive(ask.message)
        if isinstance(answer, Coroutine):
            answer.close()
            raise TypeError(f"with inline_asks, {receive!r} must not await")
    except BaseException as error:
        fail(error)
        return
    finally:
        current.reset(token)
        activation.deadline = math.inf
    if activation.replying is ask:
        activation.replying = None
        ask.reply(answer)
    mailbox.done()
