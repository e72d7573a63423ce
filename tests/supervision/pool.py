"""Routers and their routees, for tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, cast

import anyio

from greenroom import (
    Actor,
    ActorRef,
    ChildSpec,
    MailboxOptions,
    Normal,
    Overflow,
    Request,
    Restart,
    Router,
    Routing,
)
from greenroom.testing import wait_idle

from .kit import MANY


class Who(Request[str]):
    """Asks a routee for its name."""


Got = list[tuple[str, object]]
Asked = Callable[["Routee"], Awaitable[object]]


class Routee(Actor[Any]):
    """Writes down what it gets, and answers with its name.

    It fails with an exception, ends with a reason, waits for an event and calls a
    function with itself.
    """

    def __init__(self, name: str, got: list[tuple[str, object]]) -> None:
        self.name = name
        self.got = got

    async def receive(self, message: Any) -> object:
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, Normal):
            self.context.stop(message)
        elif isinstance(message, anyio.Event):
            await message.wait()
        elif callable(message):
            return await cast("Asked", message)(self)
        elif not isinstance(message, Who):
            self.got.append((self.name, message))
        return self.name


def pool(
    got: Got,
    routing: Routing = Routing.ROUND_ROBIN,
    *,
    number: int = 3,
    key: Callable[[Any], Hashable] | None = None,
    capacity: int = 1024,
    overflow: Overflow = Overflow.REJECT,
    restart: Restart = Restart.PERMANENT,
    **options: Any,
) -> Router[Any]:
    """A router to a, b and c, without backoff."""
    if routing is Routing.HASH and key is None:
        key = first
    settings: dict[str, Any] = {"intensity": MANY, "backoff": None, **options}
    return Router(
        [
            ChildSpec(
                name,
                partial(Routee, name, got),
                restart,
                mailbox=MailboxOptions(capacity=capacity, overflow=overflow),
            )
            for name in "abcdefgh"[:number]
        ],
        routing=routing,
        key=key,
        **settings,
    )


def first(message: object) -> str:
    """The key of a message: the first word of it."""
    return str(message).split()[0]


def routee(router: Router[Any], name: str) -> ActorRef[Any]:
    """The ref of a routee."""
    (ref,) = [ref for ref in router.routees if ref.name == name]
    return ref


async def fill(router: Router[Any], names: str) -> anyio.Event:
    """Make those routees busy and full; they go on when the event is set."""
    gate = anyio.Event()
    for name in names:
        routee(router, name).tell(gate)
    await wait_idle()
    for name in names:
        while routee(router, name).try_tell("fills"):
            pass
    return gate


def heard(got: Got) -> str:
    """Who got something, in order."""
    return "".join(name for name, _ in got)


def who_got(got: Got, message: object) -> str:
    """Who got that message, in alphabetical order."""
    return "".join(sorted(name for name, each in got if each == message))
