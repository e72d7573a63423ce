"""What operators see of a real server: its metrics, its health, its log."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any, cast

import pytest
import trio
from prometheus_client import parser

from .client import crowd
from .server import HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]

APP = "tests.live.apps.operated:app"

# Without types of its own.
READ = cast("Any", parser).text_string_to_metric_families


async def ask(
    server: HypercornServer, path: str, method: str = "GET"
) -> tuple[int, str]:
    """The status and the body of one HTTP request."""

    def request() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    return await trio.to_thread.run_sync(request)


async def scrape(server: HypercornServer) -> dict[str, float]:
    """All numbers of the metrics, by name."""
    status, text = await ask(server, "/metrics")
    assert status == 200
    families = READ(text)
    return {each.name: each.value for family in families for each in family.samples}


async def test_operators_see_what_happens(worker: str) -> None:
    with hypercorn_server(APP, worker) as server:
        async with crowd(server) as clients:
            peers = await clients.welcome_many(3)
            for peer in peers:
                await peer.ask("echo", "x")
            numbers = await scrape(server)
            assert numbers["greenroom_connections"] == 3
            assert numbers["greenroom_connections_opened_total"] == 3
            # Greeted, and an echo, each.
            assert numbers["greenroom_inbound_handled_total"] == 6
            assert numbers["greenroom_accepting"] == 1
            status, body = await ask(server, "/health")
            assert status == 200
            assert json.loads(body)["connections"] == 3
            assert await ask(server, "/health", "HEAD") == (200, "")

            await peers[0].emit("drain")
            for peer in peers:
                assert (await peer.wait_closed())[0] == 1001
            status, body = await ask(server, "/health")
            assert status == 503
            state = {"ok": False, "state": "draining", "connections": 3}
            assert json.loads(body) == state
            assert (await scrape(server))["greenroom_draining"] == 1
            await ask(server, "/leave")
        code, _ = await trio.to_thread.run_sync(server.terminate)
        assert code == 0
        assert "INFO draining draining: 3 clients are asked to leave" in server.log()
        assert "INFO drained drained: 3 clients have left" in server.log()
        server.check_log()
