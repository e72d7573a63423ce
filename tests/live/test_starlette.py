"""The adapter in a Starlette app, on a real server and in Starlette's TestClient."""

from __future__ import annotations

import http.client
import re
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Literal, cast

import pytest
import trio
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from .apps import events, mounted
from .client import crowd
from .server import HypercornServer, hypercorn_server, unhurried

with warnings.catch_warnings():
    # It would rather have httpx2; both do.
    warnings.filterwarnings("ignore", r"Using `httpx` with `starlette\.testclient`")
    from starlette.testclient import TestClient, WebSocketDenialResponse

PATHS = ["/live/ws", "/live/ws/x", "/routed", "/routed/x", "/deep/er/below", "/front"]


# -- on a real server ------------------------------------------------------


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    with hypercorn_server("tests.live.apps.mounted:app", worker) as server:
        yield server
        server.check_log()


def request(server: HypercornServer, method: str, path: str, body: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request(method, path, body)
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode()}"


@pytest.mark.live
@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
async def test_wherever_it_stands_it_works(server: HypercornServer, path: str) -> None:
    async with crowd(server) as clients:
        ada, grace = await clients.welcome(path), await clients.welcome(path)
        await ada.ask("join", "lobby")
        await grace.ask("join", "lobby")
        await grace.ask("say", "hello")

        assert await ada.expect("said") == "hello"
        assert await ada.ask("path") == path
        assert await grace.drain() == []
        grace.reset()
        assert await ada.expect("gone") == [grace.sid, 1006, ""]
        await ada.emit("leave me")
        assert await ada.wait_closed() == (4000, "bye")
        rejected = await clients.open(path + "?reject")
        assert await rejected.wait_closed() == (4001, "members only")


@pytest.mark.live
@pytest.mark.anyio
async def test_plain_http_goes_its_own_way_and_can_speak_to_rooms(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome("/live/ws")
        await peer.ask("join", "lobby")

        for method, path, body, answer in [
            ("GET", "/", "", "200 a page"),
            ("GET", "/nothing", "", "404 Not Found"),
            ("POST", "/say", "hi", "200 told"),
        ]:
            sent = (server, method, path, body)
            assert await trio.to_thread.run_sync(request, *sent) == answer
        assert await peer.expect("said") == "hi"


@pytest.mark.live
@pytest.mark.anyio
async def test_the_end_of_the_server_is_the_end_of_all_its_clients(
    worker: str,
) -> None:
    target = "tests.live.apps.mounted:app"
    with hypercorn_server(
        target, worker, extra_args=["--graceful-timeout", "1"]
    ) as server:
        async with crowd(server) as clients:
            peers = [await clients.welcome(path) for path in PATHS]
            deadline_seconds = 1 + unhurried(2)
            await trio.to_thread.run_sync(
                lambda: server.terminate(deadline_seconds=deadline_seconds)
            )
            for peer in peers:
                assert await peer.wait_closed() == (1001, "going away")

        gone = re.findall("^gone (.+) 1001 going away$", server.log(), re.MULTILINE)
        assert sorted(gone) == sorted(peer.sid for peer in peers)
        server.check_log()


# -- in Starlette's TestClient, which is another ASGI server ---------------

Backend = Literal["asyncio", "trio"]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return cast("Backend", request.param)


@pytest.mark.parametrize("path", PATHS)
def test_the_test_client_connects_where_a_real_one_does(
    backend: Backend, path: str
) -> None:
    with (
        TestClient(mounted.app, backend=backend) as client,
        client.websocket_connect(path) as ada,
    ):
        sid = ada.receive_json()["data"]["sid"]
        ada.send_json({"event": "join", "data": "lobby", "id": 1})
        assert ada.receive_json() == {"ack": 1, "data": None}
        with client.websocket_connect(path) as grace:
            assert grace.receive_json()["data"]["sid"] != sid
            grace.send_json({"event": "say", "data": "hello", "id": 1})
            assert grace.receive_json() == {"ack": 1, "data": None}
            assert ada.receive_json()["data"] == "hello"
            grace.close(3001, "enough")
        assert ada.receive_json()["data"][1:] == [3001, "enough"]

        ada.send_json({"event": "leave me"})
        with pytest.raises(WebSocketDisconnect) as closed:
            ada.receive_json()
        assert (closed.value.code, closed.value.reason) == (4000, "bye")


def test_the_test_client_reaches_an_adapter_that_is_the_app_itself(
    backend: Backend,
) -> None:
    for _ in range(2):  # it can be started again
        with (
            TestClient(cast("ASGIApp", events.app), backend=backend) as client,
            client.websocket_connect("/ws/x?silent") as peer,
        ):
            peer.send_text("{")
            assert peer.receive_json()["error"]["code"] == "malformed"
            peer.send_bytes(b"{}")
            assert peer.receive_json()["error"]["code"] == "binary"
            peer.send_json({"event": "statistics", "id": 1})
            assert peer.receive_json()["data"]["connections"] == 1
    assert events.app.statistics().connections == 0


def test_without_its_lifespan_an_adapter_refuses_with_503(
    backend: Backend,
) -> None:
    client = TestClient(mounted.app, backend=backend)
    with (
        pytest.raises(WebSocketDenialResponse) as refusal,
        client.websocket_connect("/live/ws"),
    ):
        pass
    # Without httpx2 it is of no known type.
    status: object = cast("Any", refusal.value).status_code
    assert status == 503
