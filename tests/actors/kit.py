"""What stands in for a mailbox's owner and for an event loop."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from greenroom import MailboxOptions, Overflow
from greenroom.actors import Mailbox
from greenroom.actors._parking import Parkable, Parker


class Owner:
    """A mailbox owner that writes down what it is told."""

    def __init__(self) -> None:
        self.drops: list[tuple[object, Overflow]] = []
        self.overflows = 0
        self.levels: list[int] = []
        self.on_drop: Callable[[], None] | None = None
        self.on_overflow: Callable[[], None] | None = None

    @property
    def dropped_messages(self) -> list[object]:
        """What was dropped, oldest first."""
        return [message for message, _ in self.drops]

    def dropped(self, message: object, overflow: Overflow) -> None:
        self.drops.append((message, overflow))
        if self.on_drop is not None:
            self.on_drop()

    def overflowed(self) -> None:
        self.overflows += 1
        if self.on_overflow is not None:
            self.on_overflow()

    def level_changed(self, level: int) -> None:
        self.levels.append(level)


class Slot:
    """Something to sleep on."""

    def __init__(self) -> None:
        self.parked: Any = None


class HandCancelled(BaseException):
    """What a task that is moved by hand is cancelled with."""


@types.coroutine
def _suspend() -> Generator[None, None, None]:
    yield


async def _yield() -> None:
    await _suspend()


class Hand:
    """A parker without an event loop: the test moves the tasks, see `Steps`."""

    def __init__(self) -> None:
        self.parker = Parker(
            "hand", HandCancelled, self._park, self._unpark, _yield, self._absorb
        )
        self.woken: list[Parkable] = []

    async def _park(self, slot: Parkable) -> None:
        slot.parked = token = object()
        try:
            await _suspend()
        finally:
            if slot.parked is token:
                slot.parked = None

    def _unpark(self, slot: Parkable) -> None:
        assert slot.parked is not None, "nobody sleeps here"
        slot.parked = None
        self.woken.append(slot)

    def _absorb(self) -> None:
        raise AssertionError("there is nothing to absorb")


class Steps:
    """A coroutine that is moved by hand."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.over = False
        self.value: Any = None
        self.go_on()

    def go_on(self) -> None:
        """Run it up to where it sleeps next."""
        try:
            self._coroutine.send(None)
        except StopIteration as stop:
            self.over, self.value = True, stop.value

    def cancel(self) -> None:
        """Cancel it where it sleeps."""
        try:
            self._coroutine.throw(HandCancelled())
        except HandCancelled:
            self.over = True
        except StopIteration as stop:
            self.over, self.value = True, stop.value


def balanced(mailbox: Mailbox[Any]) -> bool:
    """Whether each message that was accepted is somewhere, and only there."""
    return mailbox.accepted == (
        mailbox.handled + mailbox.dead_lettered + mailbox.pending
    )


def mailbox_of(
    owner: Owner | None = None, *, enveloped: bool = True, **options: Any
) -> Mailbox[Any]:
    """A mailbox that is moved by hand; *options* are its own."""
    return Mailbox(
        MailboxOptions(**options),
        owner or Owner(),
        Hand().parker,
        enveloped=enveloped,
    )


def first(message: Any) -> Any:
    """The key or the weight of a message that is a tuple."""
    return message[0]


def second(message: Any) -> Any:
    """Likewise."""
    return message[1]
