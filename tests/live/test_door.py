"""Who is let in by a real server, and who is put out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .apps.door import HANDSHAKES
from .client import crowd
from .server import HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]

REQUEST = (
    b"GET /ws%s HTTP/1.1\r\nhost: chat.test\r\nupgrade: websocket\r\n"
    b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server("tests.live.apps.door:app", worker) as server:
        yield server
        server.check_log()


@pytest.mark.parametrize(
    ("query", "headers", "status", "reason"),
    [
        (b"", b"", b"401", b"not authenticated"),
        (b"?access_token=nobody", b"", b"402", b"pay first"),
        (
            b"?access_token=ann",
            b"origin: https://evil.test\r\n",
            b"403",
            b"origin is not trusted",
        ),
    ],
)
async def test_who_may_not_come_in_is_told_by_status(
    server: HypercornServer, query: bytes, headers: bytes, status: bytes, reason: bytes
) -> None:
    async with crowd(server) as clients:
        answer = await clients.knock(REQUEST % (query, headers), reason)
        assert answer.startswith(b"HTTP/1.1 %s " % status)
        assert answer.endswith(b"\r\n\r\n" + reason)


async def test_who_may_is_known(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        answer = await clients.knock(
            REQUEST
            % (
                b"?access_token=ann",
                b"origin: http://chat.test\r\nsec-websocket-protocol: x, chat.v1\r\n",
            )
        )
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: chat.v1\r\n" in answer.lower()
        peer = await clients.welcome(headers={"authorization": "Bearer ann"})
        assert await peer.ask("whoami") == ["ann", "127.0.0.1"]


@pytest.mark.parametrize(
    ("offered", "agreed"), [(["x", "chat.v1"], "chat.v1"), (["x"], None), ([], None)]
)
async def test_handlers_know_which_subprotocol_was_agreed(
    server: HypercornServer, offered: list[str], agreed: str | None
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome("/ws?access_token=ann", subprotocols=offered)
        assert await peer.ask("subprotocol") == agreed


async def test_only_so_many_come_in(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peers = [await clients.welcome("/ws?access_token=a") for _ in range(6)]
        answer = await clients.knock(REQUEST % (b"?access_token=a", b""))
        assert answer.startswith(b"HTTP/1.1 429 ")
        before = (await peers[0].ask("statistics"))["refused_address"]
        await peers[5].close()
        again = await clients.welcome("/ws?access_token=a")
        assert (await again.ask("statistics"))["refused_address"] == before == 1


async def test_who_tries_words_has_only_so_many_from_one_address(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome("/ws?access_token=a")
        for attempt in range(HANDSHAKES):
            answer = await clients.knock(
                REQUEST % (b"", b""), b"\r\n\r\n", address="127.0.0.2"
            )
            # 429 where those before it have not yet given their places back.
            assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 429 ")), attempt
        assert (await peer.ask("statistics"))["refused_hurried"] == 0
        reason = b"too many handshakes from one address"
        answer = await clients.knock(REQUEST % (b"", b""), reason, address="127.0.0.2")
        assert answer.startswith(b"HTTP/1.1 429 ")
        statistics = await peer.ask("statistics")
        assert statistics["refused_hurried"] == 1
        # Who has not hurried is let in.
        await clients.welcome("/ws?access_token=a")


async def test_credentials_expire_unless_they_are_renewed(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome("/ws?access_token=brief")
        assert await peer.expect("expiring") == {"seconds": 0.2}
        await peer.ask("renew", 0.3)
        assert await peer.expect("expiring") == {"seconds": 0.2}
        assert await peer.wait_closed() == (3000, "credentials expired")


async def test_who_is_banned_goes_and_stays_away(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        ann = await clients.welcome("/ws?access_token=ann")
        eve = await clients.welcome("/ws?access_token=eve")
        assert await ann.ask("ban", "eve") == 1
        assert await eve.wait_closed() == (3003, "banned")
        answer = await clients.knock(REQUEST % (b"?access_token=eve", b""))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert await ann.ask("unban", "eve") is True
        await clients.welcome("/ws?access_token=eve")
