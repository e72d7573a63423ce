"""A whole Nestipy app in a real hypercorn, on both workers."""

from __future__ import annotations

import urllib.request

import pytest
import trio

from ..live.client import crowd
from ..live.server import hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def worker(request: pytest.FixtureRequest) -> str:
    """The worker class of the server."""
    return str(request.param)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop of the clients: it is the server that must run on both."""
    return "trio"


def get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
    return text


async def test_gateways_http_and_an_orderly_end(worker: str) -> None:
    # How long hypercorn leaves open connections alone, after SIGTERM.
    grace = ["--graceful-timeout", "1"]
    with hypercorn_server("tests.nestipy.app:app", worker, extra_args=grace) as server:
        async with crowd(server) as clients:
            ann, ben, cid = [await clients.open() for _ in range(3)]
            sids = [await client.expect("done") for client in (ann, ben, cid)]
            assert len(set(sids)) == 3

            # The same event, in two namespaces.
            assert await ann.ask("say", 1) == "root heard 1"
            assert await ann.expect("say") == "root heard 1"
            assert await ann.ask("say", 2, namespace="/chat") == "chat heard 2"
            assert await ann.expect("done") == "chat heard 2"
            assert await ben.expect("said") == 2

            await ben.emit("fail", namespace="/chat")
            assert await ben.expect("failed") == "the handler failed"

            url = f"{server.url}/push/today"
            assert await trio.to_thread.run_sync(get, url) == "pushed"
            assert await ann.expect("news") == "today"
            assert await ben.expect("news") == "today"

            await cid.close()
            assert await ann.expect("left") == sids[2]

            code, _ = await trio.to_thread.run_sync(server.terminate)
            assert code == 0
            assert (await ann.wait_closed())[0] == 1001
            assert (await ben.wait_closed())[0] == 1001
        assert server.log().count("bye 1001") == 2
        assert "a secret" in server.log()
        assert "Task was destroyed" not in server.log()
