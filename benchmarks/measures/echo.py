"""Echo: a few clients at ping-pong, round trips per second."""

from __future__ import annotations

import asyncio

from picows import WSFrame, WSTransport

from ..harness.dialect import PAYLOAD, Dialect
from ..harness.load import Client, Rate, close, connect, timed
from ..harness.server import Server

_WARM_UP_SECONDS = 0.3
_LAST_ECHO_SECONDS = 10.0


class Rally:
    """The game all players are in."""

    def __init__(self) -> None:
        self.trips = 0
        #: While this is 0 no frame is a ball; Engine.IO's greeting is as long as one.
        self.in_flight = 0
        self.over = False
        self.all_home = asyncio.Event()


class Player(Client):
    """Answers every echo with the next message."""

    def __init__(self, dialect: Dialect, rally: Rally) -> None:
        super().__init__(dialect)
        self._rally = rally
        self.ball = self.say("echo", PAYLOAD)

    def serve(self) -> None:
        self._rally.in_flight += 1
        self.write(self.ball)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        rally = self._rally
        if not rally.in_flight or frame.payload_size < len(PAYLOAD):
            super().on_ws_frame(transport, frame)
            return
        rally.trips += 1
        if rally.over:
            rally.in_flight -= 1
            if not rally.in_flight:
                rally.all_home.set()
        else:
            self.write(self.ball)


async def measure(server: Server, clients: int, seconds: float) -> Rate:
    """Play for *seconds*; return round trips per second.

    Raises:
        AssertionError: The server did not give the payload back.
        TimeoutError: The last echoes did not come.
    """
    rally = Rally()
    players = await connect(server, lambda dialect: Player(dialect, rally), clients)
    [probe] = await connect(server, Client, 1)
    assert PAYLOAD in await probe.client.ask(players[0].client.ball)
    for player in players:
        player.client.serve()
    await asyncio.sleep(_WARM_UP_SECONDS)
    before = rally.trips
    with timed(server) as effort:
        await asyncio.sleep(seconds)
        trips = rally.trips - before
    rally.over = True
    async with asyncio.timeout(_LAST_ECHO_SECONDS):
        await rally.all_home.wait()
    await close(players)
    await close([probe])
    return Rate(trips / effort.seconds, effort)
