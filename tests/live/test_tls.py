"""TLS from hypercorn itself: on Trio there is no wire then, but a way to drop."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trustme

from .apps.pressure import OUTBOX
from .client import Peer, crowd, eventually, goodbyes
from .server import HypercornServer, hypercorn_server, unhurried

pytestmark = [pytest.mark.live, pytest.mark.anyio]

SOCKET_BUFFER = 8192
PAD = 8192


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What the clients believe."""
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]  # or of pyOpenSSL, which is not there
    return context


@pytest.fixture(scope="module")
def certificate(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Sequence[str]:
    """What hypercorn is told on its command line."""
    path: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    return "--certfile", str(path), "--keyfile", str(path)


@contextmanager
def secure_server(
    app: str, worker: str, certificate: Sequence[str]
) -> Generator[HypercornServer]:
    with hypercorn_server(
        f"tests.live.apps.{app}:app",
        worker,
        extra_args=certificate,
        socket_buffer=SOCKET_BUFFER,
    ) as server:
        yield server


async def expect_goodbye(peer: Peer) -> None:
    assert await peer.wait_closed() == (1001, "going away")


@pytest.fixture(scope="module")
def server(worker: str, certificate: Sequence[str]) -> Iterator[HypercornServer]:
    with secure_server("pressure", worker, certificate) as server:
        yield server
        server.check_log()


async def test_what_is_said_comes_back_and_reaches_the_others(
    server: HypercornServer, tls: ssl.SSLContext
) -> None:
    async with crowd(server, tls=tls) as clients:
        speaker, listener = await clients.welcome(), await clients.welcome()
        for size in (1, 1000, 60_000):
            assert await speaker.ask("echo", "x" * size) == "x" * size
        await listener.ask("join", "hall")
        for number in range(2 * OUTBOX):
            await speaker.ask("emit", {"event": "n", "data": number, "room": "hall"})
            assert (await listener.expect("n"))[0] == number


async def test_one_who_does_not_read_is_dropped(
    server: HypercornServer, tls: ssl.SSLContext
) -> None:
    async with crowd(server, tls=tls) as clients:
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


# The clients keep to themselves that they have heard TLS end, for which asyncio
# would wait half a minute.
async def test_told_to_stop_the_server_says_goodbye_and_ends(
    worker: str, certificate: Sequence[str], tls: ssl.SSLContext
) -> None:
    with secure_server("goodbye", worker, certificate) as server:
        async with crowd(server, tls=tls) as clients:
            peers = await clients.welcome_many(5)
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(expect_goodbye, peer)
                code, _ = await trio.to_thread.run_sync(
                    lambda: server.terminate(deadline_seconds=unhurried(3))
                )
        assert code == 0
        server.check_log()
