"""Who a client is, for how long; kicked and banned."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Ban, Client, ClientGone, Handshake, Identity
from greenroom.testing import (
    Event,
    MemoryTransport,
    Refused,
    TransportClosed,
    connect,
    wait_idle,
    websocket_scope,
)

from .support import Chat, until

pytestmark = pytest.mark.anyio


class Known(Chat):
    """Clients say their user in the URL, and for how many seconds it holds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

        @self.adapter.authenticate()
        def ask(handshake: Handshake) -> Identity:
            seconds = handshake.query_params.get("seconds")
            return Identity(
                handshake.query_params["user"],
                seconds=None if seconds is None else float(seconds),
            )

        @self.adapter.on("renew")
        def renew(event: str, client: Client, data: Any) -> None:
            client.identify(Identity(**data))


# -- expiry ----------------------------------------------------------------


async def test_credentials_expire() -> None:
    known = Known(renew_seconds=0)
    async with known.running():
        async with connect(
            known.adapter, query="user=ann&seconds=10", timeout=60.0
        ) as client:
            sid = await client.call("sid")
            began = anyio.current_time()
            assert await client.wait_closed() == 3000
            assert client.close_reason == "credentials expired"
            assert anyio.current_time() - began == pytest.approx(10.0, abs=0.1)
            assert client.received() == []
        assert known.gone == [(sid, 3000, "credentials expired")]
        assert known.adapter.statistics().expired == 1


async def test_a_client_is_told_before_and_may_renew_them() -> None:
    known = Known(renew_seconds=3.0)
    async with (
        known.running(),
        connect(known.adapter, query="user=ann&seconds=10", timeout=60.0) as client,
    ):
        began = anyio.current_time()
        await client.call("sid")
        for _ in range(3):
            assert await client.receive() == Event("expiring", {"seconds": 3.0})
            await client.call("renew", {"user": "ann", "seconds": 10})
        assert anyio.current_time() - began == pytest.approx(21.0, abs=0.2)
        assert await client.wait_closed() == 3000
        assert anyio.current_time() - began == pytest.approx(31.0, abs=0.2)


async def test_credentials_that_hold_shorter_than_the_notice_are_told_at_once() -> None:
    known = Known(renew_seconds=30.0)
    async with (
        known.running(),
        connect(known.adapter, query="user=ann&seconds=2") as client,
    ):
        assert await client.receive() == Event("expiring", {"seconds": 2.0})
        assert await client.wait_closed() == 3000


async def test_renewed_for_good_they_do_not_expire() -> None:
    known = Known()
    async with (
        known.running(),
        connect(known.adapter, query="user=ann&seconds=10", timeout=60.0) as client,
    ):
        await client.call("renew", {"user": "ann"})
        await client.call("renew", {"user": "ann"})
        await anyio.sleep(20.0)
        await client.call("sid")


async def test_a_client_may_bring_its_credentials_in_a_message() -> None:
    chat = Chat()

    @chat.adapter.on("token")
    def token(event: str, client: Client, data: Any) -> None:
        client.identify(Identity(data, seconds=60.0))

    async with chat.running(), chat.client() as (client, sid):
        assert chat.clients[sid].identity is None
        await client.call("token", "ann")
        identity = chat.clients[sid].identity
        assert identity is not None
        assert identity.user == "ann"


async def test_a_client_does_not_become_somebody_else() -> None:
    known = Known()
    async with known.running(), connect(known.adapter, query="user=ann") as client:
        sid = await client.call("sid")
        with pytest.raises(ValueError, match="is 'ann', and cannot become 'bob'"):
            known.clients[sid].identify(Identity("bob"))
        wrong: Any = "ann"
        with pytest.raises(TypeError, match="identity must be an Identity, got 'ann'"):
            known.clients[sid].identify(wrong)


async def test_a_client_that_has_gone_is_nobody_any_more() -> None:
    known = Known()
    async with known.running():
        async with connect(known.adapter, query="user=ann") as client:
            sid = await client.call("sid")
        with pytest.raises(ClientGone):
            known.clients[sid].identify(Identity("ann"))


async def test_an_expiry_ends_with_its_client() -> None:
    known = Known()
    async with known.running():
        async with connect(
            known.adapter, query="user=ann&seconds=10", timeout=60.0
        ) as client:
            await client.call("sid")
        await anyio.sleep(20.0)
        assert known.adapter.statistics().expired == 0
        assert len(known.gone) == 1


async def test_without_the_envelope_the_hooks_say_that_they_expire(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def post(event: str, data: Any) -> str:
        if event == "expiring":
            raise KeyError("no such event here")
        return "fine"

    adapter = ActorAdapter(post_process_payload=post)

    @adapter.authenticate()
    def ask(handshake: Handshake) -> Identity:
        return Identity("ann", seconds=10.0)

    async with adapter.running(), connect(adapter, timeout=60.0) as client:
        assert await client.wait_closed() == 3000
    assert "cannot be told that its credentials expire" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"user": 5}, TypeError, "user must be a str, got 5"),
        ({"user": ""}, ValueError, "user must be a str of 1 to 256 characters"),
        ({"user": "x" * 257}, ValueError, "user must be a str of 1 to 256"),
        ({"user": "a", "seconds": "5"}, TypeError, "seconds must be a number"),
        ({"user": "a", "seconds": -1}, ValueError, "seconds must be at least 0"),
        ({"user": "a", "seconds": math.inf}, ValueError, "seconds must be at least 0"),
        ({"user": "a", "info": [1]}, TypeError, "info must be a mapping"),
    ],
)
def test_an_identity_is_checked(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Identity(**arguments)


def test_an_identity_shows_no_more_than_its_user() -> None:
    info = {"token": "s3cret"}
    identity = Identity("ann", info=info)
    info["token"] = "changed"
    assert repr(identity) == "Identity(user='ann', seconds=None)"
    assert identity.info == {"token": "s3cret"}


# -- kick and ban ----------------------------------------------------------


async def test_one_client_is_kicked_and_may_come_back() -> None:
    known = Known()
    async with known.running():
        async with (
            connect(known.adapter, query="user=ann") as ann,
            connect(known.adapter, query="user=ann") as too,
        ):
            sid = await ann.call("sid")
            await too.call("sid")
            assert await known.adapter.kick(sid=sid, reason="spam") == 1
            assert await ann.wait_closed() == 3003
            assert ann.close_reason == "spam"
            await too.call("sid")
            assert await known.adapter.kick(sid=sid) == 0
        async with connect(known.adapter, query="user=ann") as again:
            await again.call("sid")
        assert known.adapter.statistics().kicked == 1


async def test_all_of_a_user_or_of_an_address_are_kicked() -> None:
    known = Known()
    async with (
        known.running(),
        connect(known.adapter, query="user=ann") as ann,
        connect(known.adapter, query="user=ann", address="10.0.0.2") as too,
        connect(known.adapter, query="user=bob", address="10.0.0.2") as bob,
        connect(known.adapter, query="user=eve", address="10.0.0.3") as eve,
    ):
        await wait_idle()
        assert await known.adapter.kick(user="ann", code=4000) == 2
        assert await ann.wait_closed() == await too.wait_closed() == 4000
        assert await known.adapter.kick(address="10.0.0.2") == 1
        assert await bob.wait_closed() == 3003
        assert await known.adapter.kick(user="nobody") == 0
        await eve.call("sid")


async def test_a_banned_user_stays_out_until_the_end_of_the_ban() -> None:
    known = Known()
    async with (
        known.running(),
        connect(known.adapter, query="user=ann", timeout=99.0) as ann,
    ):
        await ann.call("sid")
        assert await known.adapter.ban(user="ann", seconds=20.0) == 1
        assert await ann.wait_closed() == 3003
        assert ann.close_reason == "banned"
        with pytest.raises(Refused) as refused:
            async with connect(known.adapter, query="user=ann"):
                raise AssertionError
        assert (refused.value.status, refused.value.reason) == (403, "banned")
        async with connect(known.adapter, query="user=bob") as bob:
            await bob.call("sid")
        (ban,) = known.adapter.bans()
        assert (ban.kind, ban.name) == ("user", "ann")
        await anyio.sleep(20.0)
        async with connect(known.adapter, query="user=ann") as again:
            await again.call("sid")


async def test_a_banned_address_is_not_even_asked_who_it_is() -> None:
    chat = Chat()
    asked: list[str | None] = []

    @chat.adapter.authenticate()
    def ask(handshake: Handshake) -> Identity:
        asked.append(handshake.address)
        return Identity("ann")

    async with chat.running():
        assert await chat.adapter.ban(address="10.0.0.2") == 0
        assert chat.adapter.bans() == (Ban("address", "10.0.0.2", math.inf),)
        with pytest.raises(Refused):
            async with connect(chat.adapter, address="10.0.0.2"):
                raise AssertionError
        assert asked == []
        assert await chat.adapter.unban(address="10.0.0.2")
        assert not await chat.adapter.unban(address="10.0.0.2")
        async with connect(chat.adapter, address="10.0.0.2"):
            pass
        assert asked == ["10.0.0.2"]


async def test_who_is_banned_cannot_become_a_user_later() -> None:
    chat = Chat()

    @chat.adapter.on("token")
    def token(event: str, client: Client, data: Any) -> None:
        client.identify(Identity(data))

    async with chat.running(), chat.client() as (client, _):
        await chat.adapter.ban(user="ann")
        await client.emit("token", "ann")
        assert await client.wait_closed() == 3003


async def test_bans_end_with_the_adapter() -> None:
    known = Known()
    async with known.running():
        await known.adapter.ban(user="ann")
    async with known.running(), connect(known.adapter, query="user=ann") as ann:
        await ann.call("sid")


async def test_exactly_one_of_them_must_be_meant() -> None:
    wrong: Any = 5
    async with Chat().running() as chat:
        with pytest.raises(TypeError, match="one of sid, user and address must be"):
            await chat.adapter.kick()
        with pytest.raises(TypeError, match="one of sid, user and address must be"):
            await chat.adapter.kick(sid="~x", user="ann")
        with pytest.raises(TypeError, match="user must be a str, got 5"):
            await chat.adapter.ban(user=wrong)
        with pytest.raises(ValueError, match="seconds must be at least 0"):
            await chat.adapter.ban(user="ann", seconds=-1)
        with pytest.raises(ValueError, match="code must be 1000 to 1014"):
            await chat.adapter.kick(user="ann", code=42)
        assert chat.adapter.bans() == ()


# -- banned by sid ---------------------------------------------------------


async def test_by_the_sid_of_a_client_its_user_is_banned() -> None:
    known = Known()
    async with (
        known.running(),
        connect(known.adapter, query="user=ann") as ann,
        connect(known.adapter, query="user=ann", address="10.0.0.2") as too,
        connect(known.adapter, query="user=bob") as bob,
    ):
        sid = await ann.call("sid")
        await wait_idle()
        assert await known.adapter.ban(sid=sid, seconds=20.0) == 2
        assert await ann.wait_closed() == await too.wait_closed() == 3003
        assert [(ban.kind, ban.name) for ban in known.adapter.bans()] == [
            ("user", "ann")
        ]
        # At the same address.
        await bob.call("sid")


async def test_where_it_has_none_it_is_its_address() -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):
        assert await chat.adapter.ban(sid=sid, reason="spam") == 1
        assert await client.wait_closed() == 3003
        assert client.close_reason == "spam"
        assert chat.adapter.bans() == (Ban("address", "127.0.0.1", math.inf),)
        with pytest.raises(Refused, match="403 banned"):
            async with connect(chat.adapter):
                raise AssertionError


async def test_who_has_neither_is_put_out() -> None:
    chat = Chat()
    transport = MemoryTransport()
    scope = {**websocket_scope("/ws"), "client": None}
    async with chat.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(chat.adapter.serve, transport, scope)
        await until(lambda: chat.clients)
        (sid,) = chat.clients
        assert await chat.adapter.ban(sid=sid) == 1
        with pytest.raises(TransportClosed) as closed:
            await transport.peer.receive()
        assert closed.value.code == 3003
        assert chat.adapter.bans() == ()


async def test_who_is_just_leaving_is_banned_and_who_has_left_is_not() -> None:
    known = Known(handler_grace=5.0)
    async with known.running():
        async with connect(known.adapter, query="user=ann") as ann:
            sid = await ann.call("sid")
            await ann.emit("wait")
            await until(lambda: known.waiting)
            await known.clients[sid].disconnect()
            assert await known.adapter.ban(sid=sid) == 0
            assert [ban.name for ban in known.adapter.bans()] == ["ann"]
            assert await known.adapter.unban(user="ann")
        assert await known.adapter.ban(sid=sid) == 0
        assert await known.adapter.ban(sid="~nobody") == 0
        assert known.adapter.bans() == ()
        with pytest.raises(TypeError, match="one of sid, user and address must be"):
            await known.adapter.ban(sid=sid, user="ann")
