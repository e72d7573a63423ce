"""Clients that claim what is another's: ids, acks, sids, rooms, a lapsed identity."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from greenroom import AckTimeout, ActorAdapter, Client, ClientGone, Handshake, Identity
from greenroom.testing import EventError, connect, connect_raw, wait_idle

from ..adapter.support import Chat

pytestmark = pytest.mark.anyio


class Asked(Chat):
    """Clients can have themselves asked something, and others see what they say."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.answers: list[object] = []
        self.failures: list[Exception] = []

    async def ask(self, sid: str, seconds: float = 30.0) -> None:
        try:
            answer = await self.adapter.call("secret?", to=sid, timeout=seconds)
        except (AckTimeout, ClientGone) as error:
            self.failures.append(error)
        else:
            self.answers.append(answer)


# -- acks ------------------------------------------------------------------


async def test_an_ack_is_taken_from_who_was_asked_and_from_nobody_else() -> None:
    chat = Asked()
    async with chat.running(), chat.client() as (ann, sid), chat.client() as (eve, _):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chat.ask, sid)
            question = await ann.receive()
            assert question.id is not None
            # The ids of a process are in order, so that eve can guess any.
            for id in range(question.id + 100):
                await eve.peer.send(json.dumps({"ack": id, "data": "eve's"}))
                failed = {"ack": id, "error": {"code": "no", "message": ""}}
                await eve.peer.send(json.dumps(failed))
            await eve.call("sid")
            assert chat.answers == []
            await ann.answer(question, "ann's")
        assert chat.answers == ["ann's"]
        assert chat.adapter.statistics().strikes == 0


async def test_an_ack_counts_once_and_not_when_it_is_late() -> None:
    chat = Asked()
    async with chat.running(), chat.client() as (ann, sid):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chat.ask, sid)
            first = await ann.receive()
            await ann.answer(first, 1)
            await ann.answer(first, 2)
            tasks.start_soon(chat.ask, sid, 1.0)
            late = await ann.receive()
            await anyio.sleep(2.0)
            await ann.answer(late, 3)
            tasks.start_soon(chat.ask, sid)
            third = await ann.receive()
            await ann.answer(first, 4)
            await ann.answer(late, 5)
            await ann.answer(third, 6)
        assert chat.answers == [1, 6]
        assert len(chat.failures) == 1


@pytest.mark.parametrize(
    "ack",
    ["-1", "1.0", "1e0", "true", '"1"', "[1]", "{}", "9007199254740993", "1" * 99],
)
async def test_an_ack_of_no_integer_is_a_strike(ack: str) -> None:
    chat = Asked()
    async with chat.running(), chat.peer() as peer:
        await peer.send('{"ack":' + ack + ',"data":1}')
        assert json.loads(await peer.receive())["error"]["code"] == "bad_ack"
        assert chat.adapter.statistics().strikes == 1


async def test_acks_that_nobody_asked_for_are_nothing_and_cost_nothing() -> None:
    chat = Asked()
    async with chat.running(), chat.client() as (eve, sid):
        for id in range(1000):
            await eve.peer.send(json.dumps({"ack": id * 7919}))
        assert await eve.call("sid") == sid
        statistics = chat.adapter.statistics()
        assert (statistics.strikes, statistics.handler_errors) == (0, 0)


# -- sids, rooms and namespaces --------------------------------------------


async def test_who_names_a_room_after_a_client_hears_nothing_of_what_that_gets() -> (
    None
):
    chat = Chat()
    async with chat.running(), chat.client() as (ann, sid), chat.client() as (eve, _):
        for name in (sid, f"~{sid}", "~", sid.upper()):
            with pytest.raises(EventError, match="internal_error"):
                await eve.call("join", name)
        # Without what sids begin with, it is a room like any other.
        for name in (sid[1:], f" {sid}", f"all/{sid}", "all", "('/', 'lobby')"):
            await eve.call("join", name)
        await chat.adapter.emit("secret", to=sid)
        await chat.adapter.emit("secret", room="lobby")
        assert (await ann.receive()).event == "secret"
        await eve.call("sid")
        assert eve.received() == []


async def test_sids_are_not_to_be_guessed() -> None:
    chat = Chat()
    async with chat.running():
        sids = set[str]()
        for _ in range(50):
            async with chat.client() as (_, sid):
                sids.add(sid)
        assert len(sids) == 50
        # 144 random bits in URL-safe base64.
        assert {len(sid) for sid in sids} == {1 + 24}
        for at in range(1, 25):
            assert len({sid[at] for sid in sids}) > 10


@pytest.mark.parametrize("event", ["join", "leave", "connect", "disconnect", "*"])
async def test_no_event_of_a_client_does_anything_by_itself(event: str) -> None:
    adapter = ActorAdapter()
    seen: list[Client] = []

    @adapter.on_connect()
    def hello(event: str, client: Client, data: Any) -> None:
        seen.append(client)

    async with adapter.running(), connect(adapter) as eve:
        with pytest.raises(EventError, match="unknown_event"):
            await eve.call(event, "lobby")
        assert seen[0].rooms == frozenset()
        assert len(seen) == 1
        assert adapter.statistics().unknown_events == 1


async def test_a_namespace_that_nobody_has_made_leaves_nothing_behind() -> None:
    chat = Chat()
    async with chat.running(), chat.client() as (eve, sid):
        for number in range(300):
            with pytest.raises(EventError, match="unknown_namespace"):
                await eve.call("join", "lobby", namespace=f"/{number}")
        connection = chat.clients[sid]._link  # pyright: ignore[reportPrivateUsage]  # it is there that it would pile up
        assert len(connection._clients) == 1  # type: ignore[attr-defined]
        statistics = chat.adapter.statistics()
        assert (statistics.rooms, statistics.unknown_namespaces) == (0, 300)
        assert statistics.unknown_events == statistics.handler_errors == 0


# -- credentials that have ended -------------------------------------------


async def test_nothing_is_handled_of_what_came_before_the_end_and_waits() -> None:
    chat = Asked(handler_grace=2.0, renew_seconds=0)

    @chat.adapter.authenticate()
    def who(handshake: Handshake) -> Identity:
        return Identity("ann", seconds=10.0)

    async with chat.running(), connect_raw(chat.adapter) as peer:
        await peer.send('{"event":"wait"}')
        for number in range(20):
            await peer.send(json.dumps({"event": "echo", "data": number}))
        await anyio.sleep(10.5)
        # The handler in flight still has its grace: what comes after it has not.
        assert chat.waiting == 1
        assert chat.adapter.statistics().expired == 1
        chat.release()
        await wait_idle()
        assert [how for how, _ in chat.waits] == ["released"]
        assert chat.handled == []
        assert [code for _, code, _ in chat.gone] == [3000]


@pytest.mark.parametrize("end", ["expired", "kicked", "banned"])
async def test_who_has_been_put_out_answers_nothing_any_more(end: str) -> None:
    chat = Asked(handler_grace=5.0, renew_seconds=0)

    @chat.adapter.authenticate()
    def who(handshake: Handshake) -> Identity:
        return Identity("ann", seconds=10.0 if end == "expired" else None)

    @chat.adapter.on("sell")
    async def sell(event: str, client: Client, data: Any) -> None:
        await chat.ask(client.sid)

    async with chat.running(), connect_raw(chat.adapter) as peer:
        await peer.send('{"event":"sell"}')
        question = json.loads(await peer.receive())
        if end == "kicked":
            await chat.adapter.kick(user="ann")
        elif end == "banned":
            await chat.adapter.ban(user="ann")
        else:
            await anyio.sleep(10.1)
        # The handler is in its grace, and its question still open.
        await peer.send(json.dumps({"ack": question["id"], "data": "yes"}))
        await wait_idle()
        assert chat.answers == []
        assert [type(error) for error in chat.failures] == [ClientGone]
