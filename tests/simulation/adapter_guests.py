"""Guests, what was emitted to them, and what they were asked."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any, Final, final

import anyio

from greenroom import Client, Overflow
from greenroom.actors import Mailbox

from .lines import Kind, Line

# Stands for everyone, where rooms are meant.
EVERYONE: Final = ("", "")


@final
class Guest:
    """One connection, as the application and the peer see it.

    Attributes:
        causes: The close codes it may have ended with, oldest first.
        end_at: When the first of them came about.
        rooms: What it is certainly in; `EVERYONE` among them.
        maybe: What it may be in.
    """

    def __init__(self, number: int, line: Line) -> None:
        self.number = number
        self.line = line
        self.client: Client
        self.inbox: Mailbox[Any]
        self.outbox: Mailbox[Any]
        # The server's task, where it can be cancelled natively.
        self.task: asyncio.Task[Any] | None = None
        self.connects = 0
        self.rejected = False
        self.byes: list[tuple[float, int | None, str]] = []
        # When its last handler, but that of on_disconnect, was over.
        self.busy_at = 0.0
        self.served_at: float | None = None
        self.causes: list[int] = []
        self.end_at: float | None = None
        self.kicked: int | None = None
        # When its outbox last dropped something.
        self.overflow_at = -1.0
        self.overflow_by: Emission | None = None
        # Whether nobody knows when exactly it was told to go.
        self.vague = False
        # When its peer has left by itself.
        self.left_at = math.inf
        self.rooms: set[tuple[str, str]] = set()
        self.maybe: set[tuple[str, str]] = set()
        # When, in numbers of emissions, it last began to enter each.
        self.entered: dict[tuple[str, str], int] = {}
        self.running = 0
        self.stubborn = False
        self.handled: list[int] = []
        # When handlers were cancelled.
        self.cancelled: list[float] = []
        # How often each question of the peer was answered.
        self.asked: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        # When the handler of each message was done with it.
        self.done: dict[int, float] = {}

    @property
    def well(self) -> bool:
        """Whether its peer takes all at once, always."""
        return self.line.kind is Kind.OK

    @property
    def open(self) -> bool:
        """Whether nothing has put an end to it yet."""
        return self.connects > 0 and not self.causes and self.client.connected

    def events_read(self) -> int:
        """How many messages the server has read of it, for its inbox."""
        return sum(frame.startswith('{"event"') for frame in self.line.heard)

    def ended_by(self, send_seconds: float) -> float | None:
        """When the server had to know that it is gone, or is to go."""
        line = self.line
        times = [self.end_at, line.heard_at]
        if line.stuck_at is not None:
            times.append(line.stuck_at + send_seconds)
        if self.byes and "pending" in self.byes[0][2]:
            times.append(self.overflow_at)
        return min((time for time in times if time is not None), default=None)

    def go(self, code: int) -> None:
        """The peer leaves with *code*; with 1006, without a word."""
        self.causes.append(code)
        self.left_at = anyio.current_time()
        if code == 1006:
            self.line.drop()
        else:
            self.line.leave(code)

    def cause(self, code: int, at: float) -> None:
        """It will end with *code*, unless something else was first."""
        self.causes.append(code)
        if self.end_at is None or at < self.end_at:
            self.end_at = at


@final
class Payload:
    """The data of one emission; counts how often it is encoded."""

    def __init__(self, fields: dict[str, object]) -> None:
        self.fields = fields
        self.encoded = 0

    def model_dump(self, mode: str) -> object:
        self.encoded += 1
        return self.fields


@final
class Emission:
    """One emit.

    Attributes:
        due: Who must get it.
        barred: Who must not, unless it enters meanwhile.
        accepted: Whether emit returned; None while it has not, or was cancelled.
    """

    def __init__(self, number: int, sender: str, at: float, order: int) -> None:
        self.number = number
        self.sender = sender
        self.at = at
        self.order = order
        self.payload = Payload({"n": number})
        self.targets: set[tuple[str, str]] = set()
        self.guest: Guest | None = None
        self.due: set[Guest] = set()
        self.barred: set[Guest] = set()
        self.accepted: bool | None = None
        self.volatile = False
        # What a full outbox is to do with it.
        self.policy: Overflow | None = None
        self.ended_at: float | None = None


@final
class Call:
    """One call of the server's to a guest."""

    def __init__(self, guest: Guest, at: float) -> None:
        self.guest = guest
        self.at = at
        self.ended_at: float | None = None
        self.answered = False
