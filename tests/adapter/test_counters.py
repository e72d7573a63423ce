"""What else is counted, and what is said of it in the log."""

from __future__ import annotations

import json
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Handshake, HandshakeRefused, Identity, Options
from greenroom.adapter._handshake import REFUSALS
from greenroom.metrics import measure
from greenroom.testing import Refused, TransportClosed, connect, wait_idle

from .asgi import Asgi
from .support import Chat, named, until

pytestmark = pytest.mark.anyio


# -- clients ---------------------------------------------------------------


async def test_acks_that_nobody_waits_for_are_counted() -> None:
    chat = Chat()
    async with chat.running(), chat.peer() as peer:
        await until(lambda: chat.clients)
        (client,) = chat.clients.values()
        answers: list[object] = []

        async def call() -> None:
            answers.append(await client.call("question"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            id = json.loads(await peer.receive())["id"]
            await peer.send(json.dumps({"ack": id + 1, "data": "forged"}))
            await peer.send(json.dumps({"ack": id, "data": "true"}))
            error = {"code": "no", "message": "too late"}
            await peer.send(json.dumps({"ack": id, "data": "twice"}))
            await peer.send(json.dumps({"ack": id, "error": error}))
        assert answers == ["true"]
        await until(lambda: chat.adapter.statistics().ignored_acks == 3)
        await wait_idle()
        assert chat.adapter.statistics().ignored_acks == 3


async def test_messages_that_are_too_long_are_counted() -> None:
    chat = Chat(max_message_bytes=50, max_strikes=1)
    async with chat.running(), chat.peer() as peer:
        await peer.send("nonsense")
        assert chat.adapter.statistics().oversized == 0
        await peer.send("x" * 51)
        await until(lambda: chat.gone)
        statistics = chat.adapter.statistics()
        assert (statistics.strikes, statistics.oversized) == (2, 1)
        assert statistics.struck_out == 1
        assert chat.gone[0][1:] == (1008, "too many unreadable messages")


async def test_who_is_put_out_for_its_strikes_is_answered_no_more() -> None:
    chat = Chat(max_strikes=2, handler_grace=5)
    async with chat.running(), chat.peer(max_frames=64) as peer:
        await peer.send('{"event": "wait"}')
        await until(lambda: chat.waiting)
        for _ in range(20):
            await peer.send("nonsense")
        errors = 0
        with suppress(TransportClosed):
            while True:
                errors += "error" in json.loads(await peer.receive())
        await anyio.sleep(6)
        assert errors == 2
        assert chat.gone[0][1:] == (1008, "too many unreadable messages")
        statistics = chat.adapter.statistics()
        assert (statistics.strikes, statistics.struck_out) == (3, 1)


async def test_the_numbers_go_on_in_the_next_run() -> None:
    chat = Chat()
    for _ in range(2):
        async with chat.running(), chat.client() as (client, _):
            before = chat.adapter.statistics().strikes
            await client.peer.send("nonsense")
            await wait_idle()
            assert chat.adapter.statistics().strikes == before + 1
    statistics = chat.adapter.statistics()
    assert (statistics.connections_total, statistics.strikes) == (2, 2)


# -- handshakes ------------------------------------------------------------


async def test_a_client_that_does_not_wait_has_half_a_handshake() -> None:
    adapter = ActorAdapter()
    asgi = Asgi(connects=False)
    asgi.close(1006)
    async with adapter.running():
        await adapter(asgi.scope, asgi.app_receive, asgi.app_send)
        statistics = adapter.statistics()
        assert (statistics.half_handshakes, statistics.refused) == (1, 0)
        assert statistics.connections_total == 0


async def test_so_has_one_whose_time_is_over() -> None:
    adapter = ActorAdapter(options=Options(handshake_seconds=2))

    @adapter.authenticate()
    async def who(handshake: Handshake) -> Identity | None:
        if "hang" in handshake.query_params:
            await anyio.sleep_forever()
        return None

    async with adapter.running():
        for query, half in (("", 0), ("hang=1", 1)):
            with pytest.raises(Refused):
                async with connect(adapter, query=query):
                    raise AssertionError("not reached")
            assert adapter.statistics().half_handshakes == half
        assert adapter.statistics().refused == 2


async def test_who_is_accepted_as_a_drain_begins_is_refused_and_that_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "greenroom.adapter")
    adapter = ActorAdapter()
    asgi = Asgi()

    @adapter.authenticate()
    def who(handshake: Handshake) -> Identity:
        return Identity("ann")

    async with adapter.running(), anyio.create_task_group() as tasks:
        asgi.stall()
        tasks.start_soon(adapter, asgi.scope, asgi.app_receive, asgi.app_send)
        await wait_idle()
        await adapter.drain()
        asgi.unstall()
        await until(lambda: asgi.sent and asgi.sent[-1]["type"] == "websocket.close")
        asgi.drop()
    (refused,) = named(caplog, "refused")
    assert (refused["status"], refused["reason"]) == (503, "'draining'")
    assert (refused["cause"], refused["user"]) == ("draining", "'ann'")
    statistics = adapter.statistics()
    assert (statistics.refused, statistics.refused_draining) == (1, 1)
    assert statistics.connections_total == 0


async def test_that_it_does_not_run_is_said_once_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "greenroom.adapter")
    adapter = ActorAdapter()

    async def knock() -> None:
        with pytest.raises(Refused, match="503"):
            async with connect(adapter):
                raise AssertionError("not reached")

    for stretch in (1, 2):
        for _ in range(3):
            await knock()
        assert len(named(caplog, "not_running")) == stretch
        # Each is told to who wants to know.
        assert len(named(caplog, "refused")) == adapter.statistics().refused
        async with adapter.running():
            pass
    assert adapter.statistics().refused == 6


# -- why a handshake was refused -------------------------------------------

CAUSES: dict[str, dict[str, Any]] = {
    "full": {"max_connections": 1},
    "address": {"max_connections_per_address": 1},
    "hurried": {"handshake_rate": 0.01, "handshake_burst": 1},
    "stopped": {},
    "draining": {},
    "origin": {},
    "banned": {},
    "unauthorised": {},
    "overdue": {"handshake_seconds": 2},
    "failed": {},
}


def test_each_cause_is_tried_here() -> None:
    assert {*REFUSALS, "unauthorised"} == {*CAUSES}


@pytest.mark.parametrize("cause", CAUSES)
async def test_a_refusal_is_counted_by_its_cause(cause: str) -> None:
    adapter = ActorAdapter(options=Options(**CAUSES[cause]))

    @adapter.authenticate()
    async def who(handshake: Handshake) -> Identity | None:
        match handshake.query_params.get("hook"):
            case None:
                return Identity("ann")
            case "none":
                return None
            case "overdue":
                await anyio.sleep_forever()
            case "failed":
                raise LookupError
            case status:
                # Whichever it chooses: it is none of ours for that.
                raise HandshakeRefused(int(str(status)))
        return None

    async def knock(**handshake: Any) -> None:
        with pytest.raises(Refused):
            async with connect(adapter, **handshake):
                raise AssertionError("it was let in")

    times = 1
    if cause == "stopped":
        await knock()
    async with adapter.running(), AsyncExitStack() as stack:
        match cause:
            case "full" | "address" | "hurried":
                await stack.enter_async_context(connect(adapter))
                await knock()
            case "draining":
                await adapter.drain()
                await knock()
            case "origin":
                await knock(headers={"origin": "https://evil.test"})
            case "banned":
                await adapter.ban(address="10.0.0.1")
                await adapter.ban(user="ann")
                await knock(address="10.0.0.1")
                await knock()
                times = 2
            case "unauthorised":
                answers = "none", "401", "402", "403", "418", "429", "500", "503"
                for answer in answers:
                    await knock(query=f"hook={answer}")
                times = len(answers)
            case "overdue" | "failed":
                await knock(query=f"hook={cause}")
            case _:
                assert cause == "stopped"
    counted = asdict(adapter.statistics())
    refused = {name: number for name, number in counted.items() if "refused" in name}
    assert refused.pop("refused") == sum(refused.values()) == times
    assert refused.pop(f"refused_{cause}") == times
    assert len(refused) == len(CAUSES) - 1
    assert set(refused.values()) == {0}
    # What is exported says the same.
    exported = {sample.metric.name: sample.value for sample in measure(adapter)}
    assert exported["connections_refused"] == times
    assert exported[f"connections_refused_{cause}"] == times
