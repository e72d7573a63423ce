"""As what an address counts, where one host has many."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import Ban, Client
from greenroom.adapter._addresses import counted_as, host_of
from greenroom.testing import Refused, connect

from .support import Chat

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        # All that one host may make up.
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:0:0:0:7", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::7", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        # An IPv4 address, as a socket for both sees it.
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("::ffff:192.0.2.1%eth0", "192.0.2.1"),
        # Not mapped, though it looks like it.
        ("::192.0.2.1", "::/64"),
        ("64:ff9b::192.0.2.1", "64:ff9b::/64"),
        # On a link each is one, and links are not the same.
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("FE80:0::1%eth0", "fe80::1%eth0"),
        ("fe80::2%eth0", "fe80::2%eth0"),
        ("fe80::1%eth1", "fe80::1%eth1"),
        ("febf::1", "febf::1"),
        ("fec0::1", "fec0::/64"),
        ("2001:db8::1%eth0", "2001:db8::/64"),
        # No addresses.
        ("", ""),
        (":", ":"),
        ("unix:", "unix:"),
        ("testclient", "testclient"),
        ("192.0.2.1:8000", "192.0.2.1:8000"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[2001:db8::1]:8000", "[2001:db8::1]:8000"),
        ("2001:db8::1::2", "2001:db8::1::2"),
        ("2001:db8::/48", "2001:db8::/48"),
        ("%eth0:", "%eth0:"),
        ("::1\0", "::1\0"),
        ("::\ud800", "::\ud800"),
        ("::\uff11", "::\uff11"),  # a digit to Python, and to no socket
        (":" * 100_000, ":" * 100_000),
    ],
)
def test_what_an_address_counts_as(address: str, counted: str) -> None:
    assert counted_as(address) == counted
    # So that what a list of bans says can be unbanned.
    assert counted_as(counted) == counted


def test_a_client_counts_as_its_address_or_not_at_all() -> None:
    assert host_of({"client": ("2001:db8::1", 5)}) == "2001:db8::/64"
    assert host_of({"client": None}) is None
    assert host_of({}) is None


async def refused(chat: Chat, address: str) -> tuple[int, str]:
    with pytest.raises(Refused) as refusal:
        async with connect(chat.adapter, address=address):
            raise AssertionError("it was let in")
    return refusal.value.status, refusal.value.reason


async def test_a_host_has_its_places_whatever_it_makes_up() -> None:
    chat = Chat(max_connections_per_address=2)
    async with chat.running():
        for _ in range(2):  # and gives them back
            async with (
                connect(chat.adapter, address="2001:db8::1"),
                connect(chat.adapter, address="2001:db8::2"),
            ):
                assert (await refused(chat, "2001:db8::ffff"))[0] == 429
                async with connect(chat.adapter, address="2001:db8:0:1::1"):
                    pass
        async with (
            connect(chat.adapter, address="::ffff:192.0.2.1"),
            connect(chat.adapter, address="192.0.2.1"),
        ):
            assert (await refused(chat, "192.0.2.1"))[0] == 429


async def test_a_place_is_given_back_by_whom_it_was_taken() -> None:
    chat = Chat(max_connections_per_address=1)

    @chat.adapter.on_connect()
    def believe(event: str, client: Client, data: Any) -> None:
        client.scope["client"] = ("192.0.2.9", 1)

    async with chat.running():
        for _ in range(2):
            async with connect(chat.adapter, address="192.0.2.1") as client:
                await client.call("sid")


async def test_a_ban_is_one_of_the_whole_host() -> None:
    chat = Chat()
    async with (
        chat.running(),
        connect(chat.adapter, address="2001:db8::1") as client,
        connect(chat.adapter, address="2001:db8:0:1::1") as another,
    ):
        sid = await client.call("sid")
        assert await chat.adapter.ban(address="2001:db8::2") == 1
        assert await client.wait_closed() == 3003
        # What it comes from is told as it is.
        assert chat.clients[sid].address == "2001:db8::1"
        assert await refused(chat, "2001:db8::3") == (403, "banned")
        await another.call("sid")
        (ban,) = chat.adapter.bans()
        assert (ban.kind, ban.name) == ("address", "2001:db8::/64")
        assert await chat.adapter.unban(address=ban.name)
        async with connect(chat.adapter, address="2001:db8::3") as client:
            await client.call("sid")


async def test_a_ban_of_an_ipv4_address_holds_behind_a_socket_for_both() -> None:
    chat = Chat()
    async with chat.running():
        await chat.adapter.ban(address="::ffff:192.0.2.1", seconds=5.0)
        assert isinstance(chat.adapter.bans()[0], Ban)
        assert await refused(chat, "192.0.2.1") == (403, "banned")
        assert await refused(chat, "::ffff:192.0.2.1") == (403, "banned")
        assert await chat.adapter.unban(address="192.0.2.1")


async def test_kicked_are_all_of_a_host() -> None:
    chat = Chat()
    async with (
        chat.running(),
        connect(chat.adapter, address="2001:db8::1") as client,
        connect(chat.adapter, address="2001:db8::2") as too,
        connect(chat.adapter, address="2001:db8:0:1::1") as another,
    ):
        for each in (client, too, another):
            await each.call("sid")
        assert await chat.adapter.kick(address="2001:db8::3") == 2
        assert await client.wait_closed() == await too.wait_closed() == 3003
        await another.call("sid")
