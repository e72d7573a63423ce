"""Presence: what it costs that everybody hears who comes and who leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from picows import WSFrame, WSTransport

from ..harness.dialect import Dialect
from ..harness.load import Client, Connection, connect, join, timed
from ..harness.server import Server

# The words of one presence take more, those of an answer less.
_SHORTEST = 70
_AT_ONCE = 50
# Longer than the interval after which a room is told.
_QUIET_SECONDS = 2.5
_SETTLE_SECONDS = 60.0


@dataclass(slots=True)
class News:
    """What all guests have been told together."""

    deliveries: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a wave of guests cost."""

    #: Of the server's processor.
    seconds: float
    deliveries: int
    megabytes: float
    load: float
    server: float
    others: float


class Guest(Client):
    """Counts what it is told of the others."""

    def __init__(self, dialect: Dialect, news: News) -> None:
        super().__init__(dialect)
        self._news = news

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.payload_size < _SHORTEST:
            super().on_ws_frame(transport, frame)
            return
        self._news.deliveries += 1
        self._news.octets += frame.payload_size


class Party:
    """A room that guests come to, and leave."""

    def __init__(self, server: Server, size: int) -> None:
        self._server = server
        self._size = size
        self._news = News()
        self._guests: list[Connection[Guest]] = []

    async def gather(self) -> Cost:
        """Connect all guests; then let them come as fast as they can.

        Raises:
            TimeoutError: The room does not come to rest.
        """
        self._guests = await connect(
            self._server, lambda dialect: Guest(dialect, self._news), self._size
        )
        return await self._time(self._come)

    async def thin_out(self) -> Cost:
        """Let half of them go, without a word.

        Raises:
            TimeoutError: The room does not come to rest.
        """
        return await self._time(self._halve)

    async def empty(self) -> Cost:
        """Let all others go but one, without a word: who would hear of it else?

        Raises:
            TimeoutError: The room does not come to rest.
        """
        return await self._time(self._leave_one)

    async def _come(self) -> None:
        await join(self._guests, at_once=_AT_ONCE)

    async def _halve(self) -> None:
        self._let_go(len(self._guests) // 2)

    async def _leave_one(self) -> None:
        self._let_go(len(self._guests) - 1)

    def _let_go(self, number: int) -> None:
        leaving, self._guests = self._guests[:number], self._guests[number:]
        for guest in leaving:
            guest.transport.disconnect(graceful=False)

    async def _time(self, wave: Callable[[], Awaitable[None]]) -> Cost:
        self._news.deliveries = self._news.octets = 0
        with timed(self._server) as effort:
            await wave()
            await self._rest()
        news = self._news
        return Cost(
            effort.server * effort.seconds,
            news.deliveries,
            news.octets / 1e6,
            *(effort.load, effort.server, effort.others),
        )

    async def _rest(self) -> None:
        """Wait until everybody has heard something, and nobody more for a while."""
        async with asyncio.timeout(_SETTLE_SECONDS):
            heard = -1
            while heard != self._news.deliveries or heard < len(self._guests):
                heard = self._news.deliveries
                await asyncio.sleep(_QUIET_SECONDS)
