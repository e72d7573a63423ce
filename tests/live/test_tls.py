"""TLS from hypercorn itself: on Trio there is no wire then, but a way to drop."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from .client import crowd
from .server import HypercornServer, hypercorn_server
from .transports import (
    SOCKET_BUFFER,
    expect_a_drop,
    expect_goodbyes,
    expect_to_be_heard,
)

pytestmark = [pytest.mark.live, pytest.mark.anyio]


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


@pytest.fixture(scope="module")
def server(worker: str, certificate: Sequence[str]) -> Iterator[HypercornServer]:
    with secure_server("pressure", worker, certificate) as server:
        yield server
        server.check_log()


async def test_what_is_said_comes_back_and_reaches_the_others(
    server: HypercornServer, tls: ssl.SSLContext
) -> None:
    async with crowd(server, tls=tls) as clients:
        await expect_to_be_heard(clients)


async def test_one_who_does_not_read_is_dropped(
    server: HypercornServer, tls: ssl.SSLContext
) -> None:
    async with crowd(server, tls=tls) as clients:
        await expect_a_drop(clients)


# The clients keep to themselves that they have heard TLS end, for which asyncio
# would wait half a minute.
async def test_told_to_stop_the_server_says_goodbye_and_ends(
    worker: str, certificate: Sequence[str], tls: ssl.SSLContext
) -> None:
    with secure_server("goodbye", worker, certificate) as server:
        async with crowd(server, tls=tls) as clients:
            await expect_goodbyes(server, clients, 3)
        server.check_log()
