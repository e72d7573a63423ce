"""Room: what waits in a mailbox, how much more may, and how full that is.

What happens when there is none is not decided here.  The law: below `limit` and
`_heavy` one more message changes nothing but the count, so that is all that `put`
has to look at.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._capacity import WATERMARKS, MailboxOptions, MailboxOwner
from ._pace import Pace

M = TypeVar("M")

# The queue of every room in which nothing waits and nobody looks: it holds
# nothing, ever.  A queue of its own would be a tenth of what an idle actor weighs.
NO_QUEUE: deque[Any] = deque(maxlen=0)

# A level goes back only at half of what raised it: at the mark itself each
# message put and taken would be an event.
_BACK = 0.5


class Room(Generic[M]):
    """A bounded queue that knows its watermarks."""

    __slots__ = (
        "_barred",
        "_heavy",
        "_owner",
        "_stash",
        "_taken_weight",
        "_weigh",
        "aside",
        "level",
        "limit",
        "low",
        "options",
        "overtaken",
        "pace",
        "promised",
        "queue",
        "turn_at",
        "weight",
        "weights",
    )

    def __init__(
        self,
        options: MailboxOptions,
        owner: MailboxOwner,
        weigh: Callable[[object], int] | None,
    ) -> None:
        self.options: MailboxOptions = options
        self._owner = owner
        self._weigh = weigh
        self.queue: deque[M] = NO_QUEUE
        # Beside the queue, so that each message is weighed once: by its sender,
        # whom an error of the function concerns.
        self.weights: deque[int] | None
        self.weights = None if options.weigh is None else NO_QUEUE
        # Of all that waits, promises included.
        self.weight: int = 0
        # Room given away and not filled yet; see Mailbox.promise.
        self.promised: int = 0
        self.level: int = 0
        # A publisher has waited for the reader in vain, and need not again until
        # the level is back at 0; see the registry.
        self.overtaken: bool = False
        # When the reader last woke, or came back to a backlog, on the runtime's
        # `tick`; infinite until it is awake.
        self.turn_at: float = math.inf
        # There while the reader has a backlog.
        self.pace: Pace | None = None
        # Messages that were taken and are not handled to their end, besides the
        # one in flight: stashed, or being handled beside the others.
        self.aside: int = 0
        # Those to be taken again, oldest first, with what each weighed.
        self._stash: deque[tuple[M, int]] | None = None
        # What the message in flight weighed.
        self._taken_weight: int = 0
        # Nobody gets in as things are: it is closed, or others are in line.
        self._barred = False
        # The length below which something follows from a message being taken; see
        # Mailbox.taken.
        self.low: float = 0
        # The length, and the weight, beyond which one more message must be
        # thought about: the next watermark, or the end.
        self.limit: int = 0
        self._heavy: float = 0
        self._set_limits()

    def _fits(self, weight: int) -> bool:
        """Whether there is room for a message of that *weight*."""
        waiting = len(self.queue) + self.promised
        if waiting >= self.options.capacity:
            return False
        max_weight = self.options.max_weight
        return max_weight is None or waiting == 0 or self.weight + weight <= max_weight

    def rest(self) -> None:
        """Hold no memory until something comes; for a reader about to sleep."""
        self.pace = None
        self.turn_at = math.inf
        if not self.queue:
            self.queue = NO_QUEUE
            if self.weights is not None:
                self.weights = NO_QUEUE

    def _unrest(self) -> deque[M]:
        """Make the queues that something can wait in."""
        self.queue = deque()
        if self.weights is not None:
            self.weights = deque()
        return self.queue

    def _append(self, message: M, weight: int) -> None:
        """Let *message* in, for which there is room."""
        if self.queue is NO_QUEUE:
            self._unrest()
        self.queue.append(message)
        if self.weights is not None:
            self.weights.append(weight)
            self.weight += weight
        if len(self.queue) > self.limit or self.weight > self._heavy:
            self._rise()

    def _promise(self, weight: int) -> None:
        """Give room away that is filled later, by `_fill`."""
        self.promised += 1
        self.weight += weight
        self._set_limits()
        self._rise()

    def _fill(self, message: M, weight: int) -> None:
        """Let *message* in, which was promised its room."""
        self.promised -= 1
        self._set_limits()
        if self.queue is NO_QUEUE:
            self._unrest()
        self.queue.append(message)
        if self.weights is not None:
            self.weights.append(weight)

    def _break(self, weight: int) -> None:
        """Take back a promise."""
        self.promised -= 1
        self.weight -= weight
        self._set_limits()
        if self.level:
            self._fall()

    def _remove(self, index: int) -> M:
        """Take the message at *index* out."""
        message = self.queue[index]
        del self.queue[index]
        if self.weights is not None:
            self.weight -= self.weights[index]
            del self.weights[index]
        return message

    @property
    def stash_full(self) -> bool:
        """Whether as many messages are stashed as the mailbox may hold."""
        return len(self._stash or ()) >= self.options.capacity

    def stash(self, message: M) -> None:
        """Keep *message*, just put aside, until `unstash`; it weighs nothing."""
        if self._stash is None:
            self._stash = deque()
        self._stash.append((message, self._taken_weight))

    def unstash(self) -> int:
        """Put all that was stashed before all that waits, in its old order.

        More may wait now than the capacity allows; nothing more gets in then.
        """
        stash, self._stash = self._stash, None
        if not stash:
            return 0
        self.aside -= len(stash)
        queue = self._unrest() if self.queue is NO_QUEUE else self.queue
        for message, weight in reversed(stash):
            queue.appendleft(message)
            if self.weights is not None:
                self.weights.appendleft(weight)
                self.weight += weight
        self._rise()
        return len(stash)

    def _weight_of(self, message: M) -> int:
        return 0 if self._weigh is None else self._weigh(message)

    def _clear(self) -> list[M]:
        """Take all that waits out, and all that was stashed."""
        self.unstash()
        messages = list(self.queue)
        self.queue.clear()
        if self.weights is not None:
            self.weight -= sum(self.weights)
            self.weights.clear()
        return messages

    # -- levels ------------------------------------------------------------

    def _bar(self, barred: bool) -> None:
        self._barred = barred
        self._set_limits()

    def _set_limits(self) -> None:
        options = self.options
        mark = WATERMARKS[self.level] if self.level < len(WATERMARKS) else 1.0
        # At the mark itself nothing happens yet, one beyond it does.
        self.limit = int(options.capacity * mark) - self.promised
        weight = options.max_weight
        self._heavy = math.inf if weight is None else int(weight * mark)
        if self._barred:
            self.limit = 0
        if self._barred or self.weights is not None:
            self.low = math.inf
        elif self.level:
            low = options.capacity * WATERMARKS[self.level - 1] * _BACK
            self.low = low - self.promised + 1
        else:
            self.low = 0

    def _fullness(self) -> float:
        fullness = (len(self.queue) + self.promised) / self.options.capacity
        if self.options.max_weight is not None:
            fullness = max(fullness, self.weight / self.options.max_weight)
        return fullness

    def _rise(self) -> None:
        fullness = self._fullness()
        level = self.level
        while level < len(WATERMARKS) and fullness > WATERMARKS[level]:
            level += 1
        self._set_level(level)

    def _fall(self) -> None:
        fullness = self._fullness()
        level = self.level
        while level and fullness <= WATERMARKS[level - 1] * _BACK:
            level -= 1
        self._set_level(level)

    def _set_level(self, level: int) -> None:
        if level == self.level:
            return
        self.level = level
        if not level:
            self.overtaken = False
        self._set_limits()
        self._owner.level_changed(level)
