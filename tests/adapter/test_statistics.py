from __future__ import annotations

import pytest

from greenroom import MailboxStatistics
from greenroom.adapter import Flow

from .support import Chat, until

pytestmark = pytest.mark.anyio

MAILBOX = MailboxStatistics(
    accepted=10,
    handled=5,
    dead_lettered=3,
    pending=2,
    refused=7,
    capacity=100,
    weight=1000,
    level=0,
)


def test_flows_add_up() -> None:
    assert Flow(1, 1, 0, 0).plus(MAILBOX) == Flow(11, 6, 3, 2)


def test_what_is_pending_when_its_reader_has_ended_is_lost() -> None:
    assert Flow(1, 1, 0, 0).plus(MAILBOX, ended=True) == Flow(11, 6, 5, 0)


async def test_statistics_tell_what_went_through() -> None:
    chat = Chat()
    async with chat.running():
        assert chat.adapter.statistics().inbound == Flow()
        async with chat.client("lobby") as (client, sid):
            statistics = chat.adapter.statistics()
            assert statistics.connections == statistics.connections_total == 1
            assert statistics.rooms == 1
            # Being greeted is a message, too; join and sid are the others.
            assert statistics.inbound == Flow(3, 3, 0, 0)
            assert statistics.outbound.accepted == 2
            await client.emit("wait")
            await client.emit("echo")
            await until(lambda: chat.waiting)
            await until(lambda: chat.adapter.statistics().inbound.pending == 2)
            await chat.adapter.emit("nobody", to="~gone")
            assert chat.adapter.statistics().unknown_recipients == 1
            chat.check()
            chat.release()
            await chat.clients[sid].disconnect()
        # The numbers of a connection stay when it has ended.
        statistics = chat.adapter.statistics()
        assert (statistics.connections, statistics.connections_total) == (0, 1)
        assert statistics.inbound.accepted == 5
        chat.check()
