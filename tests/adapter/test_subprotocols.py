"""What a client and the adapter have agreed to speak."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import Client
from greenroom.testing import connect

from .support import Chat

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("spoken", "offered", "agreed"),
    [
        (["v2", "v1"], ["v1", "v2"], "v2"),
        (["v2", "v1"], ["v1"], "v1"),
        (["v2", "v1"], ["v3"], None),
        (["v2", "v1"], [], None),
        ([], ["v1"], None),
    ],
)
async def test_handlers_know_what_was_agreed(
    spoken: list[str], offered: list[str], agreed: str | None
) -> None:
    chat = Chat(subprotocols=spoken)
    known: list[str | None] = []

    @chat.adapter.on_connect()
    def hello(event: str, client: Client, data: Any) -> None:
        known.append(client.subprotocol)

    @chat.adapter.on_disconnect()
    def bye(event: str, client: Client, data: Any) -> None:
        known.append(client.subprotocol)

    async with (
        chat.running(),
        connect(chat.adapter, subprotocols=offered) as client,
    ):
        await client.call("sid")
        assert client.peer.subprotocol == agreed
    assert known == [agreed, agreed]
