"""What hypercorn has to do over every transport: be heard, drop, and say goodbye."""

from __future__ import annotations

import trio

from .apps.pressure import OUTBOX
from .client import Crowd, Peer, eventually, goodbyes
from .server import HypercornServer, unhurried

# Of each socket: with the kernel's megabytes every test would take long.
SOCKET_BUFFER = 8192
PAD = 8192


async def expect_to_be_heard(clients: Crowd) -> None:
    """What is said to the app `pressure` comes back, and reaches the others."""
    speaker, listener = await clients.welcome(), await clients.welcome()
    for size in (1, 1000, 60_000):
        assert await speaker.ask("echo", "x" * size) == "x" * size
    await listener.ask("join", "hall")
    for number in range(2 * OUTBOX):
        await speaker.ask("emit", {"event": "n", "data": number, "room": "hall"})
        assert (await listener.expect("n"))[0] == number


async def expect_a_drop(clients: Crowd) -> None:
    """The app `pressure` drops one who does not read, and its socket is gone."""
    witness = await clients.welcome("/hasty")
    sockets = await witness.ask("sockets")
    stalled = await clients.welcome("/hasty", socket_buffer=SOCKET_BUFFER)
    await stalled.emit("stream", {"count": 10_000, "pad": PAD})

    [[code, _]] = await goodbyes(witness, stalled.sid)
    assert code == 1013

    async def is_dropped() -> bool:
        return bool(await witness.ask("sockets") == sockets)

    # It is still connected, as far as it knows, and does not read.
    await eventually("the end of its socket", is_dropped, 5)


async def _expect_goodbye(peer: Peer) -> None:
    assert await peer.wait_closed() == (1001, "going away")


async def expect_goodbyes(
    server: HypercornServer, clients: Crowd, seconds: float
) -> None:
    """The app `goodbye`, told to stop, says so and ends well within *seconds*."""
    peers = await clients.welcome_many(5)
    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(_expect_goodbye, peer)
        code, _ = await trio.to_thread.run_sync(
            lambda: server.terminate(deadline_seconds=unhurried(seconds))
        )
    assert code == 0
