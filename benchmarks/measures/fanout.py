"""Fan-out: one message to everyone in a room, deliveries per second.

A client outside the room asks for broadcasts, a few at a time, and for the next
few when as many have arrived: the server always has work, and never more than a
few messages for any client, so that no bound of any subject is in play.  The
clock runs from the first request to the last delivery.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

from picows import WSFrame, WSTransport

from ..harness.dialect import PAYLOAD, Dialect
from ..harness.load import (
    Client,
    Connection,
    Rate,
    abandon,
    close,
    connect,
    join,
    timed,
)
from ..harness.server import Server

#: Broadcasts asked for at once, and how many such requests are under way: 8
#: messages for each client, where Greenroom's outbox holds 256.
BATCH = 4
IN_FLIGHT = 2
_STALL_SECONDS = 60.0
_FILL_SECONDS = 1.0
_DRAINS = 5
_JOINS_AT_ONCE = 100


class Tally:
    """Deliveries of all members, counted together."""

    def __init__(self) -> None:
        #: Whether long frames are deliveries now; Engine.IO's greeting is long too.
        self.open = False
        self.received = 0
        #: At this many deliveries ``reached`` is set.
        self.goal = 0
        self.reached = asyncio.Event()

    async def reach(self, goal: int, patience: float = _STALL_SECONDS) -> None:
        """Wait until *goal* messages were delivered in all."""
        if self.received < goal:
            self.goal = goal
            self.reached.clear()
            async with asyncio.timeout(patience):
                await self.reached.wait()


class Member(Client):
    """Counts the frames that are long enough to carry the payload."""

    def __init__(self, dialect: Dialect, tally: Tally) -> None:
        super().__init__(dialect)
        self._tally = tally
        self.received = 0
        #: Broadcasts that had been asked for when it joined.
        self.missed = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        tally = self._tally
        if not tally.open or frame.payload_size < len(PAYLOAD):
            super().on_ws_frame(transport, frame)
            return
        self.received += 1
        tally.received += 1
        if tally.received == tally.goal:
            tally.reached.set()


class Room:
    """Members in a room of the server, and a controller outside of it.

    Args:
        server: Whose room.
        batch: Broadcasts in one request, if nothing else is said; `IN_FLIGHT` such
            are under way.
    """

    def __init__(self, server: Server, batch: int = BATCH) -> None:
        self.server = server
        self._batch = batch
        self._tally = Tally()
        self._asked = 0
        self.members: list[Connection[Member]] = []

    async def fill(self, members: int) -> None:
        """Connect the members; they are not in the room yet."""
        self.members = await self._connect(members)

    async def open(self) -> None:
        """Bring the members into the room, and see that one message arrives whole."""
        [self._controller] = await connect(self.server, Client, 1)
        first, rest = self.members[:1], self.members[1:]
        await join(first)
        heard = first[0].client.listen()
        self.ask(1)
        assert PAYLOAD in await heard
        await join(rest)
        self._tally.open = True

    async def grow(self, members: int) -> None:
        """Bring more members into the room, while nothing is sent."""
        # Engine.IO's greeting is as long as a delivery.
        self._tally.open = False
        more = await self._connect(members)
        for member in more:
            member.client.missed = self._asked
        await join(more, at_once=_JOINS_AT_ONCE)
        self._tally.open = True
        self.members += more

    async def measure(
        self,
        seconds: float,
        *,
        payload: str = PAYLOAD,
        batch: int | None = None,
        at_most: int = sys.maxsize,
        patience: float = _STALL_SECONDS,
    ) -> Rate:
        """Broadcast for at least *seconds*; return deliveries per second.

        Args:
            seconds: How long.
            payload: What, no shorter than `PAYLOAD`.
            batch: Broadcasts in one request.
            at_most: So many requests will do.
            patience: How long the next deliveries may take.

        Raises:
            AssertionError: A member got more or fewer messages than were sent.
            TimeoutError: Messages were missing.
        """
        batch = self._batch if batch is None else batch
        size = batch * len(self.members)
        await self._warm_up(payload, patience)
        before = self._tally.received
        loop = asyncio.get_running_loop()
        with timed(self.server) as effort:
            deadline = loop.time() + seconds
            for _ in range(IN_FLIGHT):
                self.ask(batch, payload)
            asked = IN_FLIGHT
            goal = before
            while loop.time() < deadline and asked < at_most:
                goal += size
                await self._tally.reach(goal, patience)
                self.ask(batch, payload)
                asked += 1
            await self._tally.reach(before + asked * size, patience)
        self._check()
        return Rate(asked * size / effort.seconds, effort)

    async def drain(self) -> float:
        """How fast the load client takes what is already in its sockets.

        The client stands still while the server writes, so the server has no
        part in the time.  This is the pace at which a client that has fallen
        behind catches up: no slower subject can be held back by it.
        """
        count = self._batch * IN_FLIGHT
        rates: list[float] = []
        for _ in range(_DRAINS):
            before = self._tally.received
            self.ask(count)
            await asyncio.sleep(0)
            time.sleep(_FILL_SECONDS)  # noqa: ASYNC251 - the point is to stand still
            with timed(self.server) as effort:
                await self._tally.reach(before + count * len(self.members))
            rates.append(count * len(self.members) / effort.seconds)
        self._check()
        return sorted(rates)[len(rates) // 2]

    def ask(self, broadcasts: int, payload: str = PAYLOAD) -> None:
        """Ask for so many broadcasts, and wait for nothing."""
        order = {"count": broadcasts, "payload": payload}
        self._controller.client.write(self._controller.client.say("go", order))
        if self._tally.open:
            self._asked += broadcasts

    async def settle(self) -> None:
        """Wait until all that was asked for has arrived, and nothing else.

        Raises:
            AssertionError: A member got more or fewer messages than were sent.
            TimeoutError: Messages were missing.
        """
        due = sum(self._asked - member.client.missed for member in self.members)
        await self._tally.reach(due)
        self._check()

    @property
    def delivered(self) -> int:
        """How many messages its members have received."""
        return self._tally.received

    async def leave(self) -> None:
        """Close all connections."""
        await close(self.members)
        await close([self._controller])

    def abandon(self) -> None:
        """Drop all connections, and wait for nothing."""
        abandon(self.members)
        abandon([self._controller])

    async def _connect(self, count: int) -> list[Connection[Member]]:
        first = len(self.members)
        make = partial(Member, tally=self._tally)
        return await connect(self.server, make, count, first=first)

    async def _warm_up(self, payload: str, patience: float) -> None:
        before = self._tally.received
        for _ in range(IN_FLIGHT):
            self.ask(self._batch, payload)
        size = self._batch * len(self.members)
        await self._tally.reach(before + IN_FLIGHT * size, patience)

    def _check(self) -> None:
        lost = {
            self._asked - member.client.missed - member.client.received
            for member in self.members
        }
        assert lost == {0}, f"asked {self._asked}, and of these were lost {lost}"
