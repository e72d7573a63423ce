"""What is kept of messages that were never handled."""

from __future__ import annotations

import json

import anyio
import pytest

from greenroom import ActorAdapter, Client, Options, Undelivered
from greenroom.actors._orders import Publish
from greenroom.adapter._letters import MAX_LETTERS_BYTES, weight_of
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import connect_raw

pytestmark = pytest.mark.anyio

SIZE = 100_000


async def test_what_clients_leave_behind_is_not_kept_beyond_a_bound() -> None:
    adapter = ActorAdapter(options=Options(handler_grace=0.01))
    begun = 0

    @adapter.on("fill")
    async def fill(event: str, client: Client, data: object) -> None:
        nonlocal begun
        begun += 1
        await anyio.sleep_forever()

    async with adapter.running():
        for number in range(1, 4):
            async with connect_raw(adapter) as peer:
                # One is being handled, one waits.
                for _ in range(2):
                    await peer.send(json.dumps({"event": "fill", "data": "x" * SIZE}))
                while begun < number or not adapter.statistics().inbound.pending:
                    await anyio.lowlevel.checkpoint()
        while adapter.statistics().connections:
            await anyio.lowlevel.checkpoint()

        letters = adapter.system.dead_letters
        assert letters.counts == {Undelivered.CANCELLED: 3, Undelivered.STOPPED: 3}
        kept = [weight_of(letter.message) for letter in letters.latest]
        assert len(kept) == MAX_LETTERS_BYTES // SIZE
        assert all(SIZE < weight < SIZE + 100 for weight in kept)


async def test_so_are_those_that_nobody_gets() -> None:
    adapter = ActorAdapter()
    async with adapter.running():
        for _ in range(3):
            await adapter.emit("said", "x" * SIZE, to="~gone")

        letters = adapter.system.dead_letters
        assert letters.counts == {Undelivered.NO_RECIPIENT: 3}
        assert len(letters.latest) == MAX_LETTERS_BYTES // SIZE


def test_what_actors_tell_each_other_weighs_nothing() -> None:
    assert weight_of(("x" * SIZE,)) == 0
    # But for what they were to tell, or to deliver, to clients.
    assert weight_of(Publish((), Outgoing("x" * SIZE), ())) == SIZE
    assert weight_of(Publish((), None, ())) == 0


async def test_nobody_is_banned_whose_name_no_client_can_have() -> None:
    adapter = ActorAdapter()
    async with adapter.running():
        with pytest.raises(ValueError, match="user must have at most 256 characters"):
            await adapter.ban(user="x" * 257)
        await adapter.ban(user="x" * 256)

        assert [len(ban.name) for ban in adapter.bans()] == [256]
