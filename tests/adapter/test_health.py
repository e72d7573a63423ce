"""Health: as a value, and as an answer to HTTP."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Health, Options
from greenroom.testing import wait_idle

from .asgi import Lifespan
from .support import Chat, at_once

pytestmark = pytest.mark.anyio


async def ask(
    adapter: ActorAdapter, method: str = "GET", path: str = "/health", root: str = ""
) -> tuple[bool, dict[str, Any]]:
    """Whether it was the adapter's own, and what it has sent."""
    sent: dict[str, Any] = {}

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("there is nothing to receive")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.update(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": root}
    return await adapter(scope, receive, send), sent


def healthy(path: str | None = "/health") -> Chat:
    return Chat(health_path=path)


async def test_it_turns_bad_with_the_drain_and_good_with_the_next_start() -> None:
    chat = healthy()
    adapter = chat.adapter
    assert adapter.health() == Health(False, "stopped", 0)
    for _ in range(2):
        async with chat.running(), chat.client() as (client, _):
            assert adapter.health() == Health(True, "running", 1)
            async with anyio.create_task_group() as tasks:
                await client.emit("wait")
                await wait_idle()
                tasks.start_soon(adapter.drain)
                await wait_idle()
                assert adapter.health() == Health(False, "draining", 1)
                own, sent = await ask(adapter)
                assert (own, sent["status"]) == (True, 503)
                chat.release()
            assert adapter.health() == Health(False, "draining", 0)
        assert adapter.health() == Health(False, "stopped", 0)


async def test_a_probe_is_answered_whatever_the_state() -> None:
    chat = healthy()
    _, sent = await ask(chat.adapter)
    assert sent["status"] == 503
    assert json.loads(sent["body"])["state"] == "stopped"
    async with chat.running():
        own, sent = await ask(chat.adapter)
    assert own
    assert sent["status"] == 200
    assert json.loads(sent["body"]) == {
        "ok": True,
        "state": "running",
        "connections": 0,
    }
    headers = dict(sent["headers"])
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == str(len(sent["body"])).encode()


async def test_head_is_answered_without_a_body() -> None:
    _, asked = await ask(healthy().adapter)
    own, sent = await ask(healthy().adapter, "HEAD")

    assert own
    assert sent["body"] == b""
    assert sent["headers"] == asked["headers"]


@pytest.mark.parametrize(
    ("path", "root", "own"),
    [
        ("/live/health", "/live", True),
        ("/live/health", "/live/", True),
        ("/health", "/live", True),
        ("/live/health", "", False),
        ("/health/", "", False),
        ("/healthy", "", False),
        ("/", "", False),
    ],
)
async def test_it_is_found_below_a_mount_and_nowhere_else(
    path: str, root: str, own: bool
) -> None:
    assert (await ask(healthy().adapter, "GET", path, root))[0] is own


@pytest.mark.parametrize(
    ("path", "method"), [("/health", "POST"), ("/health", "OPTIONS"), (None, "GET")]
)
def test_what_is_no_probe_is_left_untouched(path: str | None, method: str) -> None:
    adapter = healthy(path).adapter

    assert at_once(ask(adapter, method)) == (False, {})


async def test_a_probe_that_has_gone_is_nobodys_failure() -> None:
    async def gone(message: MutableMapping[str, Any]) -> None:
        raise OSError("gone")

    scope = {"type": "http", "method": "GET", "path": "/health"}

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("there is nothing to receive")

    assert await healthy().adapter(scope, receive, gone)


async def test_as_the_app_itself_it_is_started_by_the_lifespan() -> None:
    adapter = ActorAdapter(options=Options(health_path="/health"))
    lifespan = Lifespan()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifespan.run, adapter)
        await lifespan.started()
        _, sent = await ask(adapter)
        assert sent["status"] == 200
        lifespan.stop()
    _, sent = await ask(adapter)
    assert sent["status"] == 503
