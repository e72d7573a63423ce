"""TrioAsyncioBridge: asyncio's code on Trio's worker.

The bridge is crossed in processes of its own alone: trio-asyncio changes the
asyncio of the process that imports it.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest
import trio

from greenroom import ActorAdapter
from greenroom.adapter import TrioAsyncioBridge

from ..adapter.asgi import Lifespan
from ..live.client import Peer, Refused, crowd
from ..live.server import HypercornServer, hypercorn_server

pytestmark = pytest.mark.anyio

needs_library = pytest.mark.skipif(
    find_spec("trio_asyncio") is None, reason="trio-asyncio is not installed"
)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError


async def refusal() -> str:
    lifespan = Lifespan()
    bridge: Any = TrioAsyncioBridge(nothing, ActorAdapter())
    await lifespan.run(bridge)
    (message,) = lifespan.sent
    assert message["type"] == "lifespan.startup.failed"
    return str(message["message"])


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_python_it_cannot_run_on_is_refused_by_name(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Version(NamedTuple):
        major: int
        minor: int

    monkeypatch.setattr(sys, "version_info", Version(3, 14))
    words = await refusal()
    assert words.startswith("TrioAsyncioBridge runs on Python 3.13 at most")


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_without_its_extra_it_says_so(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trio_asyncio", None)
    assert "pip install 'greenroom[trio-asyncio]'" in await refusal()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_without_the_lifespan_it_says_so(anyio_backend: object) -> None:
    bridge: Any = TrioAsyncioBridge(nothing, ActorAdapter())
    with pytest.raises(RuntimeError, match="needs the lifespan"):
        await bridge({"type": "http"}, None, None)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_on_asyncio_it_is_the_app(anyio_backend: object) -> None:
    seen: list[object] = []

    async def app(*arguments: object) -> None:
        seen.append(arguments)

    bridge: Any = TrioAsyncioBridge(app, ActorAdapter())
    scope = {"type": "lifespan"}
    await bridge(scope, nothing, nothing)
    assert seen == [(scope, nothing, nothing)]
    assert "trio_asyncio" not in sys.modules


# -- served --------------------------------------------------------------------


@asynccontextmanager
async def greeted(server: HypercornServer) -> AsyncGenerator[tuple[Peer, Peer]]:
    async with crowd(server) as clients:
        ann, ben = await clients.open(), await clients.open()
        for client in (ann, ben):
            assert (await client.expect("connect")).startswith("~")
        yield ann, ben


def wait_for(server: HypercornServer, words: str) -> None:
    deadline = time.monotonic() + 10
    while words not in server.log():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)


def get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
    return text


@needs_library
@pytest.mark.live
@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("worker", ["asyncio", "trio"])
async def test_an_app_of_asyncio_runs(anyio_backend: object, worker: str) -> None:
    grace = ["--graceful-timeout", "1"]
    with hypercorn_server("tests.nestipy.bridged:app", worker, extra_args=grace) as it:
        async with greeted(it) as (ann, ben):
            assert await ann.ask("gather", [1, 2]) == [2, 4, 3]
            assert await ann.expect("gather") == [2, 4, 3]
            with pytest.raises(Refused, match="the handler failed"):
                await ann.ask("fail")

            # Its outbox, of eight, is full: it waits there, as asyncio does.
            await ann.emit("stream", 5000)
            for number in range(5000):
                assert await ann.expect("number") == number
            assert await ann.expect("stream") == 5000

            await ann.emit("ask")
            asked = await ann.receive()
            await ann.answer(asked, "this")
            assert await ann.expect("ask") == "this"

            await ann.emit("later")
            frames = [await ann.receive(), await ann.receive()]
            assert {frame["event"] for frame in frames} == {"done", "heard"}
            assert await ben.expect("heard") == "hello"

            url = f"{it.url}/push/today"
            assert await trio.to_thread.run_sync(get, url) == "pushed"
            assert await ann.expect("news") == "today"
            assert await ben.expect("news") == "today"

            # A handler that hangs is cancelled when its client leaves.
            await ben.emit("hang")
            await ben.expect("hanging")
            await ben.close()
            await trio.to_thread.run_sync(wait_for, it, "unwound")
            await ann.emit("hang")
            await ann.expect("hanging")

            code, _ = await trio.to_thread.run_sync(it.terminate)
            assert code == 0
            assert (await ann.wait_closed())[0] == 1001
        assert it.log().count("unwound") == 2
        assert it.log().count("bye") == 2
        assert "a secret" in it.log()
        assert "Task was destroyed" not in it.log()


@needs_library
@pytest.mark.live
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_an_adapter_by_itself_can_be_bridged(anyio_backend: object) -> None:
    grace = ["--graceful-timeout", "1"]
    with hypercorn_server("tests.nestipy.plainly:app", "trio", extra_args=grace) as it:
        async with crowd(it) as clients:
            ann, ben = await clients.open(), await clients.open()
            assert await ann.ask("echo", 1) == 1
            # Its task is cancelled, not by us: the client is told, and goes on.
            with pytest.raises(Refused, match="the handler failed"):
                await ann.ask("stop")
            assert await ann.ask("echo", 2) == 2

            # One that goes on although it is cancelled is cancelled again.
            await ben.emit("swallow")
            await ben.expect("swallowing")
            await ben.close()
            await trio.to_thread.run_sync(wait_for, it, "cancelled\ncancelled")

            code, _ = await trio.to_thread.run_sync(it.terminate)
            assert code == 0
            assert (await ann.wait_closed())[0] == 1001
