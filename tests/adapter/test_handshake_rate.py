"""How often one address may ask to come in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from greenroom import Handshake, Identity, Options
from greenroom.adapter._handshake_rate import HandshakeRate
from greenroom.testing import MemoryTransport, Refused, connect, websocket_scope

from .support import Chat
from .test_bans import Clock

pytestmark = pytest.mark.anyio

HURRIED = 429, "too many handshakes from one address"


def rate_of(clock: Clock, **options: Any) -> HandshakeRate:
    return HandshakeRate(Options(**options), clock)


def test_a_burst_is_taken_at_once_and_then_so_many_by_second() -> None:
    clock = Clock()
    rate = rate_of(clock, handshake_rate=2.0, handshake_burst=3)
    assert [rate.takes("a") for _ in range(5)] == [True] * 3 + [False] * 2
    # What was refused is not owed.
    clock.now += 0.5
    assert [rate.takes("a"), rate.takes("a")] == [True, False]
    clock.now += 100.0
    assert [rate.takes("a") for _ in range(4)] == [True] * 3 + [False]


def test_each_address_has_its_own() -> None:
    rate = rate_of(Clock(), handshake_rate=1.0, handshake_burst=1)
    assert rate.takes("a")
    assert rate.takes("b")
    assert not rate.takes("a")
    # Who has none is not counted, as through a Unix socket.
    assert [rate.takes(None) for _ in range(3)] == [True] * 3
    assert len(rate) == 2


def test_without_a_rate_nothing_is_kept() -> None:
    rate = rate_of(Clock(), handshake_burst=1)
    assert [rate.takes("a") for _ in range(3)] == [True] * 3
    assert len(rate) == 0


def test_of_so_many_addresses_and_no_more() -> None:
    clock = Clock()
    rate = rate_of(
        clock, handshake_rate=0.001, handshake_burst=1, handshake_addresses=3
    )
    for host in ("a", "b", "c"):
        assert rate.takes(host)
    # It asks, and is remembered longer for it.
    assert not rate.takes("a")
    assert rate.takes("d")
    assert len(rate) == 3
    assert [rate.takes(host) for host in ("a", "c", "d")] == [False] * 3
    assert rate.takes("b")
    for number in range(10_000):
        assert rate.takes(f"192.0.2.{number}")
        assert len(rate) == 3


@asynccontextmanager
async def guarded(**options: Any) -> AsyncGenerator[tuple[Chat, list[str | None]]]:
    """A running adapter, and who its hook was asked for."""
    chat = Chat(handshake_rate=0.5, handshake_burst=2, **options)
    asked: list[str | None] = []

    @chat.adapter.authenticate()
    def ask(handshake: Handshake) -> Identity | None:
        asked.append(handshake.address)
        return Identity("ann") if handshake.token == "right" else None

    async with chat.running():
        yield chat, asked


async def knock(chat: Chat, address: str = "192.0.2.1") -> tuple[int, str]:
    """How somebody who does not know the word is refused."""
    with pytest.raises(Refused) as refused:
        async with connect(chat.adapter, address=address):
            raise AssertionError("it was let in")
    return refused.value.status, refused.value.reason


async def test_who_tries_one_word_after_another_is_not_asked_for_long() -> None:
    async with guarded() as (chat, asked):
        for _ in range(2):
            assert await knock(chat) == (401, "not authenticated")
        for _ in range(5):
            assert await knock(chat) == HURRIED
        assert asked == ["192.0.2.1"] * 2
        # Nobody else is.
        async with connect(
            chat.adapter, query="access_token=right", address="192.0.2.2"
        ) as client:
            await client.call("sid")
        await anyio.sleep(2.0)
        assert await knock(chat) == (401, "not authenticated")
        assert await knock(chat) == HURRIED


async def test_who_is_put_out_has_no_fresh_burst_at_once() -> None:
    async with guarded(max_strikes=0, max_message_bytes=100) as (chat, _):
        for _ in range(2):
            async with connect(chat.adapter, query="access_token=right") as client:
                await client.peer.send("x" * 101)
                assert await client.wait_closed() == 1008
        assert await knock(chat, "127.0.0.1") == HURRIED


async def test_what_is_refused_for_something_else_counts() -> None:
    async with guarded(max_connections=1) as (chat, asked):
        async with connect(
            chat.adapter, query="access_token=right", address="192.0.2.2"
        ):
            for _ in range(2):
                assert await knock(chat) == (503, "full")
            assert await knock(chat) == HURRIED
        # A place was not taken, for there is one.
        assert await knock(chat, "192.0.2.3") == (401, "not authenticated")
        assert asked == ["192.0.2.2", "192.0.2.3"]


async def test_a_host_has_one_rate_whatever_it_makes_up() -> None:
    async with guarded() as (chat, _):
        assert (await knock(chat, "2001:db8::1"))[0] == 401
        assert (await knock(chat, "2001:db8::2"))[0] == 401
        assert await knock(chat, "2001:db8::3") == HURRIED
        assert (await knock(chat, "2001:db8:0:1::3"))[0] == 401


async def test_who_has_no_address_is_not_held_up() -> None:
    async with guarded() as (chat, asked), AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for _ in range(4):
            transport = MemoryTransport()
            scope = {**websocket_scope("/ws"), "client": None}
            tasks.start_soon(chat.adapter.serve, transport, scope)
            with pytest.raises(Refused, match="401"):
                await transport.peer.wait_opened()
        assert asked == [None] * 4


async def test_another_run_begins_with_other_buckets() -> None:
    chat = Chat(handshake_rate=0.001, handshake_burst=1)
    for _ in range(2):
        async with chat.running():
            async with connect(chat.adapter):
                pass
            assert await knock(chat, "127.0.0.1") == HURRIED
