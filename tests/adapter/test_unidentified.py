"""Clients that do not say who they are, and how long they may stay."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from greenroom import Client, Handshake, Identity
from greenroom.testing import connect

from .support import Chat, named

pytestmark = pytest.mark.anyio


class Late(Chat):
    """Clients say who they are in a message."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("identify_seconds", 10.0)
        super().__init__(**options)

        @self.adapter.on("token")
        def token(event: str, client: Client, data: Any) -> None:
            client.identify(Identity(**data))


async def test_who_is_nobody_still_is_disconnected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "greenroom.adapter")
    chat = Late()
    async with chat.running():
        async with connect(chat.adapter, timeout=60.0) as client:
            began = anyio.current_time()
            sid = await client.call("sid")
            # Whatever it does meanwhile.
            await anyio.sleep(9.0)
            await client.call("echo", 1)
            assert await client.wait_closed() == 3000
            assert client.close_reason == "not identified"
            assert anyio.current_time() - began == pytest.approx(10.0, abs=0.1)
        assert chat.gone == [(sid, 3000, "not identified")]
        assert chat.adapter.statistics().unidentified == 1
        assert chat.adapter.statistics().expired == 0
    (record,) = named(caplog, "not_identified")
    assert record["sid"] == sid


async def test_who_has_said_who_it_is_stays() -> None:
    chat = Late()
    async with (
        chat.running(),
        connect(chat.adapter, timeout=60.0) as client,
        connect(chat.adapter, timeout=60.0) as brief,
    ):
        await client.call("token", {"user": "ann"})
        # From now on it is its credentials that count.
        await brief.call("token", {"user": "bob", "seconds": 15.0})
        await anyio.sleep(12.0)
        await client.call("echo", 1)
        await brief.call("echo", 2)
        assert await brief.wait_closed() == 3000
        assert brief.close_reason == "credentials expired"
        assert chat.adapter.statistics().unidentified == 0


async def test_who_is_known_when_it_comes_need_not_say_it_again() -> None:
    chat = Late()

    @chat.adapter.authenticate()
    def known(handshake: Handshake) -> Identity:
        return Identity("ann")

    async with chat.running(), connect(chat.adapter, timeout=60.0) as client:
        await anyio.sleep(20.0)
        await client.call("sid")


async def test_by_default_anybody_may_stay() -> None:
    async with Late(identify_seconds=0).running() as chat:
        async with connect(chat.adapter, timeout=60.0) as client:
            await anyio.sleep(20.0)
            await client.call("sid")
        assert chat.adapter.statistics().unidentified == 0


async def test_who_goes_by_itself_is_not_counted() -> None:
    chat = Late()
    async with chat.running():
        async with connect(chat.adapter) as client:
            await client.call("sid")
        await anyio.sleep(20.0)
        assert chat.adapter.statistics().unidentified == 0


@pytest.mark.parametrize("said", [{}, {"user": "ann", "seconds": 10.0}])
async def test_who_is_on_its_way_out_is_not_put_out_again(said: dict[str, Any]) -> None:
    chat = Late(handler_grace=20.0, renew_seconds=0)
    async with chat.running():
        async with connect(chat.adapter, timeout=60.0) as client:
            sid = await client.call("sid")
            if said:
                await client.call("token", said)
            await client.emit("wait")
            await anyio.sleep(9.0)
            await chat.adapter.kick(sid=sid)
            await anyio.sleep(5.0)
            chat.release()
            assert await client.wait_closed() == 3003
        statistics = chat.adapter.statistics()
        assert (statistics.unidentified, statistics.expired) == (0, 0)
        assert chat.gone == [(sid, 3003, "kicked")]
