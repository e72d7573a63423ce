"""Fan-out: one message to everyone in a room, deliveries per second.

A client outside the room asks for broadcasts, a few at a time, and for the next
few when as many have arrived: the server always has work, and never more than a
few messages for any client, so that no bound of any subject is in play.  The
clock runs from the first request to the last delivery.
"""

from __future__ import annotations

import asyncio
import time

from picows import WSFrame, WSTransport

from ..harness.dialect import PAYLOAD, Dialect
from ..harness.load import Client, Rate, close, connect, join, timed
from ..harness.server import Server

#: Broadcasts asked for at once, and how many such requests are under way: 16
#: messages for each client, where Greenroom's outbox holds 256.
BATCH = 8
IN_FLIGHT = 2
_STALL_SECONDS = 60.0
_FILL_SECONDS = 1.0
_DRAINS = 5


class Tally:
    """Deliveries of all members, counted together."""

    def __init__(self) -> None:
        #: Whether long frames are deliveries now; Engine.IO's greeting is long too.
        self.open = False
        self.received = 0
        #: At this many deliveries ``reached`` is set.
        self.goal = 0
        self.reached = asyncio.Event()

    async def reach(self, goal: int) -> None:
        """Wait until *goal* messages were delivered in all."""
        if self.received < goal:
            self.goal = goal
            self.reached.clear()
            async with asyncio.timeout(_STALL_SECONDS):
                await self.reached.wait()


class Member(Client):
    """Counts the frames that are long enough to carry the payload."""

    def __init__(self, dialect: Dialect, tally: Tally) -> None:
        super().__init__(dialect)
        self._tally = tally
        self.received = 0

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
    """Members in a room of the server, and a controller outside of it."""

    def __init__(self, server: Server, tally: Tally) -> None:
        self._server = server
        self._tally = tally
        self._asked = 0

    async def fill(self, members: int) -> None:
        """Connect the members; they are not in the room yet."""
        self.members = await connect(
            self._server, lambda dialect: Member(dialect, self._tally), members
        )

    async def open(self) -> None:
        """Bring the members into the room, and see that one message arrives whole."""
        [self._controller] = await connect(self._server, Client, 1)
        first, rest = self.members[:1], self.members[1:]
        await join(first)
        heard = first[0].client.listen()
        self._ask(1)
        assert PAYLOAD in await heard
        await join(rest)
        self._tally.open = True

    async def measure(self, seconds: float) -> Rate:
        """Broadcast for at least *seconds*; return deliveries per second.

        Raises:
            AssertionError: A member got more or fewer messages than were sent.
            TimeoutError: Messages were missing.
        """
        size = BATCH * len(self.members)
        await self._batches(IN_FLIGHT)
        before = self._tally.received
        loop = asyncio.get_running_loop()
        with timed(self._server) as effort:
            deadline = loop.time() + seconds
            for _ in range(IN_FLIGHT):
                self._ask(BATCH)
            asked = IN_FLIGHT
            goal = before
            while loop.time() < deadline:
                goal += size
                await self._tally.reach(goal)
                self._ask(BATCH)
                asked += 1
            await self._tally.reach(before + asked * size)
        self._check()
        return Rate(asked * size / effort.seconds, effort)

    async def drain(self) -> float:
        """How fast the load client takes what is already in its sockets.

        The client stands still while the server writes, so the server has no
        part in the time.  This is the pace at which a client that has fallen
        behind catches up: no slower subject can be held back by it.
        """
        count = BATCH * IN_FLIGHT
        rates: list[float] = []
        for _ in range(_DRAINS):
            before = self._tally.received
            self._ask(count)
            await asyncio.sleep(0)
            time.sleep(_FILL_SECONDS)  # noqa: ASYNC251 - the point is to stand still
            with timed(self._server) as effort:
                await self._tally.reach(before + count * len(self.members))
            rates.append(count * len(self.members) / effort.seconds)
        self._check()
        return sorted(rates)[len(rates) // 2]

    async def leave(self) -> None:
        """Close all connections."""
        await close(self.members)
        await close([self._controller])

    async def _batches(self, count: int) -> None:
        before = self._tally.received
        for _ in range(count):
            self._ask(BATCH)
        await self._tally.reach(before + count * BATCH * len(self.members))

    def _ask(self, broadcasts: int) -> None:
        order = {"count": broadcasts, "payload": PAYLOAD}
        self._controller.client.write(self._controller.client.say("go", order))
        if self._tally.open:
            self._asked += broadcasts

    def _check(self) -> None:
        received = {member.client.received for member in self.members}
        assert received == {self._asked}, f"asked {self._asked}, received {received}"
